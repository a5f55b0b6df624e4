//! What an event of Keycloak means.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::message::Facts;
use super::{Memory, client};
use crate::format::Reject;
use crate::format::join::join;
use crate::format::kit::{Scene, address, by, fact};

/// Makes events of one event.
pub(super) fn read(facts: &Facts<'_>, time: Micros, memory: &mut Memory, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let realm = facts.get("realmName").or_else(|| facts.get("realmId")).map_or_else(|| scene.cluster.clone(), Text::from);
    let (mut event, admin) = match (facts.get("type"), facts.get("operationType")) {
        (_, Some(operation)) => {
            let class = facts.get("resourceType").unwrap_or("UNKNOWN");
            (scene.event(time, admin_activity(operation, class), join(&[operation, "-", class])), true)
        }
        (Some(kind), None) => (scene.event(time, activity(kind), kind), false),
        (None, None) => return Err(Reject::malformed("type", "neither type nor operationType: what was done is not said")),
    };
    who(&mut event, facts, &realm, memory, admin);
    let error = facts.get("error");
    event.outcome = match error {
        None => Outcome::Success,
        Some("access_denied" | "not_allowed" | "rejected_by_user" | "client_disabled" | "user_disabled" | "user_temporarily_disabled") => Outcome::Denied,
        Some(_) => Outcome::Failure,
    };
    event.reason = error.map(Text::from);
    event.source_ip = facts.get("ipAddress").and_then(address);
    event.session = facts.get("sessionId").or_else(|| facts.get("authSessionParentId")).map(Text::from);
    event.auth_method = facts.get("client_auth_method").or_else(|| facts.get("auth_method")).map(|method| Text::from(method.replace('-', "_")));
    event.issuer = Some(join(&["keycloak:", &realm]));
    event.destination_service = Some(Text::const_new("keycloak"));
    let (class, name) = match facts.get("resourcePath") {
        Some(path) => (facts.get("resourceType").unwrap_or("resource").to_lowercase(), path),
        None => ("client".to_owned(), facts.get("clientId").unwrap_or("unknown")),
    };
    if admin || event.identity_kind == IdentityKind::Human {
        event.destination = Some(if admin { join(&["keycloak:", &realm, ":", name]) } else { join(&["keycloak:", &realm, ":", &class, "/", name]) });
        event.destination_kind = Some(Text::from(if class == "client" { "application" } else { class.as_str() }));
    } else {
        event.destination = Some(join(&["keycloak:", &realm]));
        event.destination_kind = Some(Text::const_new("realm"));
    }
    let told = if event.outcome == Outcome::Success { lifecycle(&mut event, facts, &realm, memory, scene.cluster) } else { Vec::new() };
    if let Some(token) = facts.get("refresh_token_id").filter(|_| matches!(facts.get("type"), Some("REFRESH_TOKEN_ERROR" | "REFRESH_TOKEN"))) {
        event.credential = Some(Text::from(token));
        event.credential_kind = CredentialKind::OauthToken;
    }
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn who(event: &mut Event, facts: &Facts<'_>, realm: &str, memory: &mut Memory, admin: bool) {
    // A refresh that failed names the user in its token alone.
    let (client, user, name) = (facts.get("clientId"), facts.get("userId").or_else(|| facts.get("refresh_token_sub")), facts.get("username"));
    let for_itself = facts.get("type").is_some_and(|kind| kind.starts_with("CLIENT_LOGIN"))
        || facts.get("grant_type") == Some("client_credentials")
        || name.is_some_and(|name| name.starts_with("service-account-"));
    if let Some(user) = user {
        memory.realms.put(user, Text::from(realm));
        if for_itself && let Some(client) = client {
            memory.clients.put(user, Text::from(client));
        }
    }
    let known = user.and_then(|user| memory.clients.get(user)).cloned();
    match (client, user, name) {
        (Some(client), ..) if for_itself => by(event, "keycloak", realm, "client", client, IdentityKind::ApiClient),
        _ if known.is_some() => by(event, "keycloak", realm, "client", known.as_deref().unwrap_or_default(), IdentityKind::ApiClient),
        (_, Some(user), _) => by(event, "keycloak", realm, "user", user, IdentityKind::Human),
        (_, None, Some(name)) => by(event, "keycloak", realm, "user", name, IdentityKind::Human),
        (Some(client), None, None) if !admin => by(event, "keycloak", realm, "client", client, IdentityKind::ApiClient),
        _ => match facts.get("ipAddress") {
            Some(address) => by(event, "keycloak", realm, "address", address, IdentityKind::Unknown),
            None => by(event, "keycloak", realm, "system", "keycloak", IdentityKind::Service),
        },
    }
}

/// What the event tells of tokens, secrets and passwords. The one that was used becomes the event's own credential.
fn lifecycle(event: &mut Event, facts: &Facts<'_>, realm: &str, memory: &mut Memory, server: &str) -> Vec<Box<Event>> {
    let token = facts.get("token_id").map(Text::from);
    let mut told = Vec::new();
    let expires = |event: &Event, name: &str| {
        let seconds = facts.get(name)?.parse::<i64>().ok()?;
        Micros(event.time.0.checked_add(seconds.checked_mul(Micros::SECOND)?)?).in_range("").ok()
    };
    match facts.get("type") {
        Some("LOGIN" | "CLIENT_LOGIN" | "CODE_TO_TOKEN" | "TOKEN_EXCHANGE" | "REFRESH_TOKEN" | "OAUTH2_DEVICE_CODE_TO_TOKEN" | "PERMISSION_TOKEN") => {
            let refreshed = facts.get("type") == Some("REFRESH_TOKEN");
            if facts.get("type") == Some("CLIENT_LOGIN") {
                client::logged_in(event, facts, realm, &mut memory.secrets);
            }
            if refreshed {
                event.credential = facts.get("refresh_token_id").map(Text::from);
                event.credential_kind = CredentialKind::OauthToken;
            }
            let next = if refreshed { facts.get("updated_refresh_token_id") } else { facts.get("refresh_token_id") };
            for (id, kind, ends) in [
                (token, CredentialKind::Jwt, "access_token_expiration_time"),
                (next.map(Text::from), CredentialKind::OauthToken, "refresh_token_expiration_time"),
            ] {
                if id.is_some() {
                    let mut issued = fact(event, Activity::Issue, id, kind);
                    issued.credential_expires_at = expires(event, ends);
                    issued.session.clone_from(&event.session);
                    told.push(issued);
                }
            }
        }
        Some("REVOKE_GRANT") => {
            let id = facts.get("refresh_token_id").map(Text::from).or(token);
            event.credential = id;
            event.credential_kind = CredentialKind::OauthToken;
        }
        Some("UPDATE_PASSWORD" | "RESET_PASSWORD" | "UPDATE_CREDENTIAL") => told.push(fact(event, Activity::Rotate, None, CredentialKind::Password)),
        Some("REMOVE_CREDENTIAL" | "REMOVE_TOTP") => told.push(fact(event, Activity::Revoke, None, CredentialKind::Password)),
        _ => told.extend(by_admin(event, facts, memory, server)),
    }
    told
}

/// An administrator's change of what somebody logs in with: the path has the internal id of its client, or of its user. Its realm is not said.
fn by_admin(event: &mut Event, facts: &Facts<'_>, memory: &mut Memory, server: &str) -> Option<Box<Event>> {
    let (operation, path) = (facts.get("operationType")?, facts.get("resourcePath")?);
    let Memory { clients, realms, secrets, inner } = memory;
    let mut parts = path.split('/');
    let (class, id, what) = (parts.next()?, parts.next()?, parts.next());
    if class == "clients" {
        let representation = facts.get("representation").and_then(|json| inner.parse(json.as_bytes()).ok());
        return client::administered(event, facts, representation.as_ref().map(|document| document.root()), server, secrets);
    }
    let activity = match (operation, class, what) {
        ("ACTION" | "UPDATE", "users", Some("reset-password")) => Activity::Rotate,
        ("ACTION" | "DELETE", "users", Some("logout")) | ("DELETE", "users", None | Some("credentials")) => Activity::Revoke,
        _ => return None,
    };
    let mut told = fact(event, activity, None, CredentialKind::Password);
    let known = realms.get(id).map_or(server, |realm| realm.as_str());
    match clients.get(id) {
        Some(client) => by(&mut told, "keycloak", known, "client", client, IdentityKind::ApiClient),
        None => by(&mut told, "keycloak", known, "user", id, IdentityKind::Human),
    }
    Some(told)
}

fn activity(kind: &str) -> Activity {
    match kind.strip_suffix("_ERROR").unwrap_or(kind) {
        "LOGOUT" => Activity::End,
        "REVOKE_GRANT" => Activity::Revoke,
        "REFRESH_TOKEN" => Activity::Renew,
        "GRANT_CONSENT" | "UPDATE_CONSENT" => Activity::Grant,
        "INTROSPECT_TOKEN" | "USER_INFO_REQUEST" | "VALIDATE_ACCESS_TOKEN" => Activity::Use,
        login if login.contains("LOGIN") || login.contains("TOKEN") || login == "IMPERSONATE" => Activity::Authenticate,
        _ => Activity::Configure,
    }
}

fn admin_activity(operation: &str, class: &str) -> Activity {
    let grants = class.contains("ROLE_MAPPING") || class == "GROUP_MEMBERSHIP" || class.contains("SCOPE_MAPPING");
    if grants && operation == "CREATE" { Activity::Grant } else { Activity::Configure }
}
