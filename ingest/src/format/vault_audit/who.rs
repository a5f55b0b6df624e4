//! Who a token belongs to, as a canonical id that stays the same from login to login.
//!
//! In this order, all below `vault:<cluster>:`
//!
//! | known | id |
//! |---|---|
//! | the policy `root` | `root` |
//! | `metadata.service_account_name` | `<mount>/<namespace>/<service account>` (mount: `kubernetes`) |
//! | `metadata.role_name` | `<mount>/<role>` (mount: `approle`) |
//! | `metadata.cert_name` | `<mount>/<role>/<common name>` (mount: `cert`) |
//! | `metadata.canonical_arn`, `client_arn` | `aws/<ARN without session>` |
//! | `metadata.service_account_email` | `gcp/<email>` |
//! | `metadata.AllocationID` with `Task` | `nomad/<namespace>/<task>` |
//! | `metadata.username` | `<mount>/<user>` (mount: `userpass`, `ldap`, …) |
//! | a display name `<mount>-repo:…`, `<mount>-project_path:…`, `<mount>-system:serviceaccount:…` | `<mount>/<subject>` (a job's or a service account's JWT) |
//! | `entity_id` | `entity/<id>` |
//! | a display name | `token/<display name>` |
//! | only policies | `token/policies/<policies>` |
//! | only an address | `host/<address>` |
//!
//! The mount is the display name without what the auth method added to it, as Vault composes it (`vault/request_handling.go`).

use keytrail_schemas::{Event, IdentityKind, Text};

use super::entry::Token;
use crate::format::join::join;

/// How subjects begin that name a forge's repository or a Kubernetes service account, behind the mount that took their JWT.
const SUBJECTS: [&str; 3] = ["-repo:", "-project_path:", "-system:serviceaccount:"];

/// An identity, and how it proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) identity: Text,
    pub(super) kind: IdentityKind,
    /// The auth method: approle, kubernetes, token, …
    pub(super) method: Text,
}

impl Who {
    /// The holder of a token; `None` when nothing is known of it.
    pub(super) fn of(token: Token<'_>, cluster: &str) -> Option<Self> {
        if !token.is_known() {
            return None;
        }
        let name = token.text("display_name").unwrap_or_default();
        let meta = |key| token.metadata(key);
        // The mount that a display name begins with, once what the method appended is gone.
        // Comparing nothing takes time (docs/decisions/0162).
        let without = |suffix: &str| if suffix.is_empty() { Some(name) } else { name.strip_suffix(suffix) };
        let mount = |suffix: &str, usual: &'static str| match without(suffix).map(|mount| mount.trim_end_matches('-')) {
            Some(mount) if !mount.is_empty() && !mount.starts_with("token") => Text::from(mount),
            _ => Text::const_new(usual),
        };
        let who = |method: Text, rest: &[&str], kind| {
            let mut identity = join(&["vault:", cluster, ":", &method]);
            for part in rest {
                identity.push('/');
                identity.push_str(part);
            }
            Some(Self { identity, kind, method })
        };
        if token.policies().any(|policy| policy == "root") {
            return Some(Self { identity: join(&["vault:", cluster, ":root"]), kind: IdentityKind::Unknown, method: Text::const_new("token") });
        }
        if let (Some(account), Some(namespace)) = (meta("service_account_name"), meta("service_account_namespace")) {
            return who(mount(&format!("{namespace}-{account}"), "kubernetes"), &[namespace, account], IdentityKind::Workload);
        }
        if let Some(role) = meta("role_name") {
            return who(mount("", "approle"), &[role], IdentityKind::Service);
        }
        if let Some(role) = meta("cert_name") {
            let common = meta("common_name").unwrap_or_default();
            let rest = [role, common];
            return who(mount(common, "cert"), if common.is_empty() { &rest[..1] } else { &rest }, IdentityKind::Service);
        }
        if let Some(arn) = meta("canonical_arn").or_else(|| meta("client_arn")) {
            return who(Text::const_new("aws"), &[without_session(arn)], IdentityKind::Workload);
        }
        if let Some(email) = meta("service_account_email") {
            return who(Text::const_new("gcp"), &[email], IdentityKind::Workload);
        }
        if let (Some(_), Some(task)) = (meta("AllocationID"), meta("Task")) {
            return who(Text::const_new("nomad"), &[meta("Namespace").unwrap_or("default"), task], IdentityKind::Workload);
        }
        if let Some(user) = meta("username") {
            let method = mount(user, "userpass");
            let kind = if matches!(method.as_str(), "ldap" | "okta" | "radius" | "github" | "saml") { IdentityKind::Human } else { IdentityKind::Unknown };
            return who(method, &[user], kind);
        }
        // A job's or a service account's own token: whom it names outlives the entity that Vault made of it.
        if let Some((mount, subject)) = SUBJECTS.iter().find_map(|mark| name.split_at_checked(name.find(mark)?)).filter(|(mount, _)| !mount.is_empty()) {
            return who(Text::from(mount), &[subject.trim_start_matches('-')], IdentityKind::Workload);
        }
        let method = name.split('-').next().filter(|method| !method.is_empty()).unwrap_or("token");
        let kind = if matches!(method, "oidc" | "saml" | "ldap" | "okta" | "github") { IdentityKind::Human } else { IdentityKind::Service };
        let below = |class: &str, id: &str| Some(Self { identity: join(&["vault:", cluster, ":", class, "/", id]), kind, method: Text::from(method) });
        if let Some(entity) = token.text("entity_id") {
            return below("entity", entity);
        }
        if matches!(name, "" | "token") {
            let policies: Vec<&str> = token.policies().collect();
            return below("token/policies", &policies.join("+"));
        }
        below("token", name)
    }

    /// A role of an `approle` mount, or a user of another, by the name in a path.
    pub(super) fn named(cluster: &str, mount: &str, name: &str, kind: IdentityKind) -> Self {
        let method = mount.strip_prefix("auth/").unwrap_or(mount).trim_end_matches('/').replace('/', "-");
        Self { identity: join(&["vault:", cluster, ":", &method, "/", name]), kind, method: Text::from(method) }
    }

    /// Whoever is at an address.
    pub(super) fn at(cluster: &str, address: &str) -> Self {
        Self { identity: join(&["vault:", cluster, ":host/", address]), kind: IdentityKind::Unknown, method: Text::default() }
    }

    /// Makes `event` one of this identity.
    pub(super) fn act(&self, event: &mut Event, cluster: &str) {
        event.identity = self.identity.clone();
        event.identity_kind = self.kind;
        event.identity_provider = Text::const_new("vault");
        event.identity_account = Text::from(cluster);
        event.auth_method = Some(self.method.clone()).filter(|method| !method.is_empty());
    }
}

/// `arn:aws:sts::1:assumed-role/build` of `arn:aws:sts::1:assumed-role/build/i-0123`.
fn without_session(arn: &str) -> &str {
    if !arn.contains(":assumed-role/") || arn.matches('/').count() < 2 {
        return arn;
    }
    arn.rsplit_once('/').map_or(arn, |(role, _)| role)
}
