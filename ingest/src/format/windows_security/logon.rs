//! Logons as the host sees them, and Kerberos and NTLM as a domain controller does.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::record::Record;
use super::scene::{Account, Scene};
use super::status;
use crate::format::Reject;
use crate::format::join::join;

/// What kind of logon a number says, and whether it tells who logs on.
fn logon_type(record: &Record<'_>) -> Option<(&'static str, Option<IdentityKind>)> {
    Some(match record.text("LogonType")?.as_ref() {
        "0" => ("logon.system", Some(IdentityKind::Service)),
        "2" => ("logon.interactive", Some(IdentityKind::Human)),
        "3" => ("logon.network", None),
        "4" => ("logon.batch", Some(IdentityKind::Service)),
        "5" => ("logon.service", Some(IdentityKind::Service)),
        "7" => ("logon.unlock", Some(IdentityKind::Human)),
        "8" => ("logon.network_cleartext", None),
        "9" => ("logon.new_credentials", None),
        "10" => ("logon.remote_interactive", Some(IdentityKind::Human)),
        "11" => ("logon.cached_interactive", Some(IdentityKind::Human)),
        "12" => ("logon.cached_remote_interactive", Some(IdentityKind::Human)),
        "13" => ("logon.cached_unlock", Some(IdentityKind::Human)),
        _ => return None,
    })
}

fn logon(record: &Record<'_>, scene: &Scene<'_, '_>) -> Option<(Event, Account)> {
    let who = scene.account("Target").or_else(|| scene.account("Subject"))?;
    let mut event = scene.event(Activity::Authenticate, &who);
    if let Some((action, kind)) = logon_type(record) {
        event.action = Some(Text::const_new(action));
        if let (IdentityKind::Unknown, Some(kind)) = (event.identity_kind, kind) {
            event.identity_kind = kind;
        }
    }
    event.destination = Some(scene.computer());
    event.destination_kind = Some(Text::const_new("host"));
    let package = record.text("AuthenticationPackageName").map(|package| package.to_lowercase());
    let package = match package.as_deref() {
        Some("microsoft_authentication_package_v1_0") => Some("ntlm"),
        other => other,
    };
    event.protocol = package.map(Text::from);
    event.auth_method = match record.text("LmPackageName") {
        Some(version) => Some(Text::from(version.to_lowercase())),
        None => package.map(Text::from),
    };
    let guid = guid(record, "LogonGuid");
    match (package, guid) {
        (Some("kerberos") | None, Some(guid)) => {
            event.credential = Some(guid);
            event.credential_kind = CredentialKind::KerberosTicket;
        }
        (Some("ntlm"), _) => event.credential_kind = CredentialKind::Password,
        (_, Some(guid)) => {
            event.credential = Some(guid);
            event.credential_kind = CredentialKind::KerberosTicket;
        }
        (_, None) => {}
    }
    Some((event, who))
}

pub(super) fn succeeded(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some((mut event, who)) = logon(record, scene) {
        event.outcome = Outcome::Success;
        if event.credential_kind == CredentialKind::Password {
            event.credential = Some(who.password());
        }
        scene.push(event);
    }
    Ok(())
}

pub(super) fn failed(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some((mut event, _)) = logon(record, scene) {
        event.outcome = Outcome::Failure;
        scene.refuse(&mut event);
        scene.push(event);
    }
    Ok(())
}

pub(super) fn ended(_: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(who) = scene.account("Target").or_else(|| scene.account("Subject")) else { return Ok(()) };
    let mut event = scene.event(Activity::End, &who);
    event.destination = Some(scene.computer());
    event.destination_kind = Some(Text::const_new("host"));
    scene.push(event);
    Ok(())
}

/// 4778, 4779: a session is taken up again, or left, over the network.
pub(super) fn session(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(who) = record.text("AccountName").and_then(|name| scene.named(&name, record.text("AccountDomain").as_deref(), None)) else { return Ok(()) };
    let activity = if scene.action == "session.reconnect" { Activity::Authenticate } else { Activity::End };
    let mut event = scene.event(activity, &who);
    if event.identity_kind == IdentityKind::Unknown {
        event.identity_kind = IdentityKind::Human;
    }
    event.destination = Some(scene.computer());
    event.destination_kind = Some(Text::const_new("host"));
    event.protocol = Some(Text::const_new("rdp"));
    scene.push(event);
    Ok(())
}

/// 4648: one account uses another's password.
pub(super) fn explicit(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let (Some(who), Some(other)) = (scene.account("Subject"), scene.account("Target")) else { return Ok(()) };
    let mut event = scene.event(Activity::Use, &who);
    let server = record.text("TargetServerName").filter(|server| server != "localhost");
    event.destination = Some(server.map_or_else(|| scene.computer(), |server| join(&["host:", &server.to_ascii_lowercase()])));
    event.destination_kind = Some(Text::const_new("host"));
    event.credential = Some(other.password());
    event.credential_kind = CredentialKind::Password;
    event.credential_parent = Some(other.identity);
    scene.push(event);
    Ok(())
}

/// 4672, 4964: a logon has rights beyond the ordinary.
pub(super) fn special(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(who) = scene.account("Subject").or_else(|| scene.account("Target")) else { return Ok(()) };
    let mut event = scene.event(Activity::Use, &who);
    event.destination = Some(scene.computer());
    event.destination_kind = Some(Text::const_new("host"));
    event.credential = guid(record, "LogonGuid");
    if event.credential.is_some() {
        event.credential_kind = CredentialKind::KerberosTicket;
    }
    scene.push(event);
    Ok(())
}

/// What all events of Kerberos have.
fn kerberos(record: &Record<'_>, scene: &Scene<'_, '_>, activity: Activity) -> Option<(Event, Text)> {
    let who = scene.account("Target")?;
    let mut event = scene.event(activity, &who);
    let realm = who.domain;
    let service = record.text("ServiceName");
    event.destination = Some(join(&["kerberos:", &realm, ":service/", &service.map_or_else(|| "krbtgt".to_owned(), |name| name.to_lowercase())]));
    event.destination_kind = Some(Text::const_new("service"));
    event.destination_service = Some(Text::const_new("kerberos"));
    event.protocol = Some(Text::const_new("kerberos"));
    event.credential_kind = CredentialKind::KerberosTicket;
    event.auth_method = record.text("TicketEncryptionType").and_then(|code| status::encryption(&code));
    event.issuer = Some(join(&["kerberos:", &realm]));
    scene.refuse(&mut event);
    Some((event, realm))
}

/// 4768, 4771, 4772: a ticket-granting ticket was asked for.
pub(super) fn ticket(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some((mut event, realm)) = kerberos(record, scene, Activity::Authenticate) else { return Ok(()) };
    event.issuer = None;
    match record.text("CertThumbprint") {
        Some(thumbprint) => {
            event.credential = Some(Text::from(thumbprint.to_lowercase()));
            event.credential_kind = CredentialKind::X509;
            event.issuer = record.text("CertIssuerName").map(|name| Text::from(name.as_ref()));
            event.auth_method = Some(Text::const_new("pkinit"));
        }
        None => {
            // 2 and 11 are an encrypted time, made with the password's key; 0 is none at all.
            event.credential_kind = CredentialKind::Password;
            if event.outcome == Outcome::Success && record.text("PreAuthType").is_some_and(|kind| kind != "0") {
                event.credential = Some(join(&[&event.identity, "/password"]));
            }
            if record.text("PreAuthType").is_some_and(|kind| kind == "0") && event.outcome == Outcome::Success {
                event.auth_method = event.auth_method.map(|cipher| join(&[&cipher, " without pre-authentication"]));
            }
        }
    }
    // Since Windows Server 2025 the ticket has a name.
    let issued = record.text("ResponseTicket").filter(|_| event.outcome == Outcome::Success).map(|ticket| issue(&event, Text::from(ticket.as_ref()), &realm));
    scene.push(event);
    if let Some(issued) = issued {
        scene.push(issued);
    }
    Ok(())
}

/// 4769: a service ticket, whose logon GUID the service's host repeats in 4624.
pub(super) fn service_ticket(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some((mut event, realm)) = kerberos(record, scene, Activity::Use) else { return Ok(()) };
    event.issuer = None;
    let issued = guid(record, "LogonGuid").filter(|_| event.outcome == Outcome::Success).map(|ticket| issue(&event, ticket, &realm));
    scene.push(event);
    if let Some(issued) = issued {
        scene.push(issued);
    }
    Ok(())
}

pub(super) fn renewed(record: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    if let Some((event, _)) = kerberos(record, scene, Activity::Renew) {
        scene.push(event);
    }
    Ok(())
}

fn issue(event: &Event, ticket: Text, realm: &str) -> Event {
    Event {
        activity: Activity::Issue,
        credential: Some(ticket),
        credential_kind: CredentialKind::KerberosTicket,
        credential_issued_at: Some(event.time),
        credential_parent: event.credential.clone(),
        issuer: Some(join(&["kerberos:", realm])),
        destination: None,
        destination_kind: None,
        destination_service: None,
        ..event.clone()
    }
}

/// 4776, 4777: a controller checked a password with NTLM.
pub(super) fn ntlm(_: &Record<'_>, scene: &mut Scene<'_, '_>) -> Result<(), Reject> {
    let Some(who) = scene.account("Target") else { return Ok(()) };
    let mut event = scene.event(Activity::Authenticate, &who);
    event.protocol = Some(Text::const_new("ntlm"));
    event.auth_method = Some(Text::const_new("ntlm"));
    event.credential_kind = CredentialKind::Password;
    event.destination = Some(scene.computer());
    event.destination_kind = Some(Text::const_new("host"));
    scene.refuse(&mut event);
    if event.outcome == Outcome::Success {
        event.credential = Some(who.password());
    }
    scene.push(event);
    Ok(())
}

/// A logon's GUID as a credential's id.
fn guid(record: &Record<'_>, field: &str) -> Option<Text> {
    let guid = record.text(field)?;
    let guid = guid.trim_matches(['{', '}']).to_ascii_lowercase();
    let empty = guid.bytes().all(|b| matches!(b, b'0' | b'-'));
    (!empty && guid.len() == 36).then(|| join(&["kerberos:logon/", &guid]))
}
