//! The events of one audit entry: what whoever asked did, and what that did to a credential.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::act::{Act, act, action, class};
use super::entry::{Entry, Side, Token, seconds};
use super::known::{Held, Known, Owned};
use super::who::Who;
use crate::format::Reject;
use crate::format::join::join;
use crate::json::Value;
use crate::redact::Redactor;

/// What surrounds the entry.
pub(super) struct Scene<'s> {
    pub(super) redactor: &'s Redactor,
    pub(super) cluster: &'s str,
    pub(super) known: &'s mut Known,
}

/// The events of an entry: first what whoever asked did; then, if it was done, what came of it.
pub(super) fn events(entry: Entry<'_>, scene: &mut Scene<'_>) -> Result<Vec<Event>, Reject> {
    let class = class(entry);
    let act = act(entry, class);
    let time = entry.time()?;
    let outcome = outcome(entry, act);
    let done = outcome == Outcome::Success && entry.side == Side::Response;
    if done {
        learn(entry, act, scene);
    }
    let holder = holder(entry, act, scene);

    let mut event = Event { time, activity: act.activity(), outcome, format: Text::const_new("vault_audit"), ..Event::default() };
    holder.who.act(&mut event, scene.cluster);
    event.reason = entry.error().map(|error| Text::from(one_line(error)));
    event.credential.clone_from(&holder.credential);
    event.credential_kind = holder.credential_kind;
    event.credential_issued_at = holder.issued_at;
    event.credential_expires_at = holder.expires_at;
    event.source_ip = entry.address().map(Text::from);
    event.user_agent = entry.user_agent().map(Text::from);
    event.destination = Some(join(&["vault:", entry.namespace(), entry.path()]));
    event.destination_kind = Some(Text::from(class));
    event.destination_service = Some(Text::const_new("vault"));
    event.protocol = Some(Text::const_new("https"));
    event.action = Some(action(entry, class, act));
    if act == Act::Login {
        event.auth_method = Some(Text::from(login_method(entry)));
    }

    let mut events = vec![event];
    if done {
        let change = Change { entry, class, time, caller: holder, event: events.first().cloned().unwrap_or_default() };
        change.apply(act, scene, &mut events);
    }
    Ok(events)
}

/// Whoever asked, with what.
struct Holder {
    who: Who,
    credential: Option<Text>,
    credential_kind: CredentialKind,
    issued_at: Option<Micros>,
    expires_at: Option<Micros>,
}

fn holder(entry: Entry<'_>, act: Act<'_>, scene: &Scene<'_>) -> Holder {
    if act == Act::Login {
        let credential = secret_id(entry, scene);
        let who = login(entry, scene);
        return Holder { who, credential, credential_kind: login_credential(entry), issued_at: None, expires_at: None };
    }
    let token = entry.auth();
    let remembered = entry.client_token().and_then(|token| scene.known.tokens.get(token));
    let who = match Who::of(token, scene.cluster) {
        Some(who) => who,
        None => match remembered {
            Some(owned) => owned.who.clone(),
            None => at_address(entry, scene),
        },
    };
    let credential = token.text("accessor").or_else(|| entry.client_accessor()).map(Text::from);
    let credential =
        credential.or_else(|| remembered.map(|owned| owned.credential.clone())).or_else(|| entry.client_token().map(|token| opaque(token, scene.redactor)));
    let issued_at = token.issued_at();
    // A service token may have been renewed since: only of a batch token is the end certain.
    let expires_at = if token.text("token_type") == Some("batch") { end(issued_at, token.ttl()) } else { None };
    let credential_kind = if credential.is_some() { CredentialKind::ApiToken } else { CredentialKind::Unknown };
    Holder { who, credential, credential_kind, issued_at, expires_at }
}

/// Who logs in, or tries to: the new token's owner; else the role whose role id or secret id is presented, or the user in the path.
fn login(entry: Entry<'_>, scene: &Scene<'_>) -> Who {
    let new = entry.handed_out();
    if let Some(who) = Who::of(new, scene.cluster) {
        return who;
    }
    if let Some(who) = entry.asked("role_id").and_then(Value::as_text).and_then(|id| scene.known.roles.get(id)) {
        return who.clone();
    }
    if let Some(held) = secret_id(entry, scene).and_then(|id| scene.known.holders.get(&id)) {
        return held.who.clone();
    }
    if let Some(user) = entry.within().strip_prefix("login/").filter(|user| !user.is_empty()) {
        return Who::named(scene.cluster, entry.mount(), user, IdentityKind::Unknown);
    }
    at_address(entry, scene)
}

fn at_address(entry: Entry<'_>, scene: &Scene<'_>) -> Who {
    Who::at(scene.cluster, entry.address().unwrap_or("unknown"))
}

/// How a login proves itself: the auth method's type, or its mount.
fn login_method(entry: Entry<'_>) -> &str {
    entry.mount_type().unwrap_or_else(|| entry.mount().trim_start_matches("auth/").trim_end_matches('/'))
}

fn login_credential(entry: Entry<'_>) -> CredentialKind {
    match login_method(entry) {
        "approle" => CredentialKind::ApiToken,
        "kubernetes" | "jwt" | "oidc" | "gcp" | "azure" => CredentialKind::Jwt,
        "cert" => CredentialKind::X509,
        "userpass" | "ldap" | "okta" | "radius" => CredentialKind::Password,
        "kerberos" => CredentialKind::KerberosTicket,
        "saml" => CredentialKind::SamlAssertion,
        "aws" => CredentialKind::Session,
        "github" => CredentialKind::ApiToken,
        _ => CredentialKind::Unknown,
    }
}

/// Remembers what later lines refer to.
fn learn(entry: Entry<'_>, act: Act<'_>, scene: &mut Scene<'_>) {
    let cluster = scene.cluster;
    let mut token = |token: Option<&str>, accessor: Option<&str>, who: Who| {
        if let (Some(token), Some(accessor)) = (token, accessor) {
            scene.known.tokens.put(token, Owned { who: who.clone(), credential: Text::from(accessor) });
        }
        if let Some(accessor) = accessor {
            scene.known.holders.put(accessor, Held { who, kind: CredentialKind::ApiToken });
        }
    };
    let (auth, new) = (entry.auth(), entry.handed_out());
    if act != Act::Login
        && let Some(who) = Who::of(auth, cluster)
    {
        token(entry.client_token(), auth.text("accessor"), who);
    }
    if let Some(who) = Who::of(new, cluster) {
        token(new.text("client_token"), new.text("accessor"), who);
    }
    match act {
        Act::Login => {
            if let (Some(id), Some(who)) = (entry.asked("role_id").and_then(Value::as_text), Who::of(new, cluster)) {
                scene.known.roles.put(id, who);
            }
        }
        Act::RoleId(role) => {
            if let Some(id) = entry.answered("role_id").and_then(Value::as_text) {
                scene.known.roles.put(id, Who::named(cluster, entry.mount(), role, IdentityKind::Service));
            }
        }
        Act::SecretId(role) => {
            let who = Who::named(cluster, entry.mount(), role, IdentityKind::Service);
            if let Some(secret) = entry.answered("secret_id").and_then(Value::as_text) {
                let id = opaque(secret, scene.redactor);
                if let Some(accessor) = entry.answered("secret_id_accessor").and_then(Value::as_text) {
                    scene.known.secret_ids.put(accessor, id.clone());
                }
                scene.known.holders.put(&id, Held { who, kind: CredentialKind::ApiToken });
            }
        }
        _ => {}
    }
}

/// What a request changed, for the events beyond the first.
struct Change<'d> {
    entry: Entry<'d>,
    class: &'d str,
    time: Micros,
    caller: Holder,
    event: Event,
}

impl Change<'_> {
    fn apply(&self, act: Act<'_>, scene: &mut Scene<'_>, events: &mut Vec<Event>) {
        let entry = self.entry;
        let new = entry.handed_out();
        match act {
            Act::Login | Act::CreateToken if new.text("accessor").is_some() => events.push(self.token(new, act, scene)),
            Act::RenewSelf | Act::Renew => self.renew(new, scene, events),
            Act::RevokeSelf => {}
            Act::Revoke => self.revoke(scene, events),
            Act::SecretId(role) => events.extend(self.secret_id(role, scene)),
            _ => {}
        }
        if !matches!(act, Act::Renew | Act::RenewSelf | Act::Revoke) {
            events.extend(self.certificate(scene));
            events.extend(self.lease(scene));
        }
        self.wrapped(events);
    }

    /// An event of `who` about a credential, which touches nothing.
    fn about(&self, activity: Activity, who: &Who, credential: Text, kind: CredentialKind, cluster: &str) -> Event {
        let mut event = self.event.clone();
        who.act(&mut event, cluster);
        event.activity = activity;
        event.credential = Some(credential);
        event.credential_kind = kind;
        event.credential_issued_at = None;
        event.credential_expires_at = None;
        event.destination = None;
        event.destination_kind = None;
        event.destination_service = None;
        event
    }

    fn issued(&self, who: &Who, credential: Text, kind: CredentialKind, ttl: Option<i64>, cluster: &str) -> Event {
        let mut event = self.about(Activity::Issue, who, credential, kind, cluster);
        event.credential_issued_at = Some(self.time);
        event.credential_expires_at = end(Some(self.time), ttl);
        event.credential_parent.clone_from(&self.caller.credential);
        event.issuer = Some(join(&["vault:", self.entry.namespace(), self.entry.mount().trim_end_matches('/')]));
        event
    }

    /// The token that a login or a token's creation hands out.
    fn token(&self, new: Token<'_>, act: Act<'_>, scene: &Scene<'_>) -> Event {
        let who = Who::of(new, scene.cluster).unwrap_or_else(|| self.caller.who.clone());
        let accessor = new.text("accessor").map(Text::from).unwrap_or_default();
        let mut event = self.issued(&who, accessor, CredentialKind::ApiToken, new.ttl(), scene.cluster);
        if let Some(issued_at) = new.issued_at() {
            event.credential_issued_at = Some(issued_at);
        }
        if act == Act::Login {
            event.auth_method.clone_from(&self.event.auth_method);
            // Without a credential of its own, a login hangs on the role that it took.
            if event.credential_parent.is_none() {
                event.credential_parent = new.metadata("role").map(|role| join(&["vault:", self.entry.namespace(), self.entry.mount(), "role/", role]));
            }
        }
        event
    }

    fn renew(&self, new: Token<'_>, scene: &Scene<'_>, events: &mut Vec<Event>) {
        let Some(caller) = events.first_mut() else { return };
        let target = new.text("accessor").or_else(|| self.entry.lease()).map(Text::from);
        let Some(target) = target.or_else(|| self.entry.asked("lease_id").and_then(Value::as_text).map(Text::from)) else { return };
        let expires_at = end(Some(self.time), new.ttl());
        if caller.credential.as_ref() == Some(&target) {
            caller.credential_issued_at = new.issued_at().or(caller.credential_issued_at);
            caller.credential_expires_at = expires_at;
            return;
        }
        caller.activity = Activity::Use;
        let held = scene.known.holders.get(&target);
        let kind = if new.is_known() { CredentialKind::ApiToken } else { held.map_or_else(|| self.lease_kind(), |held| held.kind) };
        let who = Who::of(new, scene.cluster).or_else(|| held.map(|held| held.who.clone())).unwrap_or_else(|| self.caller.who.clone());
        let mut event = self.about(Activity::Renew, &who, target, kind, scene.cluster);
        event.credential_issued_at = new.issued_at();
        event.credential_expires_at = expires_at;
        events.push(event);
    }

    /// What was revoked: `configure` of whoever asked, `revoke` of the holder; of whoever asked, when the holder is not known.
    fn revoke(&self, scene: &Scene<'_>, events: &mut Vec<Event>) {
        let entry = self.entry;
        let asked = |key: &str| entry.asked(key).and_then(Value::as_text);
        let last = || entry.within().split_once('/').map(|(_, last)| last.strip_prefix("revoke/").unwrap_or(last)).filter(|last| !last.is_empty());
        let (target, kind) = if self.class == "auth" {
            let token = asked("token").or_else(|| last().filter(|_| entry.mount() == "auth/token/"));
            let owned = token.and_then(|token| scene.known.tokens.get(token));
            let by_token = owned.map(|owned| owned.credential.clone()).or_else(|| token.map(|token| opaque(token, scene.redactor)));
            let secret = || asked("secret_id").map(|secret| opaque(secret, scene.redactor));
            let by_accessor =
                || asked("secret_id_accessor").map(|accessor| scene.known.secret_ids.get(accessor).cloned().unwrap_or_else(|| Text::from(accessor)));
            (by_token.or_else(|| asked("accessor").map(Text::from)).or_else(secret).or_else(by_accessor), CredentialKind::ApiToken)
        } else if self.class == "pki" {
            (asked("serial_number").map(Text::from), CredentialKind::X509)
        } else {
            (asked("lease_id").or_else(last).map(Text::from), self.lease_kind())
        };
        let Some(target) = target else { return };
        let held = scene.known.holders.get(&target);
        let (who, kind) = held.map_or((&self.caller.who, kind), |held| (&held.who, held.kind));
        let event = self.about(Activity::Revoke, who, target, kind, scene.cluster);
        if let Some(caller) = events.first_mut() {
            caller.activity = Activity::Configure;
        }
        events.push(event);
    }

    fn secret_id(&self, role: &str, scene: &Scene<'_>) -> Option<Event> {
        let secret = self.entry.answered("secret_id").and_then(Value::as_text).map(|secret| opaque(secret, scene.redactor));
        let id = secret.or_else(|| self.entry.answered("secret_id_accessor").and_then(Value::as_text).map(Text::from))?;
        let who = Who::named(scene.cluster, self.entry.mount(), role, IdentityKind::Service);
        let ttl = self.entry.answered("secret_id_ttl").and_then(seconds);
        Some(self.issued(&who, id, CredentialKind::ApiToken, ttl, scene.cluster))
    }

    /// A certificate or SSH key that an engine signed.
    fn certificate(&self, scene: &mut Scene<'_>) -> Option<Event> {
        let kind = match self.class {
            "pki" => CredentialKind::X509,
            "ssh" => CredentialKind::SshKey,
            _ => return None,
        };
        if !matches!(self.entry.operation(), "update" | "create") || self.event.activity == Activity::Revoke {
            return None;
        }
        let serial = Text::from(self.entry.answered("serial_number").and_then(Value::as_text)?);
        let expires_at = self.entry.answered("expiration").and_then(seconds).map(Micros);
        scene.known.holders.put(&serial, Held { who: self.caller.who.clone(), kind });
        let mut event = self.issued(&self.caller.who, serial, kind, None, scene.cluster);
        event.credential_expires_at = expires_at.filter(|end| *end <= Micros::MAX);
        Some(event)
    }

    /// A leased credential, such as a database user.
    fn lease(&self, scene: &mut Scene<'_>) -> Option<Event> {
        let lease = Text::from(self.entry.lease()?);
        scene.known.holders.put(&lease, Held { who: self.caller.who.clone(), kind: self.lease_kind() });
        Some(self.issued(&self.caller.who, lease, self.lease_kind(), None, scene.cluster))
    }

    fn lease_kind(&self) -> CredentialKind {
        match self.class {
            "database" | "ldap" | "ad" | "rabbitmq" => CredentialKind::Password,
            "aws" | "alicloud" | "gcp" => CredentialKind::AccessKey,
            "consul" | "nomad" | "terraform" => CredentialKind::ApiToken,
            "kubernetes" => CredentialKind::Jwt,
            "pki" => CredentialKind::X509,
            _ => CredentialKind::Unknown,
        }
    }

    /// A response wrapped in a token of its own, and the token within, of which only the accessor shows.
    fn wrapped(&self, events: &mut Vec<Event>) {
        let cluster = self.event.identity_account.as_str();
        let ttl = self.entry.wrapping("ttl").and_then(seconds);
        for (key, ttl) in [("accessor", ttl), ("wrapped_accessor", None)] {
            if let Some(accessor) = self.entry.wrapping(key).and_then(Value::as_text) {
                events.push(self.issued(&self.caller.who, Text::from(accessor), CredentialKind::ApiToken, ttl, cluster));
            }
        }
    }
}

/// The canonical id of the secret id that a login presents.
fn secret_id(entry: Entry<'_>, scene: &Scene<'_>) -> Option<Text> {
    entry.asked("secret_id").and_then(Value::as_text).map(|secret| opaque(secret, scene.redactor))
}

/// A token or secret as it may be shown: Vault's HMAC as it stands, anything in clear as a fingerprint.
fn opaque(secret: &str, redactor: &Redactor) -> Text {
    if secret.starts_with("hmac-sha256:") { Text::from(secret) } else { Text::from(redactor.fingerprint(secret.as_bytes()).to_string()) }
}

fn end(from: Option<Micros>, ttl: Option<i64>) -> Option<Micros> {
    let end = Micros(from?.0.checked_add(ttl?)?);
    (end <= Micros::MAX).then_some(end)
}

fn outcome(entry: Entry<'_>, act: Act<'_>) -> Outcome {
    match entry.error() {
        // A login has no policy to pass: a refusal there is a failed proof.
        Some(_) if act == Act::Login => Outcome::Failure,
        Some(error) if entry.allowed() == Some(false) || error.contains("permission denied") => Outcome::Denied,
        Some(_) => Outcome::Failure,
        None if entry.side == Side::Request => Outcome::Unknown,
        None => Outcome::Success,
    }
}

/// `permission denied; invalid token` of Vault's list of errors.
fn one_line(error: &str) -> String {
    let points: Vec<&str> =
        error.lines().map(|line| line.trim().trim_start_matches("* ")).filter(|line| !line.is_empty() && !line.ends_with(" occurred:")).collect();
    let text = if points.is_empty() { error.trim().to_owned() } else { points.join("; ") };
    text.chars().take(512).collect()
}
