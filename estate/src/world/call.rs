//! Calls of administration: what is no actor's habit, and what most attacks come down to.

use super::{Guise, Touched, World};
use crate::journal::Stream;
use crate::provider::{cloudtrail, k8s_audit, vault_audit};
use crate::roster::actor::{Credential, Held, Key, Pod, Token};

impl World {
    /// From where a call comes, after the actor has a credential that is in force.
    fn prepare(&mut self, i: usize, time: i64, guise: &Guise<'_>) -> String {
        let address = guise.address.map_or_else(|| self.actors[i].address(), str::to_owned);
        if guise.held.is_none() {
            self.freshen(i, time, &address);
        }
        address
    }

    /// The access key or session that a call is made with.
    fn key(&self, i: usize, guise: &Guise<'_>) -> Option<Key> {
        match (guise.held, &self.actors[i].credential) {
            (Some(Held::Key(key)), _) => Some(key.clone()),
            (_, Credential::Keys(keys)) => keys.last().cloned(),
            (_, Credential::Session { key, .. }) => key.clone(),
            _ => None,
        }
    }

    fn pod(&mut self, i: usize, guise: &Guise<'_>) -> Option<Pod> {
        let actor = &mut self.actors[i];
        match (guise.held, &actor.credential) {
            (Some(Held::Pod(pod)), _) => Some(pod.clone()),
            (_, Credential::Pods(pods)) if !pods.is_empty() => Some(actor.chance.pick(pods).clone()),
            _ => None,
        }
    }

    fn token(&self, i: usize, guise: &Guise<'_>) -> Option<Token> {
        match (guise.held, &self.actors[i].credential) {
            (Some(Held::Token(token)), _) | (_, Credential::Token { token: Some(token), .. }) => Some(token.clone()),
            _ => None,
        }
    }

    /// A call of an AWS API by an identity of AWS, in the trail of its own account.
    pub fn aws(&mut self, i: usize, request: &cloudtrail::Request, time: i64, guise: Guise<'_>) -> Touched {
        let address = self.prepare(i, time, &guise);
        let Some(key) = self.key(i, &guise) else { return Touched::nothing(time) };
        let Self { actors, journal, .. } = self;
        let actor = &mut actors[i];
        let agent = guise.agent.unwrap_or(actor.agent.text());
        let call = cloudtrail::Call { time, account: actor.account, user_identity: &key.user_identity, address: &address, agent, failure: guise.failure };
        let mut id = String::new();
        journal.record(time, Stream::CloudTrail(actor.account), |out| id = cloudtrail::request(out, &call, request, &mut actor.chance));
        Touched { time, id, credential: Some(key.id) }
    }

    /// A request of the Kubernetes API by a service account; from its pod unless the guise has an address.
    pub fn kube(&mut self, i: usize, request: &k8s_audit::Request, time: i64, guise: Guise<'_>) -> Touched {
        self.kube_with(i, time, guise, |out, call, nodes, chance| (k8s_audit::request(out, call, nodes, request, chance), String::new())).0
    }

    /// A service account asks for a token of another one; gives the token's `jti` too.
    pub fn kube_token(&mut self, i: usize, other: usize, time: i64, guise: Guise<'_>) -> (Touched, String) {
        let account = self.actors[other].name.clone();
        self.kube_with(i, time, guise, |out, call, nodes, chance| k8s_audit::token_for(out, call, nodes, &account, chance))
    }

    fn kube_with(
        &mut self,
        i: usize,
        time: i64,
        guise: Guise<'_>,
        write: impl FnOnce(&mut String, &k8s_audit::Call<'_>, &[(String, String)], &mut crate::chance::Chance) -> (String, String),
    ) -> (Touched, String) {
        self.prepare(i, time, &guise);
        let Some(pod) = self.pod(i, &guise) else { return (Touched::nothing(time), String::new()) };
        let Self { estate, actors, journal, .. } = self;
        let actor = &mut actors[i];
        let call = k8s_audit::Call {
            time,
            user: k8s_audit::User::ServiceAccount(&actor.name, &actor.principal, &pod),
            address: guise.address.unwrap_or(&pod.address),
            agent: guise.agent.unwrap_or(actor.agent.text()),
            failure: guise.failure,
        };
        let mut written = (String::new(), String::new());
        journal.record(time, Stream::K8s, |out| written = write(out, &call, &estate.nodes, &mut actor.chance));
        (Touched { time, id: written.0, credential: Some(pod.jti.clone()) }, written.1)
    }

    /// A request at Vault by an `AppRole`'s token.
    pub fn vault(&mut self, i: usize, (operation, path, data): (&str, &str, &str), time: i64, guise: Guise<'_>) -> Touched {
        self.vault_with(i, time, guise, |journal, call, token, chance| (vault_audit::request(journal, call, token, operation, path, data, chance), None)).0
    }

    /// An `AppRole`'s token makes another token with a policy of its choice.
    pub fn vault_token(&mut self, i: usize, policy: &str, lasts: i64, time: i64, guise: Guise<'_>) -> (Touched, Option<Token>) {
        self.vault_with(i, time, guise, |journal, call, token, chance| {
            let (id, new) = vault_audit::create_token(journal, call, token, policy, lasts, chance);
            (id, Some(new))
        })
    }

    fn vault_with(
        &mut self,
        i: usize,
        time: i64,
        guise: Guise<'_>,
        write: impl FnOnce(&mut crate::journal::Journal, &vault_audit::Call<'_>, &Token, &mut crate::chance::Chance) -> (String, Option<Token>),
    ) -> (Touched, Option<Token>) {
        let address = self.prepare(i, time, &guise);
        let Some(token) = self.token(i, &guise) else { return (Touched::nothing(time), None) };
        let Self { actors, journal, .. } = self;
        let actor = &mut actors[i];
        let agent = guise.agent.unwrap_or(actor.agent.text());
        let call = vault_audit::Call { time, role: &actor.name, entity: &actor.principal, address: &address, agent, failure: guise.failure };
        let (id, new) = write(journal, &call, &token, &mut actor.chance);
        (Touched { time, id, credential: Some(token.accessor) }, new)
    }

    /// Somebody logs in with an `AppRole`'s credentials, from an address of their own; gives the new token.
    pub fn vault_login(&mut self, i: usize, lasts: i64, time: i64, address: &str) -> Token {
        let Self { actors, journal, .. } = self;
        let actor = &mut actors[i];
        let call = vault_audit::Call { time, role: &actor.name, entity: &actor.principal, address, agent: actor.agent.text(), failure: None };
        vault_audit::login(journal, &call, lasts, &mut actor.chance)
    }
}
