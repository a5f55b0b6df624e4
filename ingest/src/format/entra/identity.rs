//! Who acted, as Entra and Azure know them.

use keytrail_schemas::{Event, IdentityKind};

use crate::format::kit::by;

/// Makes `event` one of an application's principal: by its application's id, else by the principal's own.
pub(super) fn application(event: &mut Event, tenant: &str, app: Option<&str>, principal: Option<&str>, name: Option<&str>, kind: IdentityKind) -> bool {
    match (app.filter(|app| is_id(app)), principal, name) {
        (Some(app), ..) => by(event, "entra", tenant, "sp", &app.to_lowercase(), kind),
        (None, Some(principal), _) => by(event, "entra", tenant, "principal", &principal.to_lowercase(), kind),
        (None, None, Some(name)) => by(event, "entra", tenant, "app", name, kind),
        (None, None, None) => return false,
    }
    true
}

/// Makes `event` one of a person: by the name to sign in with, else by the object's id.
pub(super) fn person(event: &mut Event, tenant: &str, name: Option<&str>, id: Option<&str>) -> bool {
    let Some(name) = name.or(id) else { return false };
    by(event, "entra", tenant, "user", &name.to_lowercase(), IdentityKind::Human);
    true
}

/// A GUID, or what stands for one in trimmed logs.
fn is_id(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The tenant in `/tenants/<tenant>/providers/…`.
pub(super) fn tenant_of(resource: &str) -> Option<&str> {
    let rest = resource.get(..9).filter(|head| head.eq_ignore_ascii_case("/tenants/")).and_then(|_| resource.get(9..))?;
    rest.split('/').next().filter(|tenant| !tenant.is_empty())
}
