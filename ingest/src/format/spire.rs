//! SPIRE's logs: the server's audit (`audit_log_enabled = true`, JSON), and of an agent what its workloads fetched. Every other line says nothing here.
//!
//! | column | of |
//! |---|---|
//! | identity | the caller's SPIFFE ID; who attests, the agent's; over the server's socket `host:<server>:uid/<uid>`; else `spire:<server>:address/<address>`. At an agent the workload's SPIFFE ID, or its `uid` where it has none |
//! | lifecycle | AttestAgent, BatchNewX509SVID, MintX509SVID, NewDownstreamX509CA issue an x509, NewJWTSVID and MintJWTSVID a JWT, CreateJoinToken a join token: an event of whom it was made for, with the caller as parent; RenewAgent renews; BanAgent, DeleteAgent and BatchDeleteEntry revoke |
//! | credential | of an SVID the hash of its signing request (`csr`), as no line has the serial; a join token is not in the log |
//! | destination | `spire:<trust domain>:<service>` |
//!
//! `request_id` is one for all of a batch, so that ids are made of the line.
//!
//! Source: SPIRE 1.14, `pkg/server/api/audit`, `pkg/server/api/middleware`, `pkg/agent/endpoints`.

mod method;

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use self::method::Effect;
use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fact, fields};

fields! {
    TIME = "time",
    KIND = "type",
    MESSAGE = "msg",
    METHOD = "method",
    SERVICE = "service",
    CALLER = "caller_id",
    CALLER_ADDRESS = "caller_addr",
    CALLER_UID = "caller_uid",
    CALLER_PATH = "caller_path",
    AS = "authorized_as",
    VIA = "authorized_via",
    AGENT = "agent_id",
    ATTESTOR = "node_attestor_type",
    SPIFFE = "spiffe_id",
    PARENT = "parent_id",
    ENTRY = "entry_id",
    CSR = "csr",
    EXPIRES = "expires_at",
    TTL = "ttl",
    STATUS = "status",
    CODE = "status_code",
    STATUS_MESSAGE = "status_message",
    TRUST_DOMAIN = "trust_domain_id",
    REQUEST = "request_id",
    REGISTERED = "registered",
    SELECTORS = "selectors",
    ERROR = "error",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "spire",
    envelopes: &[],
    marks: &[
        (95, &[Mark::Is("type", "audit"), Mark::Has("authorized_as"), Mark::Has("service")]),
        (85, &[Mark::Has("subsystem_name"), Mark::Has("msg"), Mark::Has("level"), Mark::Has("time")]),
        // What its parts write before they have a name.
        (55, &[Mark::Has("msg"), Mark::Has("level"), Mark::Has("time"), Mark::Lacks("name"), Mark::Lacks("subsystem_name")]),
    ],
    fields: &FIELDS,
    id: None,
    who: "caller_id",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    if row.str(KIND) == Some("audit") && row.has(AS) {
        return audit(row, scene);
    }
    match (row.str(METHOD), row.str(MESSAGE)) {
        (Some("FetchX509SVID" | "FetchJWTSVID"), Some(message)) if row.has(REGISTERED) => fetched(row, message, scene),
        (None, Some("Successfully rotated agent SVID")) => renewed(row, scene),
        _ => Ok(()),
    }
}

/// The trust domain of a SPIFFE ID.
fn trust_domain(id: &str) -> Option<&str> {
    id.strip_prefix("spiffe://").map(|rest| rest.split('/').next().unwrap_or(rest)).filter(|domain| !domain.is_empty())
}

/// Makes an event one of a SPIFFE ID.
fn by_id(event: &mut Event, id: &str) {
    event.identity = Text::from(id);
    event.identity_kind = IdentityKind::Workload;
    event.identity_provider = Text::const_new("spiffe");
    event.identity_account = Text::from(trust_domain(id).unwrap_or_default());
}

fn audit(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let method = row.str(METHOD).ok_or_else(|| Reject::malformed("method", "an audit line without a method: what was asked is not said"))?;
    let service = row.str(SERVICE).unwrap_or_default();
    let service = service.rsplit_once('.').map_or(service, |(_, name)| name).to_ascii_lowercase();
    let effect = method::effect(method);
    let activity = match effect {
        Effect::Attest => Activity::Authenticate,
        Effect::Renew => Activity::Renew,
        Effect::Use | Effect::Issue(_) => Activity::Use,
        Effect::Configure | Effect::Revoke => Activity::Configure,
    };
    let mut event = scene.event(time, activity, join(&[&service, ".", method]));
    event.protocol = Some(Text::const_new("grpc"));
    who(row, method, &mut event, scene);
    (event.outcome, event.reason) = match (row.str(STATUS), row.integer(CODE)) {
        (Some("success"), _) => (Outcome::Success, None),
        (_, Some(7 | 16)) => (Outcome::Denied, row.owned(STATUS_MESSAGE)),
        (Some("error"), _) => (Outcome::Failure, row.owned(STATUS_MESSAGE)),
        _ => (Outcome::Unknown, row.owned(STATUS_MESSAGE)),
    };
    event.source_ip = row.address(CALLER_ADDRESS);
    event.user_agent = row.owned(CALLER_PATH);
    event.auth_method = row.owned(ATTESTOR).or_else(|| row.owned(VIA));
    event.session = row.owned(REQUEST);
    let domain = [TRUST_DOMAIN, CALLER, SPIFFE, AGENT].into_iter().find_map(|slot| row.str(slot)).map(|id| trust_domain(id).unwrap_or(id));
    event.destination = Some(join(&["spire:", domain.unwrap_or(scene.cluster), ":", &service]));
    event.destination_kind = Some(Text::const_new("api"));
    event.destination_service = Some(Text::const_new("spire"));
    event.issuer = domain.map(|domain| join(&["spiffe://", domain]));
    if event.identity.starts_with("spiffe://") {
        event.credential_kind = CredentialKind::X509;
    }
    if effect == Effect::Renew {
        event.credential = csr(row);
        event.credential_expires_at = row.time(EXPIRES);
    }
    let told = (event.outcome == Outcome::Success).then(|| lifecycle(row, method, effect, &event)).flatten();
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

/// Who asked.
fn who(row: &Row<'_>, method: &str, event: &mut Event, scene: &Scene<'_>) {
    let attested = row.str(AGENT).filter(|_| method == "AttestAgent");
    match (row.str(CALLER).or(attested), row.integer(CALLER_UID), row.address(CALLER_ADDRESS)) {
        (Some(id), ..) => by_id(event, id),
        (None, Some(uid), _) => by(event, "host", scene.cluster, "uid", &uid.to_string(), IdentityKind::Unknown),
        (None, None, Some(address)) => by(event, "spire", scene.cluster, "address", &address, IdentityKind::Unknown),
        // Refused as a record that names nobody.
        (None, None, None) => {}
    }
}

fn csr(row: &Row<'_>) -> Option<Text> {
    row.str(CSR).map(|hash| join(&["csr:", hash]))
}

/// What becomes of a credential: an event of whom it is.
fn lifecycle(row: &Row<'_>, method: &str, effect: Effect, event: &Event) -> Option<Box<Event>> {
    let subject = row.str(SPIFFE).or_else(|| row.str(AGENT));
    let (activity, kind) = match effect {
        Effect::Issue(kind) => (Activity::Issue, kind),
        Effect::Attest => (Activity::Issue, CredentialKind::X509),
        Effect::Revoke => (Activity::Revoke, CredentialKind::X509),
        _ => return None,
    };
    let subject = subject.or_else(|| (method == "BatchDeleteEntry").then(|| row.str(PARENT)).flatten())?;
    let mut told = fact(event, activity, csr(row), kind);
    by_id(&mut told, subject);
    told.session = row.owned(ENTRY);
    if activity == Activity::Issue {
        let ttl = row
            .integer(TTL)
            .filter(|ttl| *ttl > 0)
            .and_then(|ttl| ttl.checked_mul(Micros::SECOND))
            .and_then(|ttl| Micros(event.time.0.checked_add(ttl)?).in_range("").ok());
        told.credential_expires_at = row.time(EXPIRES).filter(|at| at.0 > 0).or(ttl);
        told.credential_parent = Some(event.identity.clone()).filter(|parent| *parent != told.identity);
    }
    Some(told)
}

/// A workload asked its agent for its SVID.
fn fetched(row: &Row<'_>, message: &str, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = scene.event(row.moment(TIME)?, Activity::Authenticate, join(&["workload.", row.str(METHOD).unwrap_or_default()]));
    event.protocol = Some(Text::const_new("grpc"));
    event.credential_kind = if row.str(METHOD) == Some("FetchJWTSVID") { CredentialKind::Jwt } else { CredentialKind::X509 };
    event.destination = Some(join(&["spire:", row.str(SPIFFE).and_then(trust_domain).unwrap_or(scene.cluster), ":workload"]));
    event.destination_kind = Some(Text::const_new("api"));
    event.destination_service = Some(Text::const_new("spire"));
    event.auth_method = Some(Text::const_new("workload_attestation"));
    match (row.str(SPIFFE), row.flag(REGISTERED)) {
        (Some(id), Some(true)) => {
            by_id(&mut event, id);
            event.outcome = Outcome::Success;
        }
        _ => {
            let selector = |prefix: &str| {
                row.items(SELECTORS).filter_map(|selector| selector.str_at(&["value"])).find_map(|value| value.strip_prefix(prefix).map(Text::from))
            };
            match (selector("uid:"), selector("sa:")) {
                (_, Some(account)) => by(&mut event, "host", scene.cluster, "sa", &account, IdentityKind::Workload),
                (Some(uid), _) => by(&mut event, "host", scene.cluster, "uid", &uid, IdentityKind::Unknown),
                (None, None) => by(&mut event, "host", scene.cluster, "workload", "unknown", IdentityKind::Unknown),
            }
            event.outcome = Outcome::Denied;
            event.reason = Some(row.owned(ERROR).unwrap_or_else(|| Text::from(message)));
        }
    }
    scene.push(event);
    Ok(())
}

/// An agent has a new SVID of its own.
fn renewed(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let Some(id) = row.str(SPIFFE) else { return Ok(()) };
    let mut event = scene.event(row.moment(TIME)?, Activity::Renew, Text::const_new("agent.RotateSVID"));
    by_id(&mut event, id);
    event.protocol = Some(Text::const_new("grpc"));
    event.outcome = Outcome::Success;
    event.credential_kind = CredentialKind::X509;
    event.issuer = trust_domain(id).map(|domain| join(&["spiffe://", domain]));
    scene.push(event);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::FORMAT;
    use crate::format::{Context, Draft, Reject, guarded, shown::shown};
    use crate::redact::{Level, Redactor};

    const SERVER: &str = include_str!("../../fixtures/spire/server.ndjson");

    fn read(log: &str) -> (Vec<Draft>, Vec<Result<crate::format::Disposition, Reject>>) {
        let context =
            Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "spire-0".into(), depth_max: 32, file_name: "server.log".to_owned() };
        let mut parser = guarded(&FORMAT, &context);
        let mut out = Vec::new();
        let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
        (out, answers)
    }

    #[test]
    fn audit_lines_become_events() {
        let (drafts, answers) = read(SERVER);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        insta::assert_json_snapshot!(drafts.iter().map(shown).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_names_nobody_or_no_time_is_refused() {
        for line in [
            r#"{"type":"audit","authorized_as":"nobody","service":"agent.v1.Agent","method":"AttestAgent","msg":"API accessed","level":"info","status":"error","time":"2026-11-22T12:00:00Z"}"#,
            r#"{"type":"audit","authorized_as":"local","caller_uid":0,"service":"agent.v1.Agent","method":"ListAgents","msg":"API accessed","level":"info"}"#,
            r#"{"type":"audit","authorized_as":"local","caller_uid":0,"service":"agent.v1.Agent","msg":"API accessed","level":"info","time":"2026-11-22T12:00:00Z"}"#,
        ] {
            assert!(read(line).1[0].is_err(), "{line}");
        }
    }
}
