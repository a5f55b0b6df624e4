//! A format for tests, and what they share.

use std::path::Path;

use keytrail_ingest::format::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Batch, Choice, Counts, Options, Reader};
use keytrail_schemas::{DeadLetter, Event, Micros, Reason};

/// `{"t": micros, "who": identity, "id": optional, "parts": optional, "hold": optional}`.
#[derive(Debug)]
pub struct Tiny(pub Framing);

pub static JSON: Tiny = Tiny(Framing::Json);
pub static LINES: Tiny = Tiny(Framing::Lines);

struct TinyParser {
    held: Vec<Draft>,
}

impl Format for Tiny {
    fn name(&self) -> &'static str {
        "tiny"
    }
    fn framing(&self) -> Framing {
        self.0
    }
    fn envelopes(&self) -> &'static [&'static str] {
        &["Records"]
    }
    fn sniff(&self, _: &[u8]) -> u8 {
        100
    }
    fn parser(&self, _: &Context) -> Box<dyn Parser> {
        Box::new(TinyParser { held: Vec::new() })
    }
}

impl Parser for TinyParser {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let value: serde_json::Value =
            serde_json::from_slice(record).map_err(|error| Reject { reason: Reason::Malformed, field: None, message: error.to_string() })?;
        assert!(value["panic"].is_null(), "a parser that fails");
        if value["control"].as_bool() == Some(true) {
            return Ok(Disposition::Control);
        }
        let Some(time) = value["t"].as_i64() else { return Err(Reject { reason: Reason::NoTime, field: Some("t".into()), message: "it has no time".into() }) };
        let draft = |part| Draft {
            event: Box::new(Event {
                time: Micros(time),
                identity: value["who"].as_str().unwrap_or("nobody").into(),
                identity_account: "1".into(),
                raw: Some(String::from_utf8_lossy(record).into_owned()),
                ..Event::default()
            }),
            provider_id: value["id"].as_str().map(Into::into),
            part,
            line,
        };
        if value["hold"].as_bool() == Some(true) {
            self.held.push(draft(0));
            return Ok(Disposition::Held);
        }
        out.extend((0..u32::try_from(value["parts"].as_u64().unwrap_or(1)).unwrap()).map(draft));
        Ok(Disposition::Yielded)
    }

    fn finish(&mut self, out: &mut Vec<Draft>) {
        out.append(&mut self.held);
    }
}

pub fn record(time: i64, who: &str) -> String {
    format!("{{\"t\":{time},\"who\":\"{who}\"}}")
}

pub fn now() -> Micros {
    Micros(1_800_000_000_000_000)
}

pub fn options(format: &'static Tiny) -> Options {
    let mut options = Options::new("test", Choice::Named(format), Redactor::new(&[7; 32]), now);
    options.threads = 2;
    options
}

/// Everything that a reader yields.
#[derive(Debug, Default)]
pub struct Read {
    pub events: Vec<Box<Event>>,
    pub letters: Vec<DeadLetter>,
    pub counts: Counts,
}

impl Read {
    pub fn who(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.identity.as_str()).collect()
    }

    pub fn reasons(&self) -> Vec<Reason> {
        self.letters.iter().map(|letter| letter.reason).collect()
    }
}

pub fn read_paths(paths: &[&Path], options: Options) -> Read {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut reader = Reader::open(&paths, options).unwrap();
    let mut read = Read::default();
    for Batch { mut events, mut dead_letters, counts, reached: _ } in reader.by_ref() {
        assert_eq!(counts.read(), (events.len() + dead_letters.len()) as u64);
        read.events.append(&mut events);
        read.letters.append(&mut dead_letters);
        read.counts.add(&counts);
    }
    assert_eq!(reader.counts(), &read.counts);
    assert_eq!(read.counts.read(), (read.events.len() + read.letters.len()) as u64);
    assert!(read.events.iter().all(|event| event.ingested_at == now() && event.source == "test" && event.event_id != keytrail_schemas::EventId::default()));
    assert!(
        read.letters
            .iter()
            .all(|letter| letter.ingested_at == now() && letter.source == "test" && letter.dead_letter_id.len() == 32 && !letter.message.is_empty())
    );
    read
}

/// One file with these bytes, read.
pub fn read_bytes(name: &str, bytes: &[u8], options: Options) -> Read {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_paths(&[&path], options)
}
