//! `kerberos.log`: AS exchanges authenticate, TGS exchanges use a ticket to get one for a service. Tickets have ids only where
//! `policy/protocols/krb/ticket-logging.zeek` is loaded. The realm is written in capitals and the name in small letters, since
//! Active Directory takes them without regard to case.
//!
//! Source: Zeek, `base/protocols/krb/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, Event, Text};

use super::kind::Kind;
use super::row::{OWN, Row};
use super::scene::{Scene, account_kind, join, name_identity, outcome, server};
use crate::format::Reject;

const REQUEST: usize = OWN;
const CLIENT: usize = OWN + 1;
const SERVICE: usize = OWN + 2;
const SUCCESS: usize = OWN + 3;
const ERROR: usize = OWN + 4;
const FROM: usize = OWN + 5;
const TILL: usize = OWN + 6;
const CIPHER: usize = OWN + 7;
const AUTH_TICKET: usize = OWN + 8;
const NEW_TICKET: usize = OWN + 9;
const CLIENT_CERT: usize = OWN + 10;

pub(super) static KIND: Kind = Kind {
    path: "kerberos",
    fields: &["request_type", "client", "service", "success", "error_msg", "from", "till", "cipher", "auth_ticket", "new_ticket", "client_cert_subject"],
    marks: &["request_type", "forwardable", "new_ticket"],

    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let request = row.text(REQUEST);
    let (activity, action) = match request.as_deref() {
        Some("AS") => (Activity::Authenticate, Text::const_new("kerberos.AS")),
        Some(other) => (Activity::Use, join(&["kerberos.", other])),
        None => (Activity::Use, Text::const_new("kerberos")),
    };
    let mut event = scene.by_client(row, activity, action)?;
    let client = row.text(CLIENT);
    let realm = match client.as_deref().map(|client| client.rsplit_once('/').unwrap_or((client, ""))) {
        Some((name, realm)) if !name.is_empty() => {
            let realm = realm.to_uppercase();
            name_identity(&mut event, "kerberos", &realm, "principal", &name.to_lowercase(), account_kind(name));
            realm
        }
        _ => String::new(),
    };
    event.outcome = outcome(row.flag(SUCCESS));
    event.reason = row.owned(ERROR);
    event.protocol = Some(Text::const_new("kerberos"));
    event.auth_method = row.owned(CIPHER);
    event.destination_service = Some(Text::const_new("kerberos"));
    match row.text(SERVICE) {
        Some(service) => {
            event.destination = Some(join(&["kerberos:", &realm, ":service/", &service]));
            event.destination_kind = Some(Text::const_new("service"));
        }
        None => {
            event.destination = server(row, "host", None);
            event.destination_kind = Some(Text::const_new("host"));
        }
    }
    let (used, new) = (row.owned(AUTH_TICKET), row.owned(NEW_TICKET));
    let issued = new.map(|ticket| issue(&event, row, ticket, used.clone(), &realm));
    if let Some(subject) = row.owned(CLIENT_CERT) {
        event.credential_kind = CredentialKind::X509;
        event.credential_parent = Some(subject);
        event.auth_method = Some(Text::const_new("pkinit"));
    } else if request.is_some() {
        event.credential = used;
        event.credential_kind = CredentialKind::KerberosTicket;
        if issued.is_none() {
            validity(&mut event, row);
        }
    }
    scene.push(event);
    if let Some(issued) = issued {
        scene.push(issued);
    }
    Ok(())
}

/// The ticket's issuance to the same principal.
fn issue(event: &Event, row: &Row<'_>, ticket: Text, parent: Option<Text>, realm: &str) -> Box<Event> {
    let mut issued = Box::new(Event { activity: Activity::Issue, destination: None, destination_kind: None, destination_service: None, ..event.clone() });
    issued.credential = Some(ticket);
    issued.credential_kind = CredentialKind::KerberosTicket;
    issued.credential_parent = parent;
    issued.issuer = Some(join(&["kerberos:", realm]));
    validity(&mut issued, row);
    issued.credential_issued_at = issued.credential_issued_at.or(Some(issued.time));
    issued
}

fn validity(event: &mut Event, row: &Row<'_>) {
    event.credential_issued_at = row.time(FROM);
    event.credential_expires_at = row.time(TILL);
}
