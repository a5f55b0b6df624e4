//! What a request does, told by its mount, path and operation.
//!
//! Source: HashiCorp, Vault HTTP API documentation (auth methods, secrets engines, system backend).

use keytrail_schemas::{Activity, Text};

use super::entry::Entry;
use crate::format::join::join;

/// What a request does, beyond reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act<'d> {
    /// Logs in at an auth method.
    Login,
    /// Creates a child token.
    CreateToken,
    /// Renews the token that asks.
    RenewSelf,
    /// Renews another token, by itself or its accessor, or a lease.
    Renew,
    /// Revokes the token that asks.
    RevokeSelf,
    /// Revokes the token, accessor, lease, certificate or secret id named in a parameter or at the path's end.
    Revoke,
    /// Issues a secret id for the role.
    SecretId(&'d str),
    /// Reads the role id of the role.
    RoleId(&'d str),
    /// Replaces a key or a managed password.
    Rotate,
    /// Writes a policy.
    Grant,
    /// Changes a setting, role, mount, entity or the like.
    Configure,
    /// Anything else.
    Use,
}

impl Act<'_> {
    /// The activity of whoever asks.
    pub(super) const fn activity(self) -> Activity {
        match self {
            Self::Login => Activity::Authenticate,
            Self::RenewSelf | Self::Renew => Activity::Renew,
            Self::RevokeSelf | Self::Revoke => Activity::Revoke,
            Self::Rotate => Activity::Rotate,
            Self::Grant => Activity::Grant,
            Self::Configure | Self::SecretId(_) => Activity::Configure,
            Self::CreateToken | Self::RoleId(_) | Self::Use => Activity::Use,
        }
    }
}

/// The class of engine that a path belongs to: `secret`, `auth`, `sys`, `identity`, `pki`, …
pub(super) fn class<'d>(entry: Entry<'d>) -> &'d str {
    let path = entry.path();
    if path.starts_with("auth/") {
        return "auth";
    }
    match entry.mount_type() {
        Some("kv" | "generic") => return "secret",
        Some("system" | "ns_system") => return "sys",
        Some("ns_identity") => return "identity",
        Some("ns_cubbyhole") => return "cubbyhole",
        Some(other) => return other,
        None => {}
    }
    let (mount, within) = (entry.mount().trim_end_matches('/'), entry.within());
    match mount {
        "sys" | "identity" | "cubbyhole" => mount,
        _ if ["issue/", "sign/", "intermediate/", "root/", "certs"].iter().any(|start| within.starts_with(start)) => "pki",
        _ if within.starts_with("creds/") => "database",
        _ if within.starts_with("code/") => "totp",
        _ => "secret",
    }
}

/// What the request does.
pub(super) fn act<'d>(entry: Entry<'d>, class: &str) -> Act<'d> {
    let within = entry.within();
    let writes = matches!(entry.operation(), "create" | "update" | "patch" | "delete");
    if !writes {
        return match (class, role_part(within, &["role-id"])) {
            ("auth", Some(role)) => Act::RoleId(role),
            _ => Act::Use,
        };
    }
    let starts = |starts: &[&str]| starts.iter().any(|start| within == *start || within.strip_prefix(start).is_some_and(|rest| rest.starts_with('/')));
    match class {
        "auth" if entry.mount() == "auth/token/" => match within.split('/').next().unwrap_or_default() {
            "create" | "create-orphan" => Act::CreateToken,
            "renew-self" => Act::RenewSelf,
            "renew" | "renew-accessor" => Act::Renew,
            "revoke-self" => Act::RevokeSelf,
            "revoke" | "revoke-accessor" | "revoke-orphan" => Act::Revoke,
            "roles" | "tidy" => Act::Configure,
            _ => Act::Use,
        },
        "auth" if within.split('/').any(|part| part == "login" || part == "callback") => Act::Login,
        "auth" => match role_part(within, &["secret-id", "custom-secret-id"]) {
            Some(role) => Act::SecretId(role),
            None if within.ends_with("/destroy") => Act::Revoke,
            None if within.ends_with("/lookup") => Act::Use,
            None => Act::Configure,
        },
        "sys" if starts(&["policies", "policy"]) => {
            if entry.operation() == "delete" {
                Act::Configure
            } else {
                Act::Grant
            }
        }
        "sys" if starts(&["leases/renew", "renew"]) => Act::Renew,
        "sys" if starts(&["leases/revoke", "leases/revoke-prefix", "leases/revoke-force", "revoke", "revoke-prefix", "revoke-force"]) => Act::Revoke,
        "sys" if starts(&["rotate", "rekey"]) => Act::Rotate,
        "sys"
            if starts(&[
                "capabilities",
                "capabilities-self",
                "capabilities-accessor",
                "leases/lookup",
                "wrapping",
                "tools",
                "audit-hash",
                "internal",
                "health",
                "unseal",
            ]) =>
        {
            Act::Use
        }
        "sys" => Act::Configure,
        "identity" if starts(&["lookup", "oidc/introspect"]) => Act::Use,
        "identity" => Act::Configure,
        "pki" if starts(&["revoke", "revoke-with-key"]) => Act::Revoke,
        "secret" | "cubbyhole" => Act::Use,
        _ if starts(&["rotate-root", "rotate-role", "rotate"]) || within.ends_with("/rotate") => Act::Rotate,
        _ if starts(&["config", "roles", "role", "static-roles", "keys", "root", "intermediate"]) => Act::Configure,
        _ => Act::Use,
    }
}

/// The role of `role/<role>/<last>`, where `last` is one of these.
fn role_part<'d>(within: &'d str, last: &[&str]) -> Option<&'d str> {
    let (role, end) = within.strip_prefix("role/")?.split_once('/')?;
    last.contains(&end).then_some(role)
}

/// The action's name: `secret.read`, `auth.login`, `sys.audit.update`, `pki.issue`, `transit.decrypt`, …
pub(super) fn action(entry: Entry<'_>, class: &str, act: Act<'_>) -> Text {
    let operation = entry.operation();
    let first = entry.within().split('/').next().unwrap_or_default();
    let verb = matches!(operation, "update" | "create") && !first.is_empty();
    match (class, act) {
        (_, Act::Login) => Text::const_new("auth.login"),
        (_, Act::CreateToken) => Text::const_new("auth.token.create"),
        ("auth", Act::RenewSelf | Act::Renew) => Text::const_new("auth.token.renew"),
        ("auth", Act::SecretId(_)) => Text::const_new("auth.secret_id.create"),
        ("auth", Act::Revoke | Act::RevokeSelf) if entry.mount() == "auth/token/" => Text::const_new("auth.token.revoke"),
        ("auth", Act::Revoke) => Text::const_new("auth.secret_id.revoke"),
        ("sys", Act::Renew) => Text::const_new("sys.leases.renew"),
        ("sys", Act::Revoke) => Text::const_new("sys.leases.revoke"),
        (_, Act::Rotate) if class != "sys" => join(&[class, ".rotate"]),
        ("sys", _) if !first.is_empty() => join(&["sys.", first, ".", operation]),
        ("secret" | "cubbyhole" | "auth" | "identity" | "sys", _) => join(&[class, ".", operation]),
        _ if verb && matches!(act, Act::Use | Act::Revoke) => join(&[class, ".", first]),
        _ if matches!(first, "creds" | "sts" | "code" | "static-creds") => join(&[class, ".", first, ".", operation]),
        _ => join(&[class, ".", operation]),
    }
}
