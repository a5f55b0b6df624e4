//! The secret or key that a client logs in with: which client an administrator's change is about, and since when what it logs in with is in force.
//!
//! An admin event names a client by an internal id and says nothing of its realm; a client's own events say its name and realm and never that id. They
//! meet in the event's `representation`, where Keycloak was told to write it, which has both id and name. The realm is the administrator's own, for only those of
//! `master` reach others'; theirs is the one where that name was seen to log in.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Text};

use super::message::Facts;
use crate::format::join::join;
use crate::format::kit::{by, fact};
use crate::format::recent::Recent;
use crate::json::Value;

/// The realm whose administrators reach every other one.
const MASTER: &str = "master";

/// What earlier lines told of clients.
#[derive(Default)]
pub(super) struct Clients {
    /// By internal id.
    known: Recent<Client>,
    /// Internal ids by name; none where several clients bear it.
    ids: Recent<Option<Text>>,
    /// Realms by the name that logged in there; none where several did.
    realms: Recent<Option<Text>>,
}

struct Client {
    name: Text,
    /// Since when its secret and its key are in force, where that was told.
    since: [Option<Micros>; 2],
    is_disabled: bool,
}

/// What a client proves itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Secret,
    Key,
}

impl Proof {
    /// By the name of Keycloak's authenticator.
    fn of(authenticator: Option<&str>) -> Option<Self> {
        match authenticator {
            None | Some("client-secret" | "client-secret-jwt") => Some(Self::Secret),
            Some("client-jwt" | "client-x509") => Some(Self::Key),
            Some(_) => None,
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Secret => 0,
            Self::Key => 1,
        }
    }

    /// Names it on an event or fact of its client's.
    fn name(self, event: &mut Event) {
        let (word, kind) = match self {
            Self::Secret => ("/secret", CredentialKind::Password),
            Self::Key => ("/key", CredentialKind::X509),
        };
        event.credential = Some(join(&[&event.identity, word]));
        event.credential_kind = kind;
    }
}

/// A client that logged in: with what, and how old that is, where an earlier line told.
pub(super) fn logged_in(event: &mut Event, facts: &Facts<'_>, realm: &str, clients: &mut Clients) {
    let Some(name) = facts.get("clientId") else { return };
    let only = match clients.realms.get(name) {
        Some(Some(known)) if known != realm => None,
        Some(None) => None,
        _ => Some(Text::from(realm)),
    };
    clients.realms.put(name, only);
    let Some(proof) = facts.get("client_auth_method").and_then(|method| Proof::of(Some(method))) else { return };
    proof.name(event);
    let known = clients.ids.get(name).and_then(Option::as_ref).and_then(|id| clients.known.get(id));
    event.credential_issued_at = known.and_then(|client| client.since.get(proof.place()).copied().flatten());
}

/// What an administrator did to the client that the path names, and what that means for its secret or key.
pub(super) fn administered(event: &mut Event, facts: &Facts<'_>, representation: Option<Value<'_>>, server: &str, clients: &mut Clients) -> Option<Box<Event>> {
    let (operation, path) = (facts.get("operationType")?, facts.get("resourcePath")?);
    let mut parts = path.split('/');
    let (Some("clients"), Some(id), what) = (parts.next(), parts.next(), parts.next()) else { return None };
    let said = |name: &str| representation.and_then(|representation| representation.get(name));
    let whole = what.is_none().then(|| said("clientId")?.as_str()).flatten();
    if let Some(name) = whole {
        clients.learn(id, name);
    }
    let client = clients.known.get(id);
    let realm = facts.get("realmName").filter(|realm| *realm != MASTER);
    let realm = realm.or_else(|| client.and_then(|client| clients.realms.get(&client.name)?.as_deref()));
    let (class, name, realm) = match (client, realm) {
        (Some(client), Some(realm)) => ("client", client.name.as_str(), realm),
        _ => ("client-id", id, server),
    };
    if class == "client" {
        event.destination = Some(join(&["keycloak:", realm, ":client/", name]));
    }
    let enabled = said("enabled").and_then(Value::as_bool);
    let was_disabled = client.is_some_and(|client| client.is_disabled);
    let is_public = said("publicClient").and_then(Value::as_bool) == Some(true);
    let by_default = Proof::of(said("clientAuthenticatorType").and_then(Value::as_str));
    let (activity, proof) = match (operation, what) {
        ("CREATE", None) if whole.is_some() && !is_public => (Activity::Issue, by_default?),
        ("ACTION" | "UPDATE" | "CREATE", Some("client-secret")) => (Activity::Rotate, Proof::Secret),
        ("ACTION", Some("certificates")) => (Activity::Rotate, Proof::Key),
        ("DELETE", None) => (Activity::Revoke, by_default?),
        ("UPDATE", None) if enabled == Some(false) => (Activity::Revoke, by_default?),
        ("UPDATE", None) if enabled == Some(true) && was_disabled => (Activity::Renew, by_default?),
        _ => return None,
    };
    let mut told = fact(event, activity, None, CredentialKind::Unknown);
    by(&mut told, "keycloak", realm, class, name, IdentityKind::ApiClient);
    told.issuer = Some(join(&["keycloak:", realm]));
    proof.name(&mut told);
    clients.change(id, event.time, activity, proof);
    Some(told)
}

impl Clients {
    fn learn(&mut self, id: &str, name: &str) {
        if self.known.get(id).is_none_or(|known| known.name != name) {
            self.known.put(id, Client { name: Text::from(name), since: [None; 2], is_disabled: false });
        }
        let only = match self.ids.get(name) {
            Some(Some(known)) if known != id && self.known.get(known).is_some_and(|other| !other.is_disabled) => None,
            Some(None) => None,
            _ => Some(Text::from(id)),
        };
        self.ids.put(name, only);
    }

    fn change(&mut self, id: &str, time: Micros, activity: Activity, proof: Proof) {
        let Some(client) = self.known.get_mut(id) else { return };
        match activity {
            Activity::Issue => client.since = [Some(time); 2],
            Activity::Rotate => {
                if let Some(since) = client.since.get_mut(proof.place()) {
                    *since = Some(time);
                }
            }
            other => client.is_disabled = other == Activity::Revoke,
        }
    }
}

#[cfg(test)]
mod tests {
    use keytrail_schemas::Outcome;

    use super::*;
    use crate::format::keycloak_events::KeycloakEvents;
    use crate::format::{Context, Draft, guarded};
    use crate::redact::{Level, Redactor};

    fn drafts(messages: &[String]) -> Vec<Draft> {
        let context = Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "kc-0".into(), depth_max: 32, file_name: "kc.log".to_owned() };
        let mut parser = guarded(&KeycloakEvents, &context);
        let mut out = Vec::new();
        for (line, message) in (0..).zip(messages) {
            let record = serde_json::json!({"timestamp": format!("2026-03-01T10:00:{line:02}Z"), "loggerName": "org.keycloak.events", "message": message});
            parser.record(record.to_string().as_bytes(), line, &mut out).unwrap();
        }
        out
    }

    /// As Keycloak 26.7 writes them with `include-representation`, shortened.
    fn admin(operation: &str, path: &str, representation: &str) -> String {
        let representation = representation.replace('"', "\\\"");
        format!(
            r#"operationType="{operation}", realmId="m-id", realmName="master", clientId="c", userId="adm", ipAddress="127.0.0.1", resourceType="CLIENT", resourcePath="clients/{path}", representation="{representation}""#
        )
    }

    fn login(realm: &str, client: &str, method: &str) -> String {
        format!(
            r#"type="CLIENT_LOGIN", realmId="r", realmName="{realm}", clientId="{client}", userId="u-{client}", ipAddress="127.0.0.1", grant_type="client_credentials", token_id="t", client_auth_method="{method}", username="service-account-{client}""#
        )
    }

    fn told(drafts: &[Draft], second: i64) -> Vec<&Event> {
        let at = Micros::parse_rfc3339("2026-03-01T10:00:00Z").unwrap().0 + second * Micros::SECOND;
        drafts.iter().map(|draft| &*draft.event).filter(|event| event.time.0 == at).collect()
    }

    #[test]
    fn a_secret_is_as_old_as_its_last_rotation_and_ends_with_its_client() {
        let failed =
            r#"type="CLIENT_LOGIN_ERROR", realmName="machines", clientId="svc-a", userId="null", ipAddress="127.0.0.1", error="invalid_client_credentials""#;
        let drafts = drafts(&[
            admin("CREATE", "id-a", r#"{"id":"id-a","clientId":"svc-a","secret":"**********","publicClient":false}"#),
            login("machines", "svc-a", "client-secret"),
            admin("ACTION", "id-a/client-secret", r#"{"type":"secret","value":"**********"}"#),
            login("machines", "svc-a", "client-secret"),
            failed.to_owned(),
            admin("UPDATE", "id-a", r#"{"clientId":"svc-a","enabled":false}"#),
            admin("UPDATE", "id-a", r#"{"clientId":"svc-a","enabled":true}"#),
            admin("DELETE", "id-a", r#"{"id":"id-a","clientId":"svc-a"}"#),
        ]);
        let secret = Some("keycloak:machines:client/svc-a/secret");
        let created = told(&drafts, 0);
        assert_eq!((created[1].activity, created[1].identity.as_str()), (Activity::Issue, "keycloak:kc-0:client-id/id-a"), "its realm is not known yet");
        for (second, issued) in [(1, 0), (3, 2)] {
            let used = told(&drafts, second)[0];
            assert_eq!((used.credential.as_deref(), used.credential_kind, used.outcome), (secret, CredentialKind::Password, Outcome::Success));
            assert_eq!(used.credential_issued_at, Some(told(&drafts, issued)[0].time));
            assert_eq!(told(&drafts, second)[1].credential_parent.as_deref(), secret, "the token was obtained with it");
        }
        assert_eq!(told(&drafts, 4)[0].credential, None, "what was shown is not the secret");
        for (second, activity) in [(2, Activity::Rotate), (5, Activity::Revoke), (6, Activity::Renew), (7, Activity::Revoke)] {
            let [done, fact] = told(&drafts, second)[..] else { panic!("{second}") };
            assert_eq!((fact.activity, fact.identity.as_str(), fact.credential.as_deref()), (activity, "keycloak:machines:client/svc-a", secret));
            assert_eq!((done.identity.as_str(), done.destination.as_deref()), ("keycloak:master:user/adm", Some("keycloak:machines:client/svc-a")));
        }
    }

    #[test]
    fn a_key_is_another_thing_and_a_name_of_two_realms_is_nobodys() {
        let drafts = drafts(&[
            admin("CREATE", "id-1", r#"{"id":"id-1","clientId":"svc","clientAuthenticatorType":"client-jwt"}"#),
            login("a", "svc", "client-jwt"),
            login("b", "svc", "client-secret"),
            admin("ACTION", "id-1/certificates/jwt.credential/generate", r#"{"privateKey":"x"}"#),
            admin("CREATE", "id-2", r#"{"id":"id-2","clientId":"svc"}"#),
            login("a", "svc", "client-jwt"),
            admin("ACTION", "id-9/client-secret", ""),
        ]);
        let used = told(&drafts, 1)[0];
        assert_eq!((used.credential.as_deref(), used.credential_kind), (Some("keycloak:a:client/svc/key"), CredentialKind::X509));
        assert_eq!(told(&drafts, 3)[1].identity, "keycloak:kc-0:client-id/id-1", "svc logs in in two realms");
        assert_eq!(told(&drafts, 5)[0].credential_issued_at, None, "two clients are called svc");
        assert_eq!(told(&drafts, 6)[1].credential.as_deref(), Some("keycloak:kc-0:client-id/id-9/secret"));
    }
}
