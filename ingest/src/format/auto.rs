//! Which format a file is of: by name, and by the marks that its beginning has.

use keytrail_schemas::Reason;

use super::nearest::nearest;
use super::{Format, Framing, Reject, kit, registry};
use crate::json::{self, Reader};

mod foreign;

/// The least certainty, of 100, with which a format is taken.
pub const CERTAINTY_MIN: u8 = 50;

/// With so much certainty of a record, its envelope is not looked at as well.
const CERTAIN: u8 = 90;

/// Every format.
#[must_use]
pub fn all() -> &'static [&'static dyn Format] {
    registry::ALL
}

/// The format of this name.
///
/// # Errors
/// [`UnknownFormat`], with the known names and the nearest of them.
pub fn by_name(name: &str) -> Result<&'static dyn Format, UnknownFormat> {
    all().iter().copied().find(|format| format.name() == name).ok_or_else(|| UnknownFormat {
        name: name.chars().take(64).collect(),
        hint: nearest(name, all().iter().map(|f| f.name())).map_or_else(String::new, |near| format!("did you mean {near}? ")),
        known: all().iter().map(|f| f.name()).collect::<Vec<_>>().join(", "),
    })
}

/// A format name that is none. (user; a retry does not help)
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no format {name:?}: {hint}formats are auto, {known}")]
pub struct UnknownFormat {
    name: String,
    hint: String,
    known: String,
}

/// The format that the beginning of a file, of 64 KiB or so, is of.
///
/// # Errors
/// [`Reject`] with `WrongKind` for a log that is known and not read, saying which it is and what to do; with `UnknownFormat` for anything else.
pub fn detect(sample: &[u8]) -> Result<&'static dyn Format, Reject> {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let records = first_values(sample);
    if let Some((_, format)) = best(sample, &records).filter(|(certainty, _)| *certainty >= CERTAINTY_MIN) {
        return Ok(format);
    }
    if let Some(found) = foreign::recognise(sample, records.first().copied()) {
        return Err(Reject::wrong_kind(found));
    }
    let known = all().iter().map(|f| f.name()).collect::<Vec<_>>().join(", ");
    let what = if sample.iter().all(u8::is_ascii_whitespace) { "the file is empty" } else { "no format recognises the file" };
    Err(Reject { reason: Reason::UnknownFormat, field: None, message: format!("{what}: name one with --format ({known})") })
}

/// Whether a sample of JSON that is spread over lines begins with a record of `format`, whose records are lines elsewhere.
/// Many documents quote such a line: the format itself says whether it understands the first value.
///
/// # Errors
/// [`Reject`] that says what it is instead, as [`detect`] does.
pub(crate) fn spread(sample: &[u8], format: &dyn Format, is_record: impl Fn(&[u8]) -> bool) -> Result<(), Reject> {
    let first = first_values(sample).first().copied();
    if let Some(found) = foreign::recognise(sample, first) {
        return Err(Reject::wrong_kind(found));
    }
    if first.is_some_and(is_record) {
        return Ok(());
    }
    let message = format!("the file is JSON spread over several lines, and its first value is no record of {}, which it quotes", format.name());
    Err(Reject { reason: Reason::UnknownFormat, field: None, message })
}

/// The format of which the first kilobytes of a file leave no doubt: more of it need not be looked at.
pub(crate) fn certain(sample: &[u8]) -> Option<&'static dyn Format> {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    best(sample, &first_values(sample)).filter(|(certainty, _)| *certainty >= CERTAIN).map(|(_, format)| format)
}

/// The format that is surest of a sample with these first records.
fn best(sample: &[u8], records: &[&[u8]]) -> Option<(u8, &'static dyn Format)> {
    // A record within is far shorter than its envelope, and mostly says it all.
    let mut best: Option<(u8, &'static dyn Format)> = None;
    let mut reader = Reader::default();
    for record in records.iter().rev().copied().map(Some).chain(records.is_empty().then_some(None)) {
        // Parsed once for all formats; each looks into the envelopes that it knows.
        let document = record.and_then(|record| reader.parse(record).ok());
        let json = match (record, &document) {
            (Some(_), Some(document)) => surest(document.root(), ""),
            (Some(record), None) => {
                all().iter().filter(|format| format.framing() == Framing::Json).map(|f| (f.sniff(record), *f)).rev().max_by_key(|(sure, _)| *sure)
            }
            (None, _) => None,
        };
        let lines = all().iter().filter(|format| format.framing() == Framing::Lines).map(|format| (format.sniff(sample), *format));
        for (certainty, format) in json.into_iter().chain(lines) {
            if best.is_none_or(|(most, _)| certainty > most) {
                best = Some((certainty, format));
            }
        }
        if best.is_some_and(|(certainty, _)| certainty >= CERTAIN) {
            break;
        }
    }
    best
}

/// The format of JSON that is surest of `value`, a record or an envelope, but for the one named; of equals the first in the registry.
pub(crate) fn surest(value: json::Value<'_>, but: &str) -> Option<(u8, &'static dyn Format)> {
    // Shapes look at the same records, so what is around these is opened once for all of them.
    let shape = kit::surest(value).map(|(sure, shape)| (sure, shape as &'static dyn Format));
    let own = all().iter().copied().filter(|format| format.framing() == Framing::Json && !registry::SHAPES.iter().any(|shape| shape.name == format.name()));
    let own = own.filter(|format| format.name() != but).map(|format| (format.sniff_value(value), format)).rev().max_by_key(|(sure, _)| *sure);
    [shape.filter(|(_, format)| format.name() != but), own].into_iter().flatten().max_by_key(|(sure, _)| *sure).filter(|(sure, _)| *sure > 0)
}

/// The first JSON values of a sample that may be cut anywhere: the first of all, if it ends within the sample, and, where it is long, the first in its arrays.
fn first_values(sample: &[u8]) -> Vec<&[u8]> {
    /// An envelope has its records this many arrays deep at most.
    const ARRAYS_MAX: usize = 4;
    /// What is longer is looked into.
    const LONG: usize = 4 << 10;
    let mut found = Vec::new();
    let mut rest = sample;
    for _ in 0..ARRAYS_MAX {
        let Some(start) = memchr::memchr2(b'{', b'[', rest) else { break };
        rest = rest.get(start..).unwrap_or_default();
        if let Some(value) = value_len(rest).and_then(|len| rest.get(..len)) {
            found.push(value);
            if value.len() < LONG {
                break;
            }
        }
        let Some(inside) = memchr::memchr(b'[', rest) else { break };
        rest = rest.get(inside + 1..).unwrap_or_default();
    }
    found
}

/// Length of the object or array that `text` begins with; `None` when it does not end.
fn value_len(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += json::string_len(text.get(at..)?);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(sample: &str) -> Result<&'static str, String> {
        detect(sample.as_bytes()).map(Format::name).map_err(|reject| reject.message)
    }

    const EVENT: &str = r#"{"eventVersion":"1.08","userIdentity":{"type":"Root","accountId":"1"},"eventTime":"2026-01-01T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"ListBuckets"}"#;

    #[test]
    fn cloudtrail_is_known_in_its_envelopes_whole_and_cut() {
        for sample in [
            EVENT.to_owned(),
            format!("{EVENT}\n{EVENT}\n"),
            format!("[\n  {EVENT},\n {EVENT}"),
            format!(r#"{{"Records": [{EVENT},{EVENT}, {{"eventVersion":"#),
            format!("\u{feff}{{\"Records\":[{EVENT}]}}"),
            format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","detail":{EVENT}}}"#),
            serde_json::json!({"messageType":"DATA_MESSAGE","logGroup":"x","logEvents":[{"id":"1","timestamp":1,"message":EVENT}]}).to_string(),
            serde_json::json!({"Type":"Notification","Message":EVENT}).to_string(),
            r#"{"awsAccountId":"1","digestStartTime":"2026-01-01T00:00:00Z","digestEndTime":"2026-01-01T01:00:00Z","logFiles":[]}"#.to_owned(),
        ] {
            assert_eq!(detected(&sample), Ok("cloudtrail"), "{sample}");
        }
    }

    /// Their first record is looked at before they are: it must not say something else, nor hide them.
    #[test]
    fn long_envelopes_are_known_like_short_ones() {
        let events = vec![EVENT; 40].join(",");
        let texts: Vec<_> = (0..40).map(|id| serde_json::json!({"id": id.to_string(), "timestamp": 1, "message": EVENT})).collect();
        let audit =
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"get","user":{"username":"u","groups":["g"]}}"#;
        for (sample, format) in [
            (format!(r#"{{"Records":[{events}]}}"#), "cloudtrail"),
            (format!("[{events}]"), "cloudtrail"),
            (serde_json::json!({"messageType":"DATA_MESSAGE","logGroup":"x","logEvents":texts}).to_string(), "cloudtrail"),
            (EVENT.replace("ListBuckets\"", &format!("ListBuckets\",\"resources\":[{}]", vec![r#"{"time":"t","identity":"i"}"#; 200].join(","))), "cloudtrail"),
            (format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{}]}}"#, vec![audit; 40].join(",")), "k8s_audit"),
        ] {
            assert!(sample.len() > 4 << 10);
            assert_eq!(detected(&sample), Ok(format), "{}", &sample[..100]);
        }
    }

    #[test]
    fn kubernetes_and_own_events_are_known() {
        let event =
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"get","user":{"username":"system:anonymous"}}"#;
        for sample in [
            event.to_owned(),
            format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{event}]}}"#),
            serde_json::json!({"category":"kube-audit","properties":{"log":event}}).to_string(),
        ] {
            assert_eq!(detected(&sample), Ok("k8s_audit"), "{sample}");
        }
        assert_eq!(detected(r#"{"time":"2026-01-01T00:00:00Z","identity":"app:billing","activity":"use"}"#), Ok("keytrail"));
    }

    #[test]
    fn logs_of_hosts_lines_and_agents_are_known() {
        for (sample, format) in [
            ("Feb 21 21:54:44 localhost sshd[3402]: Accepted publickey for vagrant from 10.0.2.2\n", "sshd"),
            ("1795348801: New connection from 10.0.0.5:50001 on port 1883.\n", "mosquitto"),
            (include_str!("../../fixtures/otlp_genai/collector.ndjson"), "otlp_genai"),
        ] {
            assert_eq!(detected(sample), Ok(format), "{}", &sample[..40]);
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (sample, word) in [
            ("==> Vault server configuration:\n\n    Api Address: http://127.0.0.1:8200\n", "audit"),
            ("2026-01-01T00:00:00.000Z [INFO]  core: vault is unsealed\n", "audit"),
            (r#"{"@level":"info","@message":"revoked lease","@module":"expiration","@timestamp":"2021-07-16T06:33:08.867457Z","lease_id":"x"}"#, "audit"),
            ("PAR1\u{0}\u{0}", "Parquet"),
            ("version account-id interface-id srcaddr dstaddr\n2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 1 1 2 ACCEPT OK\n", "flow log"),
        ] {
            let message = detected(sample).unwrap_err();
            assert!(message.contains(word), "{sample} -> {message}");
        }
        for sample in ["", "  \n", "hello\nworld\n", "{\"a\":1}", "\u{0}\u{1}"] {
            let reject = detect(sample.as_bytes()).map(Format::name).unwrap_err();
            assert_eq!(reject.reason, Reason::UnknownFormat, "{sample:?}");
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        assert_eq!(by_name("cloudtrail").map(Format::name), Ok("cloudtrail"));
        let message = by_name("cloud_trail").map(Format::name).unwrap_err().to_string();
        assert!(message.contains("did you mean cloudtrail?") && message.contains("k8s_audit"), "{message}");
    }
}
