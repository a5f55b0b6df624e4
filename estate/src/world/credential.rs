//! How credentials come about and go: sessions, tokens, keys, sign-ins, withdrawals.

use super::{Touched, World};
use crate::clock::{self, HOUR, MINUTE, SECOND};
use crate::journal::Stream;
use crate::provider::cloudtrail::{self, Assumption, KeyChange};
use crate::provider::{k8s_audit, vault_audit};
use crate::roster::actor::{Actor, Agent, Credential, Held, Key, Kind, Token, Trust};
use crate::roster::{ACCOUNTS, PEOPLE_ROLE};

impl World {
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
            let key = self.chance.letters("ASIA", crate::chance::BASE32, 16);
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
}
