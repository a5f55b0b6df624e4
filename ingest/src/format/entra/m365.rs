//! Microsoft 365's unified audit log, as the Office 365 Management Activity API writes it.
//!
//! `UserType` tells human and machine apart: 4 (system), 5 (application) and 6 (service principal) are machines, as are user ids of Microsoft's own services; any other is a
//! person. Identities are those of Entra, so that one's sign-ins and its acts in Exchange, SharePoint and Teams stand under one name.
//!
//! Source: Microsoft, "Office 365 Management Activity API schema", Common schema, `UserType`, `AuditLogRecordType`.

use keytrail_schemas::{Activity, CredentialKind, IdentityKind, Outcome, Text};

use super::identity::{application, person};
use crate::format::Reject;
use crate::format::join::join;
use crate::format::kit::{Mark, Row, Scene, Shape, fields, small, words};

fields! {
    ID = "Id",
    TIME = "CreationTime|p_event_time",
    ACTION = "Operation",
    ORGANISATION = "OrganizationId",
    USER = "UserId",
    USER_KIND = "UserType",
    WORKLOAD = "Workload",
    RESULT = "ResultStatus",
    REASON = "LogonError|ResultStatusDetail",
    IP = "ClientIP|ClientIPAddress|ActorIpAddress",
    OBJECT = "ObjectId|SiteUrl|MailboxOwnerUPN",
    KIND = "ItemType|RecordType",
    APP = "AppId|ApplicationId|ClientAppId",
    AGENT = "UserAgent|ClientInfoString",
    SESSION = "SessionId|AppAccessContext.AADSessionId",
    TOKEN = "AppAccessContext.UniqueTokenId",
}

pub(in crate::format) static FORMAT: Shape = Shape {
    name: "m365_audit",
    envelopes: &[],
    marks: &[
        (92, &[Mark::Has("CreationTime"), Mark::Has("Operation"), Mark::Has("Workload")]),
        (88, &[Mark::Has("CreationTime"), Mark::Has("Operation"), Mark::Has("OrganizationId"), Mark::Has("RecordType")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "UserId",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let action = row.str(ACTION).ok_or_else(|| Reject::malformed("Operation", "no Operation: what was done is not said"))?;
    let tenant = row.str(ORGANISATION).unwrap_or(scene.cluster).to_lowercase();
    let mut event = scene.event(time, activity(action), action);
    let user = row.str(USER);
    let machine = matches!(row.integer(USER_KIND), Some(4..=6)) || user.is_some_and(is_service);
    if machine {
        let principal = user.map(|user| user.strip_prefix("ServicePrincipal_").unwrap_or(user));
        application(&mut event, &tenant, row.str(APP), principal, None, IdentityKind::Service);
    } else {
        person(&mut event, &tenant, user, None);
    }
    event.outcome = match row.text(RESULT).as_deref() {
        Some("PartiallySucceeded" | "Partially succeeded") => Outcome::Success,
        Some(word) => crate::format::kit::outcome(word).unwrap_or_default(),
        None if action.contains("Failed") => Outcome::Failure,
        None => Outcome::Success,
    };
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON) };
    event.source_ip = row.address(IP);
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(SESSION);
    if let Some(token) = row.owned(TOKEN) {
        event.credential = Some(token);
        event.credential_kind = CredentialKind::OauthToken;
    }
    let workload = row.text(WORKLOAD).unwrap_or_default().to_lowercase();
    event.destination = row.text(OBJECT).map(|object| join(&["m365:", &workload, "/", &object]));
    event.destination_kind = event.destination.is_some().then(|| row.text(KIND).map_or(Text::const_new("object"), |kind| small(&kind)));
    event.destination_service = (!workload.is_empty()).then(|| Text::from(workload));
    scene.push(event);
    Ok(())
}

fn is_service(user: &str) -> bool {
    user.starts_with("ServicePrincipal_")
        || user.starts_with("NT AUTHORITY")
        || user.starts_with("NT SERVICE")
        || matches!(user, "app@sharepoint" | "SHAREPOINT\\system" | "Microsoft.Exchange.AgentService")
}

words! {
    LOGINS = ["userloggedin", "userloginfailed", "mailboxlogin"];
    GRANTS = [
        "consent to application",
        "add member to role",
        "add app role assignment",
        "add-mailboxpermission",
        "add-recipientpermission",
        "addedtogroup",
        "sharinginvitation",
        "companylinkcreated",
        "anonymouslinkcreated",
    ];
}

fn activity(action: &str) -> Activity {
    const VERBS: &[&str] = &["set-", "new-", "remove-", "enable-", "disable-", "add ", "update ", "delete "];
    let begins = |verb: &&str| action.as_bytes().get(..verb.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(verb.as_bytes()));
    let said = WORDS.said_in(action);
    if said.has(LOGINS) {
        Activity::Authenticate
    } else if said.has(GRANTS) {
        Activity::Grant
    } else if VERBS.iter().any(begins) {
        Activity::Configure
    } else {
        Activity::Use
    }
}
