//! Teleport's audit events, as its file and its exporter (`teleport-event-handler`) write them.
//!
//! Who acted: a bot (`bot-…`, `user_kind` 2, a `bot_name`) is a machine, `teleport:<cluster>:bot/<name>`; a node or agent that joins is a device; any other user is a
//! person. A certificate that is created is issued to the identity in it, with its validity; locks revoke; join tokens are credentials.
//!
//! Source: Teleport, "Audit Event Reference", `lib/events/api.go`, `lib/events/codes.go`.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fact, fields, time_of};

fields! {
    ID = "uid",
    TIME = "time|p_event_time",
    KIND = "event",
    CODE = "code",
    CLUSTER = "cluster_name",
    USER = "user|identity.user",
    USER_KIND = "user_kind|identity.user_kind",
    BOT = "bot_name|identity.bot_name",
    INSTANCE = "bot_instance_id|identity.bot_instance_id",
    SUCCESS = "success",
    ERROR = "error|message|exit_error",
    ADDR = "\"addr.remote\"|addr.remote|remote_addr|addr_remote|client_addr|identity.client_ip",
    AGENT = "user_agent",
    METHOD = "method|auth_method",
    SESSION = "sid",
    HOST = "server_hostname|server_id|node_name|host_id",
    DB = "db_service",
    DB_NAME = "db_name",
    DB_PROTOCOL = "db_protocol",
    APP = "app_name|app_uri|app_public_addr",
    KUBE = "kubernetes_cluster",
    DESKTOP = "desktop_name|desktop_addr|windows_desktop_service",
    RESOURCE = "name|token_name|target.user",
    PROTOCOL = "proto|protocol",
    CERT_KIND = "cert_type",
    EXPIRES = "identity.expires|expires",
    FINGERPRINT = "cert_fingerprint|identity.mfa_device_uuid",
    TOKEN = "token_name",
    IMPERSONATOR = "impersonator|identity.impersonator",
    NODE = "node_name|host_id",
    LOCKED = "target",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "teleport_audit",
    envelopes: &[],
    marks: &[
        (92, &[Mark::Has("code"), Mark::Has("event"), Mark::Has("uid"), Mark::Has("time")]),
        (88, &[Mark::Begins("code", "T"), Mark::Has("event"), Mark::Has("time")]),
        (80, &[Mark::Begins("code", "T"), Mark::Has("event"), Mark::Has("user")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "user",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let kind = row.str(KIND).ok_or_else(|| Reject::malformed("event", "no event: what was done is not said"))?;
    let cluster = row.owned(CLUSTER).unwrap_or_else(|| scene.cluster.clone());
    let mut event = scene.event(time, activity(kind), kind);
    who(&mut event, row, kind, &cluster);
    // Codes end in I for what went well, W for a warning, E for a failure.
    let failed = row.flag(SUCCESS) == Some(false) || row.str(CODE).is_some_and(|code| code.ends_with('E'));
    let warned = row.str(CODE).is_some_and(|code| code.ends_with('W'));
    event.outcome = match (row.flag(SUCCESS), failed, warned) {
        (Some(true), ..) => Outcome::Success,
        (_, true, _) => Outcome::Failure,
        (_, _, true) if kind.contains("reject") || kind.contains("denied") || kind == "auth" || row.has(ERROR) => Outcome::Denied,
        (_, _, true) => Outcome::Failure,
        _ => Outcome::Success,
    };
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(ERROR).or_else(|| row.owned(CODE)) };
    event.source_ip = row.address(ADDR);
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(SESSION);
    event.auth_method = row.owned(METHOD);
    event.credential_parent = row.owned(IMPERSONATOR).map(|user| join(&["teleport:", &cluster, ":", class_of(&user), "/", name_of(&user)]));
    event.protocol = row
        .owned(DB_PROTOCOL)
        .or_else(|| row.owned(PROTOCOL))
        .or_else(|| (kind.starts_with("session.") || kind == "scp" || kind == "exec").then(|| Text::const_new("ssh")));
    destination(&mut event, row, &cluster);
    let told = lifecycle(&event, row, kind, &cluster);
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn class_of(user: &str) -> &'static str {
    if user.starts_with("bot-") || user.starts_with("@teleport-bot") { "bot" } else { "user" }
}

fn name_of(user: &str) -> &str {
    user.strip_prefix("bot-").unwrap_or(user)
}

fn who(event: &mut Event, row: &Row<'_>, kind: &str, cluster: &str) {
    let user = row.str(USER).filter(|user| *user != "system" || kind.starts_with("user."));
    if let Some(bot) = row.str(BOT) {
        by(event, "teleport", cluster, "bot", bot, IdentityKind::Workload);
        event.source_host = row.owned(INSTANCE);
    } else if kind == "instance.join" || row.str(CERT_KIND) == Some("host") {
        if let Some(node) = row.str(NODE).or(user).or_else(|| row.str(RESOURCE)) {
            by(event, "teleport", cluster, "node", node, IdentityKind::Device);
        }
    } else if let Some(user) = user {
        let machine = class_of(user) == "bot" || row.integer(USER_KIND) == Some(2) || row.str(USER_KIND) == Some("USER_KIND_BOT");
        let (class, kind) = if machine { ("bot", IdentityKind::Workload) } else { ("user", IdentityKind::Human) };
        by(event, "teleport", cluster, class, name_of(user), kind);
    } else if let Some(host) = row.str(HOST) {
        by(event, "teleport", cluster, "node", host, IdentityKind::Device);
    } else {
        by(event, "teleport", cluster, "system", "teleport", IdentityKind::Service);
    }
}

fn destination(event: &mut Event, row: &Row<'_>, cluster: &str) {
    let (class, name) = if let Some(db) = row.text(DB) {
        ("database", db)
    } else if let Some(kube) = row.text(KUBE) {
        ("kubernetes", kube)
    } else if let Some(app) = row.text(APP) {
        ("application", app)
    } else if let Some(desktop) = row.text(DESKTOP) {
        ("desktop", desktop)
    } else if let Some(host) = row.text(HOST) {
        ("host", host)
    } else if let Some(resource) = row.text(RESOURCE) {
        ("resource", resource)
    } else {
        ("cluster", cluster.into())
    };
    let within = row.text(DB_NAME).filter(|_| class == "database").map(|name| join(&["/", &name])).unwrap_or_default();
    event.destination = Some(join(&["teleport:", cluster, ":", class, "/", &name, &within]));
    event.destination_kind = Some(Text::const_new(class));
    event.destination_service = Some(Text::const_new("teleport"));
}

fn activity(kind: &str) -> Activity {
    match kind {
        "user.login" | "auth" | "bot.join" | "instance.join" | "mfa_auth_challenge.validate" | "device.authenticate" | "spiffe.svid.issued" => {
            Activity::Authenticate
        }
        "session.end" | "session.leave" | "app.session.end" | "db.session.end" | "windows.desktop.session.end" => Activity::End,
        "access_request.create"
        | "access_request.review"
        | "access_request.update"
        | "role.created"
        | "role.updated"
        | "access_list.create"
        | "access_list.member.create" => Activity::Grant,
        _ if kind.starts_with("session.")
            || kind.starts_with("db.")
            || kind.starts_with("app.")
            || kind.starts_with("kube.")
            || kind.starts_with("windows.desktop.") =>
        {
            Activity::Use
        }
        "scp" | "sftp" | "exec" | "port" | "subsystem" | "cert.create" | "client.disconnect" => Activity::Use,
        _ => Activity::Configure,
    }
}

fn lifecycle(event: &Event, row: &Row<'_>, kind: &str, cluster: &str) -> Option<Box<Event>> {
    if event.outcome != Outcome::Success {
        return None;
    }
    let mut told = match kind {
        "cert.create" => {
            let mut ssh = fact(event, Activity::Issue, row.owned(FINGERPRINT), CredentialKind::X509);
            ssh.credential_expires_at = row.value(EXPIRES).and_then(time_of);
            ssh
        }
        "join_token.create" | "bot.create" if row.has(TOKEN) || kind == "join_token.create" => {
            let token = row.text(TOKEN).or_else(|| row.text(RESOURCE)).map(|name| join(&["teleport:", cluster, ":token/", &name]));
            let mut issued = fact(event, Activity::Issue, token, CredentialKind::ApiToken);
            issued.credential_expires_at = row.value(EXPIRES).and_then(time_of);
            issued
        }
        "lock.created" => fact(event, Activity::Revoke, None, CredentialKind::Unknown),
        "user.password_change" | "recovery_code.generated" => fact(event, Activity::Rotate, None, CredentialKind::Password),
        "user.delete" | "bot.delete" => fact(event, Activity::Revoke, None, CredentialKind::Unknown),
        _ => return None,
    };
    if matches!(kind, "user.delete" | "bot.delete" | "lock.created") {
        let locked = row.value(LOCKED).and_then(|target| target.str_at(&["user"])).or_else(|| row.str(RESOURCE))?;
        let machine = class_of(locked) == "bot" || kind == "bot.delete";
        let (class, kind) = if machine { ("bot", IdentityKind::Workload) } else { ("user", IdentityKind::Human) };
        by(&mut told, "teleport", cluster, class, name_of(locked), kind);
    }
    told.issuer = Some(join(&["teleport:", cluster]));
    Some(told)
}
