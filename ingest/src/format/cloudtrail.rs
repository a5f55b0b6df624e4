//! AWS `CloudTrail`: management, data, network-activity and sign-in events, in every envelope that AWS delivers them in.
//!
//! Source: AWS `CloudTrail` User Guide, "CloudTrail record contents", "CloudTrail userIdentity element". Digest files and
//! Insights events are recognised: the one attests files, the other judges; neither is something an identity did.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::envelope::{self, Envelope, Opening};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use crate::json::{Reader, Value};

mod activity;
mod arn;
mod certificate;
mod credential;
mod destination;
mod identity;
mod record;

use identity::Principal;
use record::Record;

const NAME: &str = "cloudtrail";

/// The format.
#[derive(Debug, Clone, Copy)]
pub struct CloudTrail;

impl Format for CloudTrail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Json
    }

    fn envelopes(&self) -> &'static [&'static str] {
        &["Records", "logEvents", "Events"]
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let has = |needle: &str| memchr::memmem::find(sample, needle.as_bytes()).is_some();
        let mut reader = Reader::default();
        let Ok(doc) = reader.parse(sample) else {
            // A piece of a great file: judge by its words.
            return if has("\"eventSource\"") && has("\"userIdentity\"") && has("\"eventName\"") { 60 } else { 0 };
        };
        sniff_value(doc.root(), 0)
    }

    fn sniff_value(&self, value: Value<'_>) -> u8 {
        sniff_value(value, 0)
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(CloudTrailParser {
            reader: Reader::new(context.depth_max),
            parameters: Reader::new(context.depth_max),
            response: Reader::new(context.depth_max),
        })
    }
}

fn sniff_value(value: Value<'_>, nesting: u8) -> u8 {
    if is_record(value) {
        let amazon = value.get("eventSource").or_else(|| value.get("eventsource")).and_then(Value::as_str).is_some_and(|s| s.contains(".amazonaws.com"));
        return if amazon && value.get("eventVersion").is_some() { 100 } else { 90 };
    }
    if is_digest(value) {
        return 100;
    }
    if is_s3_notification(value) {
        return 0;
    }
    if nesting >= envelope::NESTING_MAX {
        return 0;
    }
    match envelope::open(value, is_record) {
        Envelope::Within(inner) => sniff_value(inner, nesting + 1),
        Envelope::Texts(texts) => {
            let mut reader = Reader::default();
            texts.first().and_then(|text| reader.parse(text.as_bytes()).ok().map(|doc| sniff_value(doc.root(), nesting + 1))).unwrap_or(0)
        }
        Envelope::None | Envelope::Empty => 0,
    }
}

/// Whether this is a `CloudTrail` event and no envelope. Events are met that lack most of their fields.
fn is_record(value: Value<'_>) -> bool {
    let mut marks = 0;
    for (key, value) in value.entries() {
        match key {
            "eventSource" | "eventsource" if value.as_str().is_some_and(|s| !s.starts_with("aws:")) => marks += 1,
            "eventName" | "eventname" | "userIdentity" | "useridentity" | "eventTime" | "eventtime" | "eventType" | "eventtype" | "eventID" | "eventid" => {
                marks += 1
            }
            "insightDetails" | "insightdetails" => marks += 3,
            "Records" | "detail" | "logEvents" => return false,
            _ => {}
        }
        if marks >= 3 {
            return true;
        }
    }
    false
}

fn is_digest(value: Value<'_>) -> bool {
    value.get("digestStartTime").is_some() && value.get("logFiles").is_some()
}

fn is_s3_notification(value: Value<'_>) -> bool {
    value.get("eventSource").and_then(Value::as_str) == Some("aws:s3")
}

struct CloudTrailParser {
    reader: Reader,
    /// Athena gives request parameters and response elements as strings of JSON.
    parameters: Reader,
    response: Reader,
}

impl Parser for CloudTrailParser {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let mut opening = Opening::new(out, line);
        self.unwrap(record, &mut opening, 0)?;
        Ok(opening.end())
    }

    fn shed(&mut self) {
        self.reader.shed();
        self.parameters.shed();
        self.response.shed();
    }
}

impl CloudTrailParser {
    /// Opens envelopes, `nesting` of which were opened before, and reads the events within.
    fn unwrap(&mut self, record: &[u8], opening: &mut Opening<'_>, nesting: u8) -> Result<(), Reject> {
        let texts = {
            let doc = self.reader.parse(record)?;
            let root = doc.root();
            if !root.is_object() && !root.is_array() {
                return Err(Reject::malformed("", "a CloudTrail event is a JSON object"));
            }
            let value = match envelope::open(root, is_record) {
                // EventBridge's envelope is kept with the record; of any other one nothing is known.
                Envelope::Within(inner) if root.get("detail").is_none() => Err(vec![inner.to_json()]),
                Envelope::Texts(texts) if nesting < envelope::NESTING_MAX => Err(texts),
                Envelope::Texts(_) => return Err(Reject::malformed("", "envelopes are nested too deep")),
                Envelope::Empty => return Ok(()),
                Envelope::Within(inner) => Ok(inner),
                Envelope::None => Ok(root),
            };
            match value {
                Ok(value) => return event(value, record, opening.line, opening.out, (&mut self.parameters, &mut self.response)),
                Err(texts) => texts,
            }
        };
        opening.each(&texts, |text, opening| self.unwrap(text.as_bytes(), opening, nesting + 1))
    }
}

/// Reads one event from `value`, which stands in `raw`.
fn event(value: Value<'_>, raw: &[u8], line: u64, out: &mut Vec<Draft>, (parameters, response): (&mut Reader, &mut Reader)) -> Result<(), Reject> {
    if is_digest(value) {
        return Ok(());
    }
    if is_s3_notification(value) {
        return Err(Reject::wrong_kind("an S3 event notification, not a CloudTrail event: read the file that it announces"));
    }
    let mut record = Record::read(value);
    if record.is_insight() {
        return Ok(());
    }
    if record.is_empty() {
        return Err(Reject::wrong_kind("no CloudTrail event: it has neither eventSource nor eventName nor userIdentity"));
    }
    let (parameters_doc, response_doc);
    if let Some(text) = record.parameters.as_text().filter(|text| text.starts_with('{')) {
        parameters_doc = parameters.parse(text.as_bytes()).ok();
        record.parameters = record::Fields(parameters_doc.as_ref().map(crate::json::Document::root));
    }
    if let Some(text) = record.response.as_text().filter(|text| text.starts_with('{')) {
        response_doc = response.parse(text.as_bytes()).ok();
        record.response = record::Fields(response_doc.as_ref().map(crate::json::Document::root));
    }
    let time = record.time.and_then(super::utc_time).ok_or_else(|| Reject::no_time("eventTime", record.time))?;
    let principal = Principal::of(&record)?;
    let activity = activity::of(&record);
    let (outcome, reason) = activity::outcome(&record);
    let mut event = Event { time, activity, outcome, reason, format: Text::const_new(NAME), protocol: Some(Text::const_new("https")), ..Event::default() };
    principal.describe(&record, &mut event);
    origin(&record, &mut event);
    event.action = record.action();
    destination::of(&record, &principal).describe(&mut event);
    event.raw = Some(super::text_of(raw).into_owned());

    let provider_id = record.id.map(|id| match record.recipient_account {
        Some(account) => super::join::join(&[account, "/", id]),
        None => id.into(),
    });
    let consequence = if outcome == Outcome::Success { credential::consequence(&record, &principal, &event) } else { None };
    out.push(Draft { event: Box::new(event), provider_id: provider_id.clone(), part: 0, line });
    if let Some(event) = consequence {
        out.push(Draft { event: Box::new(event), provider_id, part: 1, line });
    }
    Ok(())
}

/// Where the call came from: an address, or the name of the AWS service that made it.
fn origin(record: &Record<'_>, event: &mut Event) {
    if let Some(source) = record.source_address {
        match super::ip_address(source) {
            Some(ip) => event.source_ip = Some(ip),
            None => event.source_host = Some(source.into()),
        }
    }
    event.user_agent = record.user_agent.map(Into::into);
    event.auth_method = auth_method(record, event);
}

fn auth_method(record: &Record<'_>, event: &Event) -> Option<Text> {
    let word = if event.activity == Activity::Authenticate {
        match (event.credential_kind, record.user.kind) {
            (CredentialKind::Password, _) => "password",
            (_, Some("SAMLUser" | "AssumedRole" | "FederatedUser" | "WebIdentityUser")) => "federated",
            _ => return None,
        }
    } else {
        match record.event_name {
            Some("AssumeRoleWithWebIdentity") => "web_identity",
            Some("AssumeRoleWithSAML") => "saml",
            Some("CreateSession") if record.service() == "rolesanywhere" => "sigv4_x509",
            _ => match (record.user.kind, record.additional.text("SignatureVersion")) {
                (_, Some(version)) => return Some(version.to_ascii_lowercase().into()),
                (Some("AWSService"), _) => "service",
                (Some("AWSAccount"), _) if record.user.account == Some("ANONYMOUS_PRINCIPAL") => "none",
                _ if event.credential.is_some() => "sigv4",
                _ if event.identity_kind == IdentityKind::Human && record.is_from_console() => "console",
                (Some("IAMUser" | "AssumedRole" | "FederatedUser" | "Root" | "AWSAccount"), _) => "sigv4",
                _ => return None,
            },
        }
    };
    Some(Text::const_new(word))
}
