//! What the event log carries: topics, and the binary encoding of a record of `keytrail.events`.

use postcard::ser_flavors::Flavor;

use crate::{Event, EventRow, Hash32, Micros};

/// The log's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Events and ticks, keyed by identity.
    Events,
    /// Findings as JSON, in the partition of their cause.
    Findings,
    /// Dead letters as JSON.
    DeadLetters,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 3] = [Self::Events, Self::Findings, Self::DeadLetters];

    /// The topic's name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "keytrail.events",
            Self::Findings => "keytrail.findings",
            Self::DeadLetters => "keytrail.dead-letters",
        }
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One record of `keytrail.events`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum LogRecord {
    /// An event. Boxed: it has some 750 bytes, and is handed on from the parser to the lake.
    Event(Box<Event>),
    /// The passing of time, appended by live collectors.
    Tick {
        /// The collector's clock.
        time: Micros,
    },
    /// From here on the partition is judged by another set of rules.
    Rules {
        /// The set's hash, under which the lake's store keeps it; zeros for the built-in rules alone.
        rules: Hash32,
    },
    /// An offset that holds nothing to be judged or stored: a hole, a record delivered twice, or one that cannot be understood. A log's reader makes
    /// it, so that a run of records has no holes; it is never written.
    #[serde(skip)]
    Gap,
}

/// One record of `keytrail.events` that owns nothing: what [`LogRecord::decode`] reads, with its texts where they lie among the bytes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack until its event is put into columns")]
pub enum RecordRow<'a> {
    /// An event.
    #[serde(borrow)]
    Event(EventRow<'a>),
    /// The passing of time.
    Tick {
        /// The collector's clock.
        time: Micros,
    },
    /// Another set of rules.
    Rules {
        /// The set's hash.
        rules: Hash32,
    },
}

impl<'a> RecordRow<'a> {
    /// Reads one record.
    ///
    /// # Errors
    /// Those of [`LogRecord::decode`], for the same bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(postcard::from_bytes(encoded(bytes)?)?)
    }
}

/// A record of the log that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The record is empty.
    #[error("the log record is empty")]
    Empty,
    /// The record was written by a newer version.
    #[error("the log record has encoding version {0}, and this keytrail reads version {VERSION}: use a newer keytrail")]
    Version(u8),
    /// The bytes are not a record.
    #[error("the log record is damaged: {0}")]
    Damaged(#[from] postcard::Error),
}

const VERSION: u8 = 2;
/// What events and ticks are written as: an older keytrail reads them. It does not know rule sets, and says so.
const VERSION_OF_EVENTS: u8 = 1;

/// A record to be encoded, borrowed; the same encoding as [`LogRecord`].
#[derive(serde::Serialize)]
enum Borrowed<'a> {
    Event(&'a Event),
    Tick { time: Micros },
    Rules { rules: Hash32 },
}

impl LogRecord {
    /// The encoding of an event: a version byte, then postcard.
    #[must_use]
    pub fn encode_event(event: &Event) -> Vec<u8> {
        encode(&Borrowed::Event(event))
    }

    /// Appends the encoding of an event to `out`: what [`encode_event`](Self::encode_event) gives, without a buffer of its own.
    pub fn encode_event_into(event: &Event, out: &mut Vec<u8>) {
        encode_into(&Borrowed::Event(event), out);
    }

    /// The encoding of a tick.
    #[must_use]
    pub fn encode_tick(time: Micros) -> Vec<u8> {
        encode(&Borrowed::Tick { time })
    }

    /// The encoding of a change of rules.
    #[must_use]
    pub fn encode_rules(rules: Hash32) -> Vec<u8> {
        encode(&Borrowed::Rules { rules })
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(postcard::from_bytes(encoded(bytes)?)?)
    }
}

/// What stands behind the version byte.
fn encoded(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Empty),
        Some((&(VERSION_OF_EVENTS..=VERSION), rest)) => Ok(rest),
        Some((&version, _)) => Err(DecodeError::Version(version)),
    }
}

fn encode(record: &Borrowed<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    encode_into(record, &mut out);
    out
}

/// Where an encoding goes: behind what a buffer holds. Texts are copied whole.
struct Behind<'o>(&'o mut Vec<u8>);

impl Flavor for Behind<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[expect(clippy::expect_used, reason = "postcard fails on sequences of unknown length only, and records have none")]
fn encode_into(record: &Borrowed<'_>, out: &mut Vec<u8>) {
    out.push(if matches!(record, Borrowed::Rules { .. }) { VERSION } else { VERSION_OF_EVENTS });
    postcard::serialize_with_flavor(record, Behind(out)).expect("a record has an encoding");
}
