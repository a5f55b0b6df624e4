//! One identity does one thing at one place: the one function through which everyday records of every provider come about, for owners
//! and attackers alike.

use super::{Guise, Touched, World};
use crate::clock::{self, HOUR, SECOND};
use crate::journal::Stream;
use crate::provider::{cloudtrail, k8s_audit, vault_audit, zeek};
use crate::roster::ISSUER;
use crate::roster::actor::{Credential, Held, Kind, Wire};
use crate::roster::place::FUNCTIONS;

impl World {
    /// One identity does one thing at one place.
    pub fn touch(&mut self, i: usize, place: usize, act: u8, time: i64, guise: Guise<'_>) -> Touched {
        let time = if self.actors[i].kind.is_seen_by_sensor() { time + self.skew } else { time };
        let own_address = guise.address.is_none().then(|| self.actors[i].address());
        let address = guise.address.or(own_address.as_deref()).unwrap_or_default();
        if guise.held.is_none() {
            self.freshen(i, time, address);
        }
        let Self { estate, actors, journal, .. } = self;
        let actor = &mut actors[i];
        let held = guise.held;
        let agent = guise.agent.unwrap_or(actor.agent.text());
        let fresh;
        let mut place = estate.place(place);
        if place.ephemeral {
            fresh = place.fresh(time, &actor.name);
            place = &fresh;
        }
        let connection = |port| zeek::Connection { time, from: address, to: &place.at, port };
        let mut id = String::new();
        let mut credential = None;
        match actor.kind {
            Kind::AwsUser | Kind::AwsRole | Kind::AwsHuman => {
                let key = match (held, &actor.credential) {
                    (Some(Held::Key(key)), _) => Some(key),
                    (_, Credential::Keys(keys)) => keys.last(),
                    (_, Credential::Session { key, .. }) => key.as_ref(),
                    _ => None,
                };
                if let Some(key) = key {
                    let call = cloudtrail::Call { time, account: place.account, user_identity: &key.user_identity, address, agent, failure: guise.failure };
                    journal.record(time, Stream::CloudTrail(place.account), |out| id = cloudtrail::call(out, &call, place, act, &mut actor.chance));
                    credential = Some(key.id.clone());
                }
            }
            Kind::ServiceAccount => {
                let pods = if let Credential::Pods(pods) = &actor.credential { pods.as_slice() } else { &[] };
                let own = (!pods.is_empty()).then(|| actor.chance.pick(pods));
                let pod = if let Some(Held::Pod(pod)) = held { Some(pod) } else { own };
                if let Some(pod) = pod {
                    let address = if guise.held.is_some() { address } else { &pod.address };
                    let call = k8s_audit::Call {
                        time,
                        user: k8s_audit::User::ServiceAccount(&actor.name, &actor.principal, pod),
                        address,
                        agent,
                        failure: guise.failure,
                    };
                    journal.record(time, Stream::K8s, |out| id = k8s_audit::call(out, &call, &estate.nodes, place, act, &mut actor.chance));
                    credential = Some(pod.jti.clone());
                }
            }
            Kind::KubeHuman => {
                let call = k8s_audit::Call { time, user: k8s_audit::User::Person(&actor.name), address, agent, failure: guise.failure };
                journal.record(time, Stream::K8s, |out| id = k8s_audit::call(out, &call, &estate.nodes, place, act, &mut actor.chance));
            }
            Kind::AppRole => {
                let token = match (held, &actor.credential) {
                    (Some(Held::Token(token)), _) | (_, Credential::Token { token: Some(token), .. }) => Some(token),
                    _ => None,
                };
                if let Some(token) = token {
                    let call = vault_audit::Call { time, role: &actor.name, entity: &actor.principal, address, agent, failure: guise.failure };
                    id = vault_audit::call(journal, &call, token, place, act, &mut actor.chance);
                    credential = Some(token.accessor.clone());
                }
            }
            Kind::Mtls => {
                let certificate = match (held, &actor.credential) {
                    (Some(Held::Certificate(certificate)), _) | (_, Credential::Certificate(certificate)) => Some(certificate),
                    _ => None,
                };
                if let Some(certificate) = certificate {
                    let logged = actor.wire.id != certificate.fingerprint || time - actor.connected > clock::DAY;
                    if logged {
                        actor.wire.id.clone_from(&certificate.fingerprint);
                        actor.connected = time;
                    }
                    let tls = zeek::Tls {
                        server: &place.name,
                        subject: &actor.name,
                        issuer: ISSUER,
                        certificate,
                        weak: guise.weak,
                        established: guise.failure.is_none(),
                        logged,
                    };
                    id = zeek::tls(journal, &connection("8443"), &tls, &mut actor.chance);
                    credential = Some(certificate.fingerprint.clone());
                }
            }
            Kind::Mqtt => {
                let connection = zeek::Connection { to: estate.broker, ..connection("1883") };
                if guise.failure.is_some() || time - actor.connected > 30 * HOUR || actor.wire.address != address {
                    let before = zeek::Connection { time: time - SECOND, ..connection };
                    id = zeek::mqtt_connect(journal, &before, &actor.name, guise.failure.is_none(), &mut actor.chance);
                    if guise.failure.is_none() {
                        actor.connected = time;
                        actor.wire = Wire { id: id.clone(), address: address.to_owned() };
                        zeek::mqtt_subscribe(journal, &zeek::Connection { time: time - SECOND / 2, ..connection }, &id, &place.name);
                    }
                }
                if guise.failure.is_none() {
                    id.clone_from(&actor.wire.id);
                    zeek::mqtt_publish(journal, &connection, &id, &place.name, &mut actor.chance);
                }
            }
            Kind::Modbus => {
                let function = FUNCTIONS[usize::from(act) % FUNCTIONS.len()];
                id = zeek::modbus(journal, &connection("502"), &place.name, function, guise.failure.is_some(), &mut actor.chance);
            }
            Kind::Kerberos => {
                let client = format!("{}/WORKS.EXAMPLE", actor.name);
                let error = guise.failure.map(|_| "KDC_ERR_PREAUTH_FAILED");
                let connection = zeek::Connection { to: estate.kdc, ..connection("88") };
                if time - actor.connected > 9 * HOUR {
                    actor.connected = time;
                    let ticket = zeek::Ticket { request: "AS", client: &client, service: "krbtgt/WORKS.EXAMPLE", error, weak: false };
                    zeek::kerberos(journal, &zeek::Connection { time: time - SECOND, ..connection }, &ticket, &mut actor.chance);
                }
                let ticket = zeek::Ticket { request: "TGS", client: &client, service: &place.name, error, weak: guise.weak };
                id = zeek::kerberos(journal, &connection, &ticket, &mut actor.chance);
            }
            Kind::Ssh => id = zeek::ssh(journal, &connection("22"), guise.failure.is_none(), guise.agent.unwrap_or("OpenSSH_9.6"), &mut actor.chance),
        }
        Touched { time, id, credential }
    }

    /// An MQTT client subscribes to a topic on the connection that it has, or on a new one.
    pub fn mqtt_subscribe(&mut self, i: usize, topic: &str, time: i64) -> Touched {
        let time = time + self.skew;
        let address = self.actors[i].address();
        let Self { estate, actors, journal, .. } = self;
        let actor = &mut actors[i];
        let connection = zeek::Connection { time, from: &address, to: estate.broker, port: "1883" };
        if actor.wire.address != address {
            let before = zeek::Connection { time: time - SECOND, ..connection };
            let id = zeek::mqtt_connect(journal, &before, &actor.name, true, &mut actor.chance);
            actor.wire = Wire { id, address: address.clone() };
            actor.connected = time;
        }
        zeek::mqtt_subscribe(journal, &connection, &actor.wire.id, topic);
        Touched { time, id: actor.wire.id.clone(), credential: None }
    }
}
