//! Dead letters and findings as messages: JSON that other tools can read, with headers, and within the size that the log takes.

use keytrail_schemas::{DeadLetter, Event, Finding, Reason, Topic};

use super::super::Error;

/// Version of the JSON, in the header `keytrail-schema`.
pub const SCHEMA: &str = "1";
/// What headers and the protocol add to a record, at most.
pub const OVERHEAD_BYTES: usize = 1_024;

/// A dead letter's JSON. Where it is larger than `bytes_max` its record is cut, and then its other texts.
///
/// # Errors
/// When it cannot be made to fit.
pub fn dead_letter_json(letter: &mut DeadLetter, bytes_max: usize) -> Result<Vec<u8>, Error> {
    loop {
        let json = json(letter)?;
        if json.len() + letter.source.len() <= bytes_max {
            return Ok(json);
        }
        if !letter.raw.is_empty() {
            let length = if letter.raw.len() > bytes_max { bytes_max } else { letter.raw.len() } / 2;
            letter.raw.truncate(letter.raw.floor_char_boundary(length));
        } else if letter.message.len() > SHORT || letter.path.len() > SHORT || letter.source.len() > SHORT {
            letter.message.truncate(letter.message.floor_char_boundary(SHORT));
            for text in [&mut letter.path, &mut letter.source] {
                *text = text.get(..text.floor_char_boundary(SHORT)).unwrap_or_default().into();
            }
        } else {
            return Err(Error::Settings { message: format!("a dead letter does not fit into {bytes_max} bytes: raise message_bytes_max") });
        }
    }
}

/// What texts are cut to.
const SHORT: usize = 200;

/// A row's JSON.
///
/// # Errors
/// When it has none; keytrail's rows do.
pub fn json<T: serde::Serialize>(row: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(row).map_err(|error| Error::Settings { message: format!("a record cannot be written as JSON: {error}") })
}

/// The dead letter of an event that is too large for the log.
pub fn too_large(event: Event, bytes: usize, bytes_max: usize) -> DeadLetter {
    let mut hasher = blake3::Hasher::new_derive_key("keytrail dead letter too large v1");
    hasher.update(&event.event_id.0);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    let raw = event.raw.unwrap_or_default();
    DeadLetter {
        dead_letter_id: hex::encode(id).into(),
        ingested_at: event.ingested_at,
        source: event.source,
        format: event.format,
        path: Topic::Events.as_str().into(),
        reason: Reason::TooLong,
        message: format!(
            "event {} of {} has {bytes} bytes, and the log takes {bytes_max}: raise message_bytes_max and the topic's max.message.bytes",
            event.event_id,
            event.identity.get(..event.identity.floor_char_boundary(SHORT)).unwrap_or_default()
        ),
        raw_bytes: i64::try_from(raw.len()).unwrap_or(i64::MAX),
        raw,
        raw_hash: event.raw_hash,
        ..DeadLetter::default()
    }
}

/// The headers of a dead letter.
pub fn dead_letter_headers(letter: &DeadLetter) -> [(&'static str, &str); 4] {
    [("keytrail-type", "dead-letter"), ("keytrail-schema", SCHEMA), ("reason", letter.reason.as_str()), ("id", letter.dead_letter_id.as_str())]
}

/// The headers of a finding; `coordinates` is `partition/offset/index` of its cause.
pub fn finding_headers<'a>(finding: &'a Finding, coordinates: &'a str) -> [(&'static str, &'a str); 7] {
    [
        ("keytrail-type", "finding"),
        ("keytrail-schema", SCHEMA),
        ("finding_id", finding.finding_id.as_str()),
        ("rule", finding.rule.as_str()),
        ("severity", finding.severity.as_str()),
        ("identity", finding.identity.as_str()),
        ("coordinates", coordinates),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_cut_until_it_fits() {
        let mut letter = DeadLetter { raw: "\u{1}ä".repeat(100_000), message: "m".repeat(5_000), source: "s".into(), ..DeadLetter::default() };
        let json = dead_letter_json(&mut letter, 4_000).unwrap();
        assert!(json.len() < 4_000, "{}", json.len());
        assert!(serde_json::from_slice::<DeadLetter>(&json).is_ok());
        assert!(dead_letter_json(&mut letter, 100).is_err());
    }
}
