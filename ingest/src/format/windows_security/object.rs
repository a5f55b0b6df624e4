//! What an account touched: objects, the directory, shares, rights, services, policies.

use keytrail_schemas::{Activity, Event, Outcome, Text};

use super::record::Record;
use super::scene::Scene;
use crate::format::Reject;
use crate::format::join::join;

/// Names longer than this are cut.
const NAME_CHARS_MAX: usize = 512;

fn event(scene: &Scene<'_, '_>, activity: Activity) -> Option<Event> {
    let who = scene.account("Subject").or_else(|| scene.account("User"))?;
    let mut event = scene.event(activity, &who);
    event.destination = Some(scene.computer());
    event.destination_kind = Some(Text::const_new("host"));
    scene.refuse(&mut event);
    Some(event)
}

fn push(event: Option<Event>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some(event) = event {
        scene.push(event);
    }
    Ok(())
}

fn named(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

/// A part of the host: a service, a task, an object, a domain that is trusted.
fn part(record: &Record<'_>) -> Option<(&'static str, String)> {
    [("ServiceName", "service"), ("TaskName", "task"), ("ObjectName", "object"), ("DomainName", "domain"), ("SubcategoryGuid", "audit_policy")]
        .into_iter()
        .find_map(|(field, kind)| Some((kind, named(&record.text(field)?))))
}

fn placed(record: &Record<'_>, scene: &Scene<'_, '_>, event: &mut Event) {
    if let Some((kind, name)) = part(record) {
        event.destination = Some(join(&[&scene.computer(), "/", kind, "/", name.trim_start_matches('\\')]));
        event.destination_kind = Some(Text::const_new(kind));
    }
}

/// A setting was changed.
pub(super) fn configured(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let mut found = event(scene, Activity::Configure);
    if let Some(event) = &mut found {
        placed(record, scene, event);
    }
    push(found, scene)
}

/// A right was given; the account that got it is known by its SID alone.
pub(super) fn granted(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let mut found = event(scene, Activity::Grant);
    if let (Some(event), Some(sid)) = (&mut found, record.text("TargetSid")) {
        event.destination = Some(join(&["ad:", &event.identity_account, ":sid/", &sid]));
        event.destination_kind = Some(Text::const_new("account"));
    }
    push(found, scene)
}

/// 4663, 4661: an object was used.
pub(super) fn accessed(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let mut found = event(scene, Activity::Use);
    if let Some(event) = &mut found {
        placed(record, scene, event);
        if let Some(kind) = record.text("ObjectType") {
            event.destination_service = Some(Text::from(kind.to_lowercase()));
        }
    }
    push(found, scene)
}

/// 4656: only what was refused; what was opened is used by 4663.
pub(super) fn refused(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if record.failed() != Some(true) {
        return Ok(());
    }
    let mut found = event(scene, Activity::Use);
    if let Some(event) = &mut found {
        placed(record, scene, event);
        event.outcome = Outcome::Denied;
    }
    push(found, scene)
}

/// 4673, 4674 and what else needs a right of the system.
pub(super) fn privileged(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let mut found = event(scene, Activity::Use);
    if let Some(event) = &mut found {
        if let Some(name) = record.text("Service").or_else(|| record.text("ObjectName")) {
            event.destination = Some(join(&[&scene.computer(), "/object/", &named(&name)]));
            event.destination_kind = Some(Text::const_new("object"));
        }
        if event.outcome == Outcome::Failure {
            event.outcome = Outcome::Denied;
        }
    }
    push(found, scene)
}

/// 4662 and the directory's changes. Replication by who is no controller is how a directory's secrets are stolen: it has an action of its own.
pub(super) fn directory(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    // DS-Replication-Get-Changes, -All, -In-Filtered-Set.
    const REPLICATION: &[&str] = &["1131f6aa-9c07-11d1-f79f-00c04fc2dcd2", "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2", "89e95b76-444d-4c62-991a-0facbeda640c"];
    let activity = if scene.action == "directory.access" { Activity::Use } else { Activity::Configure };
    let mut found = event(scene, activity);
    if let Some(event) = &mut found {
        if let Some(name) = ["ObjectDN", "ObjectName"].iter().find_map(|field| record.text(field)) {
            event.destination = Some(join(&["ad:", &event.identity_account, ":object/", &named(name.trim_start_matches("%"))]));
            event.destination_kind = Some(Text::const_new("object"));
        }
        event.destination_service = Some(Text::const_new("active_directory"));
        let replicates = record.text("Properties").is_some_and(|properties| {
            let properties = properties.to_ascii_lowercase();
            REPLICATION.iter().any(|guid| properties.contains(guid))
        });
        if replicates {
            event.action = Some(Text::const_new("directory.replicate"));
        }
    }
    push(found, scene)
}

/// 5140, 5145: a share, and what of it.
pub(super) fn share(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let mut found = event(scene, Activity::Use);
    if let Some(event) = &mut found {
        let share = record.text("ShareName").map(|name| named(name.trim_start_matches('\\').trim_start_matches("*\\"))).unwrap_or_default();
        let host = scene.computer();
        let host = host.strip_prefix("host:").unwrap_or(&host);
        event.destination = Some(match record.text("RelativeTargetName") {
            Some(name) => join(&["smb:", host, "/", &share, "/", &named(&name)]),
            None => join(&["smb:", host, "/", &share]),
        });
        event.destination_kind = Some(Text::const_new("share"));
        event.destination_service = Some(Text::const_new("smb"));
        event.protocol = Some(Text::const_new("smb"));
        if event.outcome == Outcome::Failure {
            event.outcome = Outcome::Denied;
        }
    }
    push(found, scene)
}

/// 5381, 5382: credentials were read out of the vault.
pub(super) fn vault(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let mut found = event(scene, Activity::Use);
    if let Some(event) = &mut found {
        let name = record.text("Resource").or_else(|| record.text("SchemaFriendlyName")).map_or_else(|| "vault".to_owned(), |name| named(&name));
        event.destination = Some(join(&[&scene.computer(), "/credential/", &name]));
        event.destination_kind = Some(Text::const_new("secret"));
    }
    push(found, scene)
}
