//! The estate in motion: one loop over runs of actors and scripted acts in order of time, and the one function, `touch`,
//! through which every record of every provider comes about, for owners and attackers alike.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::chance::Chance;
use super::clock::{self, HOUR, MINUTE, SECOND};
use super::cloudtrail::{self, Assumption, Failure, KeyChange};
use super::estate::actor::{Actor, Agent, Credential, Held, Key, Kind, Token, Trust, Wire};
use super::estate::place::{FUNCTIONS, PlaceKind};
use super::estate::{ACCOUNTS, CLUSTER, Estate, ISSUER, ISSUER_HASH, PEOPLE_ROLE};
use super::journal::{Journal, Stream};
use super::label::{Decoy, Label};
use super::{k8s_audit, vault_audit, zeek};

/// How a call differs from what its identity would do by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guise<'a> {
    /// From another address.
    pub address: Option<&'a str>,
    /// With another client.
    pub agent: Option<&'a str>,
    /// With this credential instead of the present one.
    pub held: Option<&'a Held>,
    /// It fails.
    pub failure: Option<Failure>,
    /// With an old protocol or cipher.
    pub weak: bool,
}

/// What a call left in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// When.
    pub time: i64,
    /// The provider's id of the record.
    pub id: String,
    /// The credential, as the log shows it.
    pub credential: Option<String>,
}

/// Something scripted; what it touched is added to the label that it belongs to.
pub type Act = Box<dyn FnOnce(&mut World, i64) -> Vec<Touched>>;

/// What is to happen, besides what actors do by themselves.
#[derive(Default)]
pub struct Script {
    acts: Vec<(i64, Option<usize>, Option<Act>)>,
}

impl Script {
    /// Adds an act, which belongs to a label or to none.
    pub fn at(&mut self, time: i64, label: Option<usize>, act: impl FnOnce(&mut World, i64) -> Vec<Touched> + 'static) {
        self.acts.push((time, label, Some(Box::new(act))));
    }

    /// Adds an act that leaves no trace of its own.
    pub fn then(&mut self, time: i64, act: impl FnOnce(&mut World, i64) + 'static) {
        self.at(time, None, |world, time| {
            act(world, time);
            Vec::new()
        });
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Act(usize),
    Run(usize),
}

/// A service that does not answer for a while.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Which.
    pub kind: PlaceKind,
    /// From.
    pub start: i64,
    /// To.
    pub end: i64,
}

/// The estate, its actors and its journal.
pub struct World {
    /// The fixed parts.
    pub estate: Estate,
    /// The identities.
    pub actors: Vec<Actor>,
    /// Where records go.
    pub journal: Journal,
    /// Attacks, complete when the loop has ended.
    pub labels: Vec<Label>,
    /// Benign commotion.
    pub decoys: Vec<Decoy>,
    /// Actors that go live during the period, and when.
    pub launches: BTreeMap<usize, i64>,
    /// The `AppRole` whose work is to withdraw tokens.
    pub janitor: Option<usize>,
    /// What attackers hold, by label.
    pub pocket: BTreeMap<usize, Held>,
    /// Outages.
    pub outages: Vec<Outage>,
    /// When the period begins.
    pub start: i64,
    /// When it ends.
    pub end: i64,
    /// How much busier than its habits say the estate is.
    pub rate: f64,
    /// Draws that belong to no actor.
    pub chance: Chance,
}

impl World {
    /// Lets the period pass.
    pub fn run(&mut self, script: Script) -> anyhow::Result<()> {
        let mut acts = script.acts;
        let mut due: BinaryHeap<Reverse<(i64, Due)>> = BinaryHeap::new();
        for (i, (time, ..)) in acts.iter().enumerate() {
            due.push(Reverse((*time, Due::Act(i))));
        }
        for i in 0..self.actors.len() {
            if let Some(time) = self.next_run(i, self.launches.get(&i).copied().unwrap_or(self.start)) {
                due.push(Reverse((time, Due::Run(i))));
            }
        }
        let mut hour = clock::full_hour(self.start) + HOUR;
        while let Some(Reverse((time, what))) = due.pop() {
            if time >= self.end {
                break;
            }
            // Logins and token requests are written a little before the call that needs them, so the hour is closed late.
            while time >= hour + MINUTE {
                self.journal.flush(hour)?;
                hour += HOUR;
            }
            match what {
                Due::Act(i) => {
                    let Some((_, label, act)) = acts.get_mut(i) else { continue };
                    let (label, act) = (*label, act.take());
                    let touched = act.map(|act| act(self, time)).unwrap_or_default();
                    if let Some(label) = label.and_then(|l| self.labels.get_mut(l)) {
                        note(label, touched);
                    }
                }
                Due::Run(i) => {
                    self.work(i, time);
                    if let Some(next) = self.next_run(i, time) {
                        due.push(Reverse((next, Due::Run(i))));
                    }
                }
            }
        }
        self.journal.flush(self.end)
    }

    fn next_run(&mut self, i: usize, after: i64) -> Option<i64> {
        let rate = self.rate;
        let actor = &mut self.actors[i];
        actor.rhythm.next(after, rate * actor.load, &mut actor.chance).filter(|time| *time < actor.until)
    }

    /// One run of an actor: its habits, one after the other.
    pub fn work(&mut self, i: usize, time: i64) {
        let actor = &mut self.actors[i];
        if time >= actor.until {
            return;
        }
        let away = time < actor.away_until;
        let address = if away { format!("10.90.{}.{}", actor.team % 250, 10 + i % 200) } else { actor.address() };
        if let Credential::Token { each_run: true, token } = &mut actor.credential {
            *token = None;
        }
        let calendar = actor.rhythm.is_calendar();
        let mut at = time;
        let mut h = 0;
        while let Some(habit) = self.actors[i].habits.get(h).copied() {
            h += 1;
            let rate = if calendar { self.rate * self.actors[i].load } else { 1.0 };
            let actor = &mut self.actors[i];
            if !actor.chance.happens(f64::from(habit.share)) {
                continue;
            }
            let times = actor.chance.about(f64::from(habit.times) * rate);
            let place = if away { self.estate.place(habit.place).twin.unwrap_or(habit.place) } else { habit.place };
            for _ in 0..times {
                let actor = &mut self.actors[i];
                at += SECOND / 20 + actor.chance.wait(SECOND + 20 * SECOND / i64::from(times));
                let failure = self.outage(place, at).or_else(|| {
                    let actor = &mut self.actors[i];
                    actor.chance.happens(actor.failing).then_some(Failure::Denied)
                });
                self.touch(i, place, habit.act, at, Guise { address: Some(&address), failure, ..Guise::default() });
            }
        }
    }

    fn outage(&mut self, place: usize, time: i64) -> Option<Failure> {
        let kind = self.estate.place(place).kind;
        let down = self.outages.iter().any(|o| o.kind == kind && (o.start..o.end).contains(&time));
        (down && self.chance.happens(0.8)).then_some(Failure::Unavailable)
    }

    /// One identity does one thing at one place.
    pub fn touch(&mut self, i: usize, place: usize, act: u8, time: i64, guise: Guise<'_>) -> Touched {
        let own_address = guise.address.is_none().then(|| self.actors[i].address());
        let address = guise.address.or(own_address.as_deref()).unwrap_or_default();
        if guise.held.is_none() {
            self.freshen(i, time, address);
        }
        let Self { estate, actors, journal, .. } = self;
        let actor = &mut actors[i];
        let held = guise.held;
        let agent = guise.agent.unwrap_or(actor.agent.text());
        let place = estate.place(place);
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

    /// Gives an actor a credential that is in force, if its own has run out.
    pub fn freshen(&mut self, i: usize, time: i64, address: &str) {
        match self.actors[i].credential {
            Credential::Session { trust, ref key } if key.as_ref().is_none_or(|key| key.expires < time + 5 * MINUTE) => {
                let (_, key) = self.assume(i, trust, time - 2 * SECOND, address);
                self.actors[i].credential = Credential::Session { trust, key: Some(key) };
            }
            Credential::Pods(_) => self.freshen_pods(i, time),
            Credential::Token { .. } => self.freshen_token(i, time, address),
            _ => {}
        }
    }

    fn freshen_pods(&mut self, i: usize, time: i64) {
        let Self { estate, actors, journal, .. } = self;
        let Actor { credential, chance, name, principal, .. } = &mut actors[i];
        let Credential::Pods(pods) = credential else { return };
        for pod in pods.iter_mut().filter(|pod| pod.jti.is_empty() || time - pod.issued > 24 * HOUR / 5 * 4) {
            let at = time - 2 * SECOND;
            journal.record(at, Stream::K8s, |out| {
                let jti = k8s_audit::token_request(out, at, &estate.nodes, name, principal, pod, 24 * HOUR, chance);
                pod.jti = jti;
            });
            pod.issued = at;
        }
    }

    fn freshen_token(&mut self, i: usize, time: i64, address: &str) {
        let Self { actors, journal, .. } = self;
        let Actor { credential, chance, name, principal, agent, .. } = &mut actors[i];
        let Credential::Token { each_run, token } = credential else { return };
        let lasts = vault_audit::lifetime(*each_run);
        let call = vault_audit::Call { time: time - SECOND, role: name, entity: principal, address, agent: agent.text(), failure: None };
        match token {
            // Thirty-two days is Vault's default maximum.
            Some(held) if time < held.expires && time < held.issued + 31 * clock::DAY => {
                if held.expires - time < lasts / 2 && !*each_run {
                    vault_audit::renew(journal, &call, held, chance);
                    held.expires = call.time + lasts;
                }
            }
            _ => *token = Some(vault_audit::login(journal, &call, lasts, chance)),
        }
    }

    /// A role's session begins; gives what was touched and the session's key.
    pub fn assume(&mut self, i: usize, trust: Trust, time: i64, address: &str) -> (Touched, Key) {
        let (account, role, epoch) = (self.actors[i].account, self.role_name(i), time / SECOND);
        let id = ACCOUNTS[usize::from(account)].id;
        let service = |name: &str| format!(r#"{{"type":"AWSService","invokedBy":"{name}"}}"#);
        let actor = &self.actors[i];
        let team = self.estate.teams[actor.team].as_str();
        let agent = actor.agent.text().to_owned();
        let (caller, address, agent, operation, session, lasts) = match trust {
            Trust::Ec2 => (
                service("ec2.amazonaws.com"),
                "ec2.amazonaws.com",
                String::from("ec2.amazonaws.com"),
                "AssumeRole",
                format!("i-0{}", actor.principal.get(4..20).unwrap_or_default().to_lowercase()),
                6 * HOUR,
            ),
            Trust::Lambda => (
                service("lambda.amazonaws.com"),
                "lambda.amazonaws.com",
                String::from("lambda.amazonaws.com"),
                "AssumeRole",
                role.trim_end_matches("-role").to_owned(),
                12 * HOUR,
            ),
            Trust::WebIdentity => {
                let provider = format!("arn:aws:iam::{id}:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/5D2F8C0E91A34B67");
                let user = format!("system:serviceaccount:{team}:{}", role.trim_end_matches("-role"));
                let caller = format!(
                    r#"{{"type":"WebIdentityUser","principalId":"{provider}:sts.amazonaws.com:{user}","userName":"{user}","identityProvider":"{provider}"}}"#
                );
                (caller, address, agent, "AssumeRoleWithWebIdentity", format!("botocore-session-{epoch}"), 4 * HOUR)
            }
            Trust::SingleSignOn => {
                let provider = format!("arn:aws:iam::{id}:saml-provider/AWSSSO_8f2d_DO_NOT_DELETE");
                let caller =
                    format!(r#"{{"type":"SAMLUser","principalId":"{provider}:{}","userName":"{}","identityProvider":"{provider}"}}"#, actor.name, actor.name);
                (caller, address, agent, "AssumeRoleWithSAML", actor.name.clone(), 8 * HOUR)
            }
            Trust::Assumed(parent) => {
                let parent_address = self.actors[parent].address();
                self.freshen(parent, time, &parent_address);
                let caller = match self.actors[parent].hold() {
                    Some(Held::Key(key)) => key.user_identity,
                    _ => service("ec2.amazonaws.com"),
                };
                (caller, address, agent, "AssumeRole", format!("{}-{epoch}", role.trim_end_matches("-role")), HOUR)
            }
        };
        self.issue(i, time, account, &caller, address, &agent, (operation, &session, lasts))
    }

    /// A caller, whoever it is, gets a session of role `i`; the record is in the trail of the caller's account.
    pub fn issue(&mut self, i: usize, time: i64, account: u8, caller: &str, address: &str, agent: &str, session: (&'static str, &str, i64)) -> (Touched, Key) {
        let role = self.role_name(i);
        let actor = &mut self.actors[i];
        let (operation, session, lasts) = session;
        let call = cloudtrail::Call { time, account, user_identity: caller, address, agent, failure: None };
        let mut result = None;
        self.journal.record(time, Stream::CloudTrail(account), |out| {
            let assumption = Assumption { operation, account: actor.account, role: &role, principal: &actor.principal, session, lasts };
            result = Some(cloudtrail::assume(out, &call, &assumption, &mut actor.chance));
        });
        let (id, key) = result.unwrap_or_else(|| (String::new(), Key { id: String::new(), user_identity: String::new(), expires: 0 }));
        (Touched { time, id, credential: None }, key)
    }

    fn role_name(&self, i: usize) -> String {
        let actor = &self.actors[i];
        if actor.kind == Kind::AwsHuman { String::from(PEOPLE_ROLE) } else { actor.name.clone() }
    }

    /// An administrator of an account, signed on: an actor that is a person there.
    pub fn administrator(&self, account: u8) -> Option<usize> {
        self.actors.iter().position(|a| a.kind == Kind::AwsHuman && a.account == account).or_else(|| self.actors.iter().position(|a| a.kind == Kind::AwsHuman))
    }

    /// An administrator changes a user's key; in the archive when `time` is before the period.
    pub fn key_change(&mut self, user: usize, change: KeyChange, key: &str, time: i64) -> Option<Touched> {
        let (name, account) = (self.actors[user].name.clone(), self.actors[user].account);
        let admin = self.administrator(account)?;
        let archived = time < self.start;
        let address = self.actors[admin].address();
        let caller = if archived {
            let ended = self.actors[admin].principal.clone();
            let id = ACCOUNTS[usize::from(account)].id;
            let key = self.chance.letters("ASIA", super::chance::BASE32, 16);
            format!(
                r#"{{"type":"AssumedRole","principalId":"{ended}:{email}","arn":"arn:aws:sts::{id}:assumed-role/{PEOPLE_ROLE}/{email}","accountId":"{id}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{ended}","arn":"arn:aws:iam::{id}:role/aws-reserved/sso.amazonaws.com/{PEOPLE_ROLE}","accountId":"{id}","userName":"{PEOPLE_ROLE}"}},"attributes":{{"creationDate":"{}","mfaAuthenticated":"false"}}}}}}"#,
                clock::seconds(time - 20 * MINUTE),
                email = self.actors[admin].name
            )
        } else {
            self.freshen(admin, time, &address);
            match self.actors[admin].hold() {
                Some(Held::Key(key)) => key.user_identity,
                _ => return None,
            }
        };
        let agent = Agent::new(7, 0);
        let call = cloudtrail::Call { time, account, user_identity: &caller, address: &address, agent: agent.text(), failure: None };
        let mut id = String::new();
        let stream = if archived { Stream::Archive(account) } else { Stream::CloudTrail(account) };
        let Self { journal, chance, .. } = self;
        journal.record(time, stream, |out| id = cloudtrail::key_change(out, &call, change, &name, key, chance));
        Some(Touched { time, id, credential: Some(key.to_owned()) })
    }

    /// A person signs in to the console as a user.
    pub fn console_login(&mut self, i: usize, time: i64, address: &str) -> Touched {
        let Self { actors, journal, .. } = self;
        let actor = &mut actors[i];
        let id_of = ACCOUNTS[usize::from(actor.account)].id;
        let caller = format!(
            r#"{{"type":"IAMUser","principalId":"{}","accountId":"{id_of}","arn":"arn:aws:iam::{id_of}:user/{name}","userName":"{name}"}}"#,
            actor.principal,
            name = actor.name
        );
        let agent = Agent::new(7, 0);
        let call = cloudtrail::Call { time, account: actor.account, user_identity: &caller, address, agent: agent.text(), failure: None };
        let mut id = String::new();
        journal.record(time, Stream::CloudTrail(actor.account), |out| id = cloudtrail::console_login(out, &call, &mut actor.chance));
        Touched { time, id, credential: None }
    }

    /// The janitor withdraws an `AppRole` token.
    pub fn revoke_token(&mut self, i: usize, victim: &Token, time: i64) -> Option<Touched> {
        let operator = self.janitor.filter(|o| *o != i)?;
        let address = self.actors[operator].address();
        self.freshen(operator, time, &address);
        let Some(Held::Token(token)) = self.actors[operator].hold() else { return None };
        let Self { actors, journal, .. } = self;
        let actor = &mut actors[operator];
        let call = vault_audit::Call { time, role: &actor.name, entity: &actor.principal, address: &address, agent: actor.agent.text(), failure: None };
        let id = vault_audit::revoke(journal, &call, &token, victim, &mut actor.chance);
        Some(Touched { time, id, credential: Some(victim.accessor.clone()) })
    }

    /// The canonical id that keytrail gives an actor.
    pub fn identity(&self, i: usize) -> String {
        let actor = &self.actors[i];
        let account = ACCOUNTS[usize::from(actor.account)].id;
        let name = &actor.name;
        match actor.kind {
            Kind::AwsUser => format!("aws:{account}:user/{name}"),
            Kind::AwsRole => format!("aws:{account}:role/{name}"),
            Kind::AwsHuman => format!("aws:{account}:role/{PEOPLE_ROLE}"),
            Kind::ServiceAccount => format!("k8s:{CLUSTER}:sa/{name}"),
            Kind::KubeHuman => format!("k8s:{CLUSTER}:user/{name}"),
            Kind::AppRole => format!("vault:{CLUSTER}:approle/{name}"),
            Kind::Mtls => format!("x509:{ISSUER_HASH}/{name}"),
            Kind::Mqtt => format!("mqtt:{}:client/{name}", self.estate.broker),
            // These logs name nobody: an address is all that there is.
            Kind::Modbus | Kind::Ssh => format!("zeek:{CLUSTER}:host/{name}"),
            Kind::Kerberos => format!("kerberos:WORKS.EXAMPLE:principal/{}", name.to_lowercase()),
        }
    }
}

/// What a label learns from what was touched.
fn note(label: &mut Label, touched: Vec<Touched>) {
    for Touched { time, id, credential } in touched {
        if label.provider_event_ids.is_empty() || time < label.start.0 {
            label.start.0 = time;
        }
        label.end.0 = label.end.0.max(time);
        label.credential = label.credential.take().or(credential);
        // Messages of one connection share its uid.
        if !id.is_empty() && label.provider_event_ids.last() != Some(&id) {
            label.provider_event_ids.push(id);
        }
    }
}

impl World {
    /// How many records the estate would write over the period at a rate of one.
    pub fn expected(&self) -> f64 {
        let days = (self.end - self.start) as f64 / clock::DAY as f64;
        let daily = |actor: &Actor| {
            let a_run: f64 = actor.habits.iter().map(|h| f64::from(h.times * h.share)).sum();
            // What a record brings with it: responses on the wire, certificates, logins.
            let lines = match actor.kind {
                Kind::Modbus | Kind::Mtls => 2.0,
                _ => 1.0,
            };
            actor.rhythm.runs_per_day(1.0) * a_run * lines
        };
        let living = |i: usize, actor: &Actor| {
            let from = self.launches.get(&i).copied().unwrap_or(self.start);
            (actor.until.min(self.end) - from).max(0) as f64 / (self.end - self.start) as f64
        };
        let total: f64 = self.actors.iter().enumerate().map(|(i, a)| daily(a) * living(i, a)).sum();
        (total * days).max(1.0)
    }
}
