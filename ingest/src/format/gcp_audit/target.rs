//! What was touched in Google Cloud: `gcp:<service>/<resource>`, a bucket without its objects, a secret and a key without their versions.

use keytrail_schemas::{Event, Text};

use super::identity::Who;
use crate::format::join::join;

/// Fills the destination of `event`.
pub(super) fn of(event: &mut Event, service: &str, name: Option<&str>, resource: Option<&str>, account: Option<&str>) {
    let service = service.strip_suffix(".googleapis.com").unwrap_or(service);
    event.destination_service = (!service.is_empty()).then(|| Text::from(service));
    if matches!(service, "iam" | "iamcredentials")
        && let Some(account) = account.filter(|account| account.contains('@'))
    {
        let mut owner = Event::default();
        Who::of(Some(account), None, "").name(&mut owner);
        event.destination = Some(owner.identity);
        event.destination_kind = Some(Text::const_new("identity"));
        return;
    }
    let Some(name) = name else { return };
    let (name, kind) = match service {
        "storage" => match name.split_once("buckets/") {
            Some((_, rest)) => (rest.split('/').next().unwrap_or(rest), "bucket"),
            None => (name, "project"),
        },
        "secretmanager" => (name.split("/versions/").next().unwrap_or(name), "secret"),
        "cloudkms" => (name.split("/cryptoKeyVersions/").next().unwrap_or(name), "key"),
        "bigquery" => (name.split("/tables/").next().unwrap_or(name), "database"),
        "cloudsql" | "spanner" | "firestore" | "datastore" => (name, "database"),
        "pubsub" => (name, "topic"),
        "compute" if name.contains("/instances/") => (name, "host"),
        _ => (name, resource.unwrap_or("api")),
    };
    event.destination = Some(join(&["gcp:", service, "/", name]));
    event.destination_kind = Some(Text::from(kind));
}
