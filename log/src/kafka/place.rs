//! Where reading events begins: a cursor, and the window of ids that stand before it.

use keytrail_schemas::{RecordRow, Topic};

use super::super::Error;
use super::client::Context;
use super::cursor::{Cursor, Kept};
use super::options::Options;
use super::window::Window;

/// A place in a partition of `keytrail.events`, and what is known of the records before it.
pub struct Place {
    pub cursor: Cursor,
    pub window: Window,
    /// A record behind the place that was met already, for a hole lies at it.
    pub held: Option<Kept>,
}

impl Place {
    /// The place whose first record is at `from`. The window before is read, as far as the log still holds it.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `from` is not held any more.
    pub fn open(options: &Options, context: &Context, partition: i32, from: i64, start: i64) -> Result<Self, Error> {
        let topic = Topic::Events;
        if from < start {
            return Err(Error::Truncated { topic, partition, from, start });
        }
        let records = options.window_records.max(1);
        // The start may have risen since it was asked for: only what lies before `from` may be missing.
        let warm = (from - i64::from(records)).max(start);
        let (mut cursor, warm) = match Cursor::open(options, context, topic, partition, warm) {
            Err(Error::Truncated { start, .. }) if start <= from => (Cursor::open(options, context, topic, partition, start)?, start),
            opened => (opened?, warm),
        };
        let mut window = Window::new(records, warm);
        let mut held = None;
        while cursor.position() < from {
            held = cursor
                .next(from, |raw| {
                    if raw.offset >= from {
                        return Some(raw.keep());
                    }
                    if let Ok(RecordRow::Event(event)) = RecordRow::decode(raw.value) {
                        window.repeats(raw.offset, &event.event_id.0);
                    }
                    None
                })?
                .flatten();
        }
        Ok(Self { cursor, window, held })
    }
}
