//! Accounts, computers and groups that are made, changed and ended.

use keytrail_schemas::{Activity, CredentialKind, Event, Outcome, Text};

use super::record::Record;
use super::scene::{Account, Scene};
use crate::format::Reject;
use crate::format::join::join;

/// The account that it is about; a computer that is new may be named by `SamAccountName` alone.
fn target(record: &Record<'_>, scene: &Scene<'_, '_>) -> Option<Account> {
    scene.account("Target").or_else(|| scene.named(&record.text("SamAccountName")?, record.text("TargetDomainName").as_deref(), None))
}

/// An event of who did it, about an account.
fn about(scene: &Scene<'_, '_>, target: &Account) -> Event {
    let who = scene.account("Subject").unwrap_or_else(|| target.clone());
    let mut event = scene.event(Activity::Configure, &who);
    event.destination = Some(target.identity.clone());
    event.destination_kind = Some(Text::const_new("account"));
    event.destination_service = Some(Text::const_new("active_directory"));
    scene.refuse(&mut event);
    event
}

/// What becomes of the account's password.
fn of_password(event: &Event, target: &Account, activity: Activity) -> Event {
    Event {
        activity,
        identity: target.identity.clone(),
        identity_kind: target.kind,
        identity_account: target.domain.clone(),
        credential: Some(target.password()),
        credential_kind: CredentialKind::Password,
        credential_issued_at: matches!(activity, Activity::Issue | Activity::Rotate).then_some(event.time),
        credential_parent: Some(event.identity.clone()).filter(|who| *who != target.identity),
        destination: None,
        destination_kind: None,
        destination_service: None,
        ..event.clone()
    }
}

/// What was done, and what it did to the password, if it was done.
fn both(scene: &mut Scene<'_, '_>, target: &Account, activity: Activity) {
    let event = about(scene, target);
    let then = (event.outcome == Outcome::Success).then(|| of_password(&event, target, activity));
    scene.push(event);
    if let Some(then) = then {
        scene.push(then);
    }
}

pub(super) fn created(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some(target) = target(record, scene) {
        both(scene, &target, Activity::Issue);
    }
    Ok(())
}

pub(super) fn ended(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some(target) = target(record, scene) {
        both(scene, &target, Activity::Revoke);
    }
    Ok(())
}

/// 4723: its own; 4724: another's.
pub(super) fn password(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(target) = target(record, scene) else { return Ok(()) };
    if scene.action == "password.reset" {
        both(scene, &target, Activity::Rotate);
        return Ok(());
    }
    let event = about(scene, &target);
    let activity = if event.outcome == Outcome::Success { Activity::Rotate } else { Activity::Configure };
    let event = Event { destination: event.destination.clone(), destination_kind: event.destination_kind.clone(), ..of_password(&event, &target, activity) };
    scene.push(event);
    Ok(())
}

/// What was changed; a new time of the password is a new password.
pub(super) fn changed(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(target) = target(record, scene).or_else(|| scene.named(&record.text("NewTargetUserName")?, record.text("TargetDomainName").as_deref(), None))
    else {
        return Ok(());
    };
    let is_time = |text: &str| text.bytes().any(|b| b.is_ascii_digit()) && text.contains([':', '/']);
    let is_change = matches!(scene.action, "account.change" | "computer.change");
    if is_change && record.text("PasswordLastSet").is_some_and(|set| is_time(&set)) {
        both(scene, &target, Activity::Rotate);
    } else {
        let mut event = about(scene, &target);
        if scene.action == "account.lock" {
            // The field holds the computer that asked.
            event.source_host = record.text("TargetDomainName").map(|name| Text::from(name.to_ascii_lowercase()));
        }
        scene.push(event);
    }
    Ok(())
}

/// Who asked about an account or a group.
pub(super) fn queried(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(target) = target(record, scene) else { return Ok(()) };
    let event = Event { activity: Activity::Use, ..about(scene, &target) };
    scene.push(event);
    Ok(())
}

fn of_group(record: &Record<'_>, scene: &Scene<'_, '_>, activity: Activity) -> Option<Event> {
    let who = scene.account("Subject")?;
    let group = scene.account("Target").or_else(|| scene.named(&record.text("SamAccountName")?, None, None))?;
    let mut event = scene.event(activity, &who);
    let name = group.identity.rsplit_once('/').map_or(group.identity.as_str(), |(_, name)| name);
    event.destination = Some(join(&["ad:", &group.domain, ":group/", name]));
    event.destination_kind = Some(Text::const_new("group"));
    event.destination_service = Some(Text::const_new("active_directory"));
    scene.refuse(&mut event);
    Some(event)
}

pub(super) fn group(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some(event) = of_group(record, scene, Activity::Configure) {
        scene.push(event);
    }
    Ok(())
}

/// Somebody became a member; where the member is named, that is an event of theirs as well.
pub(super) fn member(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(event) = of_group(record, scene, Activity::Grant) else { return Ok(()) };
    let member = record.text("MemberName").and_then(|dn| {
        let part = |kind: &str| {
            dn.split(',').find_map(|part| part.trim().get(..3).filter(|begin| begin.eq_ignore_ascii_case(kind)).and_then(|_| part.trim().get(3..)))
        };
        scene.named(part("CN=")?, part("DC=").or_else(|| event.destination.as_deref()?.split(':').nth(1)), record.text("MemberSid").as_deref())
    });
    let theirs = member.map(|member| Event {
        identity: member.identity,
        identity_kind: member.kind,
        identity_account: member.domain,
        credential_parent: Some(event.identity.clone()),
        ..event.clone()
    });
    scene.push(event);
    if let Some(theirs) = theirs {
        scene.push(theirs);
    }
    Ok(())
}
