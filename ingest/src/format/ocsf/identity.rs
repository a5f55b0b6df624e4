//! Who acted in an OCSF document, under the name that the provider's own format would give.

use keytrail_schemas::{CredentialKind, Event, IdentityKind, Text};

use super::{ACCOUNT, INVOKED, OWN, PRODUCT, PROVIDER, SERVICE, SUBJECT_KIND, SUBJECT_NAME, SUBJECT_UID, USER_KIND, USER_NAME, USER_UID, VENDOR};
use crate::format::join::join;
use crate::format::kit::{Row, by, time_of};

/// keytrail's own export: what OCSF has no place for stands under `unmapped`.
pub(super) fn own(event: &mut Event, row: &Row<'_>) -> bool {
    let Some(own) = row.value(OWN).filter(|_| row.str(PRODUCT) == Some("keytrail")) else { return false };
    let text = |key: &str| own.str_at(&[key]).map(Text::from);
    let Some(identity) = row.owned(USER_UID).or_else(|| row.owned(USER_NAME)) else { return false };
    event.identity = identity;
    event.identity_kind = row.str(USER_KIND).and_then(|kind| kind.parse().ok()).unwrap_or_default();
    event.identity_provider = row.owned(PROVIDER).unwrap_or_default();
    event.identity_account = text("identity_account").unwrap_or_default();
    event.credential = text("credential");
    event.credential_kind = own.str_at(&["credential_kind"]).and_then(|kind| kind.parse().ok()).unwrap_or_default();
    event.credential_issued_at = own.get("credential_issued_at").and_then(time_of);
    event.credential_expires_at = own.get("credential_expires_at").and_then(time_of);
    event.credential_parent = text("credential_parent");
    event.issuer = text("issuer");
    event.environment = text("environment");
    event.protocol = text("protocol");
    event.auth_method = text("auth_method");
    event.session = text("session");
    true
}

/// Whoever acted.
pub(super) fn of(event: &mut Event, row: &Row<'_>, cluster: &str) -> bool {
    let (uid, name, kind) = if row.has(USER_UID) || row.has(USER_NAME) {
        (row.text(USER_UID), row.text(USER_NAME), row.str(USER_KIND))
    } else {
        (row.text(SUBJECT_UID), row.text(SUBJECT_NAME), row.str(SUBJECT_KIND))
    };
    if uid.is_some() || name.is_some() {
        return principal(event, row, uid.as_deref(), name.as_deref(), kind, cluster);
    }
    let Some(service) = row.text(INVOKED).or_else(|| row.text(SERVICE)) else { return false };
    if is_aws(row) {
        event.identity = join(&["aws:service/", &service]);
        event.identity_kind = IdentityKind::Service;
        event.identity_provider = Text::const_new("aws");
        event.identity_account = row.owned(ACCOUNT).unwrap_or_default();
    } else {
        by(event, "ocsf", row.text(ACCOUNT).as_deref().unwrap_or(cluster), "service", &service, IdentityKind::Service);
    }
    true
}

/// Whose account was changed.
pub(super) fn subject(event: &mut Event, row: &Row<'_>, cluster: &str) -> bool {
    let (uid, name) = (row.text(SUBJECT_UID), row.text(SUBJECT_NAME));
    (uid.is_some() || name.is_some()) && principal(event, row, uid.as_deref(), name.as_deref(), row.str(SUBJECT_KIND), cluster)
}

fn is_aws(row: &Row<'_>) -> bool {
    row.str(PROVIDER) == Some("AWS") || matches!(row.str(PRODUCT), Some("CloudTrail" | "AWS CloudTrail"))
}

fn principal(event: &mut Event, row: &Row<'_>, uid: Option<&str>, name: Option<&str>, kind: Option<&str>, cluster: &str) -> bool {
    let account = row.text(ACCOUNT);
    let account = account.as_deref().unwrap_or(cluster);
    if let Some(rest) = name.or(uid).and_then(|name| name.strip_prefix("system:")) {
        kubernetes(event, row, rest, cluster);
        return true;
    }
    if let Some(uid) = uid.filter(|uid| uid.starts_with("arn:"))
        && aws(event, uid)
    {
        return true;
    }
    let Some(named) = name.or(uid) else { return false };
    if is_aws(row) {
        let (class, kind) = match kind {
            Some("IAMUser") => ("user", IdentityKind::Service),
            Some("AssumedRole" | "Role") => ("role", IdentityKind::Workload),
            Some("Root") => ("root", IdentityKind::Human),
            _ => ("principal", IdentityKind::Unknown),
        };
        by(event, "aws", account, class, named, kind);
        return true;
    }
    let provider = row.text(VENDOR).map_or_else(|| "ocsf".to_owned(), |vendor| vendor.to_lowercase().replace([' ', ':', '/'], "_"));
    let machine = matches!(kind, Some("System" | "Service" | "Machine" | "ServiceAccount" | "Service Account" | "Application"));
    let (class, kind) =
        if machine { ("service", IdentityKind::Service) } else { ("user", if kind == Some("Unknown") { IdentityKind::Unknown } else { IdentityKind::Human }) };
    by(event, "ocsf", account, class, named, kind);
    event.identity = join(&[&provider, ":", account, ":", class, "/", named]);
    event.identity_provider = Text::from(provider);
    true
}

/// `arn:aws:iam::111122223333:user/ci`, `arn:aws:sts::…:assumed-role/Role/session`, `arn:aws:iam::…:root`.
fn aws(event: &mut Event, arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(4);
    let (Some(account), Some(resource)) = (parts.next(), parts.next()) else { return false };
    let (class, rest) = resource.split_once('/').unwrap_or((resource, ""));
    let last = rest.rsplit('/').next().unwrap_or(rest);
    match class {
        "assumed-role" => {
            let (role, session) = rest.split_once('/').unwrap_or((rest, ""));
            by(event, "aws", account, "role", role, IdentityKind::Workload);
            event.session = (!session.is_empty()).then(|| Text::from(session));
            event.credential_kind = CredentialKind::Session;
        }
        "role" => by(event, "aws", account, "role", last, IdentityKind::Workload),
        "user" => by(event, "aws", account, "user", last, IdentityKind::Service),
        "federated-user" => by(event, "aws", account, "federated-user", last, IdentityKind::Service),
        "root" => {
            by(event, "aws", account, "root", "", IdentityKind::Human);
            event.identity = join(&["aws:", account, ":root"]);
        }
        _ => return false,
    }
    true
}

fn kubernetes(event: &mut Event, row: &Row<'_>, rest: &str, cluster: &str) {
    let cluster = row.value(super::RESOURCES).and_then(|resources| resources.items().find_map(|r| r.str_at(&["cluster", "name"]))).unwrap_or(cluster);
    match rest.split_once(':') {
        Some(("serviceaccount", name)) => by(event, "k8s", cluster, "sa", &name.replacen(':', "/", 1), IdentityKind::Service),
        Some(("node", name)) => by(event, "k8s", cluster, "node", name, IdentityKind::Device),
        _ => by(event, "k8s", cluster, "user", &join(&["system:", rest]), IdentityKind::Service),
    }
}
