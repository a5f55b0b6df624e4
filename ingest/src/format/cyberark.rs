//! CyberArk Vault's audit records, as its syslog translator for JSON writes them: alone or behind a syslog header, the record as an object or as XML in `raw`.
//!
//! Who acted is the issuer. Accounts of the vault's own components (`PasswordManager`, `PSMApp…`, `PVWAAppUser…`, `Prov_…`, `AppProv…`, `Backup`, `DR`) are machines; any other is a person.
//! What was touched is the safe with its file. A change or reconciliation of a password or key (messages 24, 31, 57, 88, …) rotates it.
//!
//! Source: CyberArk, "Privileged Access Manager: Vault audit action codes", "Create a custom XSL translator file".

use keytrail_schemas::{Activity, CredentialKind, IdentityKind, Outcome, Text};

use super::join::join;
use super::kit::{Fields, Row, Said, Scene, Setting, address, by, fact, fields, words};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject, text_of};
use crate::json::Reader;

mod xml;

fields! {
    TIME = "IsoTimestamp",
    HOST = "Hostname",
    CODE = "MessageID",
    ACTION = "Action|Desc|Message",
    SEVERITY = "Severity",
    ISSUER = "Issuer",
    SOURCE = "SourceUser",
    TARGET = "TargetUser",
    SAFE = "Safe",
    FILE = "File",
    STATION = "Station",
    GATEWAY = "GatewayStation",
    REASON = "Reason|ExtraDetails",
    DETAILS = "ExtraDetails",
}

const NAME: &str = "cyberark";

/// The format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CyberArk;

impl Format for CyberArk {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let has = |needle: &str| memchr::memmem::find(sample, needle.as_bytes()).is_some();
        if has("Cyber-Ark") && has("audit_record") { 95 } else { 0 }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Lines { reader: Reader::new(context.depth_max), inner: Reader::new(context.depth_max), setting: Setting::new(NAME, "Issuer", context) })
    }
}

struct Lines {
    reader: Reader,
    inner: Reader,
    setting: Setting,
}

impl Parser for Lines {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let text = text_of(record.trim_ascii());
        if text.is_empty() {
            return Ok(Disposition::Control);
        }
        let json = text
            .find('{')
            .and_then(|at| text.get(at..))
            .ok_or_else(|| Reject::wrong_kind("a line without a JSON object: CyberArk's translator for JSON writes one a line"))?;
        let document = self.reader.parse(json.as_bytes())?;
        let root = document.root();
        let fields: &'static Fields = &FIELDS;
        let mut read = |row: &Row<'_>| self.setting.read(None, json, line, out, |scene| act(row, scene));
        if let Some(record) = root.at(&["syslog", "audit_record"]).or_else(|| root.get("audit_record")) {
            read(&fields.row(record))?;
        } else if let Some(raw) = root.str_at(&["raw"]) {
            let record = xml::as_json(raw);
            let document = self.inner.parse(record.as_bytes())?;
            read(&fields.row(document.root()))?;
        } else {
            return Err(Reject::wrong_kind("neither an audit_record nor raw XML: not a record of CyberArk's audit"));
        }
        Ok(Disposition::Yielded)
    }

    fn shed(&mut self) {
        self.reader.shed();
        self.inner.shed();
    }
}

fn act(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let code = row.text(CODE).unwrap_or_default();
    let action = row.str(ACTION).ok_or_else(|| Reject::malformed("Action", "neither Action nor Desc: what was done is not said"))?;
    let vault = row.owned(HOST).unwrap_or_else(|| scene.cluster.clone());
    let said = WORDS.said_in(action);
    let mut event = scene.event(time, activity(said), action);
    if let Some(issuer) = row.text(ISSUER).or_else(|| row.text(SOURCE)) {
        let (class, kind) = if is_component(&issuer) { ("component", IdentityKind::Service) } else { ("user", IdentityKind::Human) };
        by(&mut event, "cyberark", &vault, class, &issuer, kind);
    } else {
        by(&mut event, "cyberark", &vault, "system", "vault", IdentityKind::Service);
    }
    let word = action.to_ascii_lowercase();
    event.outcome = match () {
        () if said.has(DENIES) => Outcome::Denied,
        () if said.has(FAILS) || row.str(SEVERITY) == Some("Error") => Outcome::Failure,
        () => Outcome::Success,
    };
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON).or_else(|| Some(Text::from(code.as_ref()))) };
    // Through a session manager the station is its own; who sits behind it stands in the details.
    let detail = |name: &str| {
        row.str(DETAILS).and_then(|details| details.split(';').filter_map(|part| part.split_once('=')).find(|(own, _)| *own == name)).map(|(_, value)| value)
    };
    event.source_ip = detail("SrcHost").and_then(address).or_else(|| row.address(STATION));
    event.source_host = row.owned(GATEWAY);
    event.session = detail("SessionID").map(Text::from);
    event.protocol = detail("Protocol").map(|protocol| Text::from(protocol.to_lowercase())).or(event.protocol);
    event.destination_service = Some(Text::const_new("cyberark"));
    if let Some(safe) = row.text(SAFE) {
        let file = row.text(FILE).map(|file| join(&["/", file.strip_prefix("Root\\").unwrap_or(&file)])).unwrap_or_default();
        event.destination = Some(join(&["cyberark:", &vault, ":safe/", &safe, &file]));
        event.destination_kind = Some(Text::const_new(if file.is_empty() { "safe" } else { "secret" }));
    } else if let Some(target) = row.text(TARGET) {
        event.destination = Some(join(&["cyberark:", &vault, ":user/", &target]));
        event.destination_kind = Some(Text::const_new("user"));
    }
    let told = (event.outcome == Outcome::Success && rotates(&word)).then(|| {
        let kind = if word.contains("ssh key") { CredentialKind::SshKey } else { CredentialKind::Password };
        fact(&event, Activity::Rotate, event.destination.clone(), kind)
    });
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn rotates(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "cpm change password",
        "cpm reconcile password",
        "cpm change ssh key",
        "store password",
        "store ssh key",
        "set password",
        "reset user password",
        "change password",
    ];
    WORDS.contains(&word)
}

fn is_component(name: &str) -> bool {
    const COMPONENTS: &[&str] = &[
        "passwordmanager",
        "psm",
        "pvwaappuser",
        "pvwagwuser",
        "pvwaprov",
        "prov_",
        "appprov",
        "aim",
        "backup",
        "dr",
        "batch",
        "notificationengine",
        "builtin",
        "scimapp",
        "eva",
        "sca_",
        "cpm",
    ];
    let name = name.to_ascii_lowercase();
    COMPONENTS.iter().any(|component| {
        if component.len() <= 3 && *component != "psm" && *component != "aim" && *component != "cpm" { name == *component } else { name.starts_with(component) }
    })
}

words! {
    ENDS = ["logoff", "disconnect", "session end"];
    LOGINS = ["logon", "authentication", "full gateway connection", "log on"];
    GRANTS = ["add owner", "update owner", "add group member", "add safe owner", "confirm request", "authorize", "add member"];
    CHANGES = [
        "add user",
        "update user",
        "delete user",
        "add safe",
        "update safe",
        "delete safe",
        "policy",
        "rule",
        "add location",
        "add group",
        "delete group",
        "update group",
        "monitor",
        "suspend user",
        "activate user",
        "disable",
        "enable",
    ];
    FAILS = ["fail", "illegal"];
    DENIES = ["denied", "unauthori", "disallowed"];
}

fn activity(said: Said) -> Activity {
    if said.has(ENDS) {
        Activity::End
    } else if said.has(LOGINS) {
        Activity::Authenticate
    } else if said.has(GRANTS) {
        Activity::Grant
    } else if said.has(CHANGES) {
        Activity::Configure
    } else {
        Activity::Use
    }
}
