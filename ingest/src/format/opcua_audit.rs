//! Audit events of OPC UA servers, as keytrail's own subscription writes them (`keytrail-live`, version 1): a record an event, its fields under the names of
//! the specification, values as their kinds and lengths. docs/formats.md describes the shape; whoever has such events may write it too.
//!
//! What happens in a session belongs to who logged in: the subscriber remembers that, and says it in each record of the session (`Session`). A session that
//! ends without anybody having logged in, and without a refusal, is a refused login: servers before OPC UA 1.05 tell it by nothing else.
//!
//! Source: OPC 10000-5, 6.4 (audit events); OPC 10000-4, 6.5 (which service raises which).

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fields};

fields! {
    SERVER = "Server",
    STATE = "SourceState",
    FROM = "From",
    TO = "To",
    REASON = "Reason",
    ID = "EventId",
    TYPE = "EventTypeName|EventType",
    SOURCE = "SourceName",
    TIME = "Time|ActionTimeStamp|ReceiveTime|Received",
    STATUS = "Status",
    CODE = "StatusCodeId",
    USER = "ClientUserId",
    SESSION = "SessionId",
    TOKEN = "UserIdentityToken.Type",
    TOKEN_NAME = "UserIdentityToken.Name",
    TOKEN_PRINT = "UserIdentityToken.Certificate.Thumbprint",
    TOKEN_SUBJECT = "UserIdentityToken.Certificate.Subject",
    TOKEN_FROM = "UserIdentityToken.Certificate.NotBefore",
    TOKEN_TO = "UserIdentityToken.Certificate.NotAfter",
    CLIENT_URI = "ClientCertificate.ApplicationUri|Certificate.ApplicationUri|Session.ClientCertificate.ApplicationUri",
    CLIENT_PRINT = "ClientCertificate.Thumbprint|Certificate.Thumbprint|Session.ClientCertificate.Thumbprint",
    CLIENT_SUBJECT = "ClientCertificate.Subject|Certificate.Subject|Session.ClientCertificate.Subject",
    CLIENT_FROM = "ClientCertificate.NotBefore|Certificate.NotBefore|Session.ClientCertificate.NotBefore",
    CLIENT_TO = "ClientCertificate.NotAfter|Certificate.NotAfter|Session.ClientCertificate.NotAfter",
    CREATED = "Session.Created",
    ACTIVATED = "Session.Activated",
    REFUSED = "Session.Refused",
    LOGIN = "Session.UserIdentityToken.Type",
    LOGIN_NAME = "Session.UserIdentityToken.Name",
    LOGIN_PRINT = "Session.UserIdentityToken.Certificate.Thumbprint",
    LOGIN_SUBJECT = "Session.UserIdentityToken.Certificate.Subject",
    LOGIN_FROM = "Session.UserIdentityToken.Certificate.NotBefore",
    LOGIN_TO = "Session.UserIdentityToken.Certificate.NotAfter",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "opcua_audit",
    envelopes: &[],
    marks: &[(98, &[Mark::Has("opcua_audit"), Mark::Has("Server"), Mark::Has("Sequence")])],
    fields: &FIELDS,
    id: None,
    who: "ClientUserId",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let url = row.str(SERVER).ok_or_else(|| Reject::malformed("Server", "no Server: whose event it is is not said"))?;
    let authority = url.strip_prefix("opc.tcp://").unwrap_or(url).split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(authority, |(host, _)| host);
    if let Some(state) = row.str(STATE) {
        return source_state(row, scene, state, host, authority);
    }
    if let Some(id) = row.str(ID) {
        scene.set_id(Some(join(&[authority, "/", id])));
    }
    let kind = row.str(TYPE).ok_or_else(|| Reject::malformed("EventType", "no EventType: what was done is not said"))?;
    let Act { action, activity } = act(kind, row.str(SOURCE).unwrap_or_default());
    let mut event = scene.event(row.moment(TIME)?, activity, action);
    place(&mut event, authority);
    event.session = row.owned(SESSION);
    actor(&mut event, row, host, kind);
    settle(&mut event, row);
    // Nobody logged in, and nobody was refused: an older server says a refused login by silence.
    let never = activity == Activity::End && row.has(CREATED) && !row.has(ACTIVATED) && !row.has(REFUSED);
    if never {
        let mut login =
            Event { activity: Activity::Authenticate, action: Some(Text::const_new("opcua.ActivateSession")), outcome: Outcome::Failure, ..(*event).clone() };
        login.reason = Some(Text::const_new("the session was closed before anybody had logged in"));
        scene.push(login);
    }
    scene.push(event);
    Ok(())
}

/// What keytrail says of its own subscription.
fn source_state(row: &Row<'_>, scene: &mut Scene<'_>, state: &str, host: &str, authority: &str) -> Result<(), Reject> {
    let (slot, activity, outcome) = match state {
        "subscribed" => (TO, Activity::Use, Outcome::Success),
        "silent" => (FROM, Activity::End, Outcome::Failure),
        "resumed" => (TO, Activity::Use, Outcome::Success),
        "lost" => (TO, Activity::Use, Outcome::Failure),
        _ => {
            return Err(Reject::malformed(
                "SourceState",
                "a state of the source that is none of subscribed, silent, resumed, lost: the record was made by a newer keytrail",
            ));
        }
    };
    let mut event = scene.event(row.moment(slot)?, activity, join(&["source.", state]));
    place(&mut event, authority);
    by(&mut event, "keytrail", host, "source", scene.cluster, IdentityKind::Service);
    event.outcome = outcome;
    let since = row.time(FROM).map(keytrail_schemas::Micros::to_rfc3339).unwrap_or_default();
    event.reason = match (state, row.str(REASON)) {
        ("subscribed", _) => None,
        ("silent", reason) => Some(join(&["nothing is heard since ", &since, ": ", reason.unwrap_or("not said")])),
        ("resumed", reason) => Some(join(&["nothing was heard from ", &since, " until now: ", reason.unwrap_or("not said")])),
        (_, reason) => Some(join(&["events since ", &since, " are lost: ", reason.unwrap_or("not said")])),
    };
    scene.push(event);
    Ok(())
}

fn place(event: &mut Event, authority: &str) {
    event.destination = Some(join(&["opcua:", authority]));
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new("opcua"));
    event.protocol = Some(Text::const_new("opcua"));
}

struct Act {
    action: Text,
    activity: Activity,
}

/// The service that a type of event tells of; of a server's own type, its name.
fn act(kind: &str, source: &str) -> Act {
    let is = |action: &'static str, activity| Act { action: Text::const_new(action), activity };
    match kind {
        "AuditOpenSecureChannelEventType" => is("opcua.OpenSecureChannel", Activity::Use),
        "AuditChannelEventType" => is("opcua.CloseSecureChannel", Activity::End),
        "AuditCreateSessionEventType" | "AuditUrlMismatchEventType" => is("opcua.CreateSession", Activity::Use),
        "AuditActivateSessionEventType" => is("opcua.ActivateSession", Activity::Authenticate),
        "AuditCancelEventType" => is("opcua.Cancel", Activity::Use),
        "AuditSessionEventType" if source.contains("Timeout") => is("opcua.SessionTimeout", Activity::End),
        "AuditSessionEventType" => is("opcua.CloseSession", Activity::End),
        "AuditWriteUpdateEventType" | "AuditUpdateEventType" => is("opcua.Write", Activity::Use),
        "AuditUpdateMethodEventType" => is("opcua.Call", Activity::Use),
        "AuditAddNodesEventType" => is("opcua.AddNodes", Activity::Configure),
        "AuditDeleteNodesEventType" => is("opcua.DeleteNodes", Activity::Configure),
        "AuditAddReferencesEventType" => is("opcua.AddReferences", Activity::Configure),
        "AuditDeleteReferencesEventType" => is("opcua.DeleteReferences", Activity::Configure),
        _ if kind.starts_with("AuditHistory") => is("opcua.HistoryUpdate", Activity::Use),
        // Acknowledging, shelving and silencing of alarms, and steps of programs, are calls.
        _ if kind.starts_with("AuditCondition") || kind.contains("ProgramTransition") => is("opcua.Call", Activity::Use),
        _ => {
            let word = kind.strip_suffix("EventType").unwrap_or(kind);
            let word = word.strip_prefix("Audit").or_else(|| word.strip_suffix("Audit")).unwrap_or(word);
            let activity = match kind {
                _ if kind.starts_with("AuditCertificate") => Activity::Authenticate,
                _ if kind.contains("TrustList") || kind.contains("Certificate") || kind.contains("RoleMapping") || kind.contains("KeyCredential") => {
                    Activity::Configure
                }
                _ => Activity::Use,
            };
            Act { action: join(&["opcua.", if word.is_empty() { "Audit" } else { word }]), activity }
        }
    }
}

/// Slots of a login: the event's own, or that of its session.
struct Login {
    kind: usize,
    name: usize,
    print: usize,
    subject: usize,
    from: usize,
    to: usize,
}

const OWN: Login = Login { kind: TOKEN, name: TOKEN_NAME, print: TOKEN_PRINT, subject: TOKEN_SUBJECT, from: TOKEN_FROM, to: TOKEN_TO };
const SESSIONS: Login = Login { kind: LOGIN, name: LOGIN_NAME, print: LOGIN_PRINT, subject: LOGIN_SUBJECT, from: LOGIN_FROM, to: LOGIN_TO };

/// Who acted: the user that logged in, else the user that the server names, else the application.
fn actor(event: &mut Event, row: &Row<'_>, host: &str, kind: &str) {
    let opens = matches!(event.action.as_deref(), Some("opcua.CreateSession" | "opcua.OpenSecureChannel")) || kind.starts_with("AuditCertificate");
    let login = [&OWN, &SESSIONS].into_iter().find(|login| row.has(login.kind)).filter(|_| !opens);
    let mut named = false;
    if let Some(login) = login {
        let (method, credential) = match row.str(login.kind).unwrap_or_default() {
            "Anonymous" => ("anonymous", CredentialKind::Unknown),
            "UserName" => ("password", CredentialKind::Password),
            "X509" => ("x509", CredentialKind::X509),
            "Issued" => ("issued_token", CredentialKind::Jwt),
            _ => ("unknown", CredentialKind::Unknown),
        };
        event.auth_method = Some(Text::const_new(method)).filter(|method| method != "unknown");
        event.credential_kind = credential;
        event.credential = row.owned(login.print);
        event.credential_issued_at = row.time(login.from);
        event.credential_expires_at = row.time(login.to);
        let name = row.owned(login.name).or_else(|| row.str(login.subject).map(common_name)).or_else(|| row.owned(login.print));
        if let Some(name) = name {
            by(event, "opcua", host, "user", &name, IdentityKind::Unknown);
            named = true;
        }
    }
    let anonymous = |user: &str| user.eq_ignore_ascii_case("anonymous");
    if !named
        && !opens
        && event.auth_method.as_deref() != Some("anonymous")
        && let Some(user) = row.text(USER)
    {
        if anonymous(&user) {
            event.auth_method = Some(Text::const_new("anonymous"));
        } else {
            // Of a certificate servers give the whole name.
            by(event, "opcua", host, "user", &common_name(&user), IdentityKind::Unknown);
            named = true;
        }
    }
    if named {
        event.user_agent = row.owned(CLIENT_URI);
        return;
    }
    let client = row.owned(CLIENT_URI).or_else(|| row.str(CLIENT_SUBJECT).map(common_name)).or_else(|| row.owned(CLIENT_PRINT));
    by(event, "opcua", host, "client", client.as_deref().unwrap_or("unknown"), IdentityKind::Device);
    if let Some(thumbprint) = row.owned(CLIENT_PRINT) {
        event.credential = Some(thumbprint);
        event.credential_kind = CredentialKind::X509;
        event.credential_issued_at = row.time(CLIENT_FROM);
        event.credential_expires_at = row.time(CLIENT_TO);
    }
}

/// The common name of a distinguished name, else all of it.
fn common_name(subject: &str) -> Text {
    let part = subject.split([',', '/']).map(str::trim).find_map(|part| part.strip_prefix("CN="));
    part.filter(|name| !name.is_empty()).unwrap_or(subject).into()
}

/// How it ended: `Status`, and the code where the server gives one.
fn settle(event: &mut Event, row: &Row<'_>) {
    const DENIALS: [&str; 8] =
        ["AccessDenied", "IdentityToken", "UserSignature", "Certificate", "SecurityChecks", "NotWritable", "Unauthorized", "PolicyRejected"];
    let code = row.str(CODE).filter(|code| code.starts_with("Bad"));
    event.outcome = match (row.flag(STATUS), code) {
        (_, Some(code)) if DENIALS.iter().any(|word| code.contains(word)) => Outcome::Denied,
        (Some(false), _) | (_, Some(_)) => Outcome::Failure,
        (Some(true), None) => Outcome::Success,
        (None, None) => Outcome::Unknown,
    };
    event.reason = code.map(Text::from);
}
