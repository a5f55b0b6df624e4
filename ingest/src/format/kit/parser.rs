//! Reads the records of a shape, alone and in envelopes.

use keytrail_schemas::Reason;

use super::mark::Marks;
use super::row::Row;
use super::scene::Setting;
use super::shape::Shape;
use crate::format::envelope::{self, Envelope, Opening};
use crate::format::{Context, Disposition, Draft, Parser, Reject, text_of};
use crate::json::{Reader, Value};

/// The parser of one file.
pub(crate) struct Records {
    reader: Reader,
    reading: Reading,
}

/// Everything but the JSON reader, whose document borrows it.
struct Reading {
    shape: &'static Shape,
    setting: Setting,
    marks: Marks,
}

impl Records {
    pub(crate) fn new(shape: &'static Shape, context: &Context) -> Self {
        Self {
            reader: Reader::new(context.depth_max),
            reading: Reading { shape, setting: Setting::new(shape.name, shape.who, context), marks: Marks::new(shape.marks) },
        }
    }

    fn unwrap(&mut self, record: &[u8], opening: &mut Opening<'_>, nesting: u8) -> Result<(), Reject> {
        let texts = {
            let document = self.reader.parse(record)?;
            let root = document.root();
            if self.reading.knows(root) {
                return self.reading.read(root, &text_of(record), opening);
            }
            match envelope::open(root, |value| self.reading.knows(value)) {
                Envelope::Empty => return Ok(()),
                Envelope::None => return Err(self.reading.strange(root)),
                Envelope::Within(inner) => return self.reading.read(inner, &inner.to_json(), opening),
                Envelope::Texts(_) if nesting >= envelope::NESTING_MAX => return Err(Reject::malformed("", "envelopes are nested too deep")),
                Envelope::Texts(texts) => texts,
            }
        };
        opening.each(&texts, |text, opening| self.unwrap(text.as_bytes(), opening, nesting + 1))
    }
}

impl Parser for Records {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let mut opening = Opening::new(out, line);
        self.unwrap(record, &mut opening, 0)?;
        Ok(opening.end())
    }

    fn shed(&mut self) {
        self.reader.shed();
    }
}

impl Reading {
    fn knows(&self, record: Value<'_>) -> bool {
        self.marks.are_on(record)
    }

    /// Makes events of one record; all of it or nothing.
    fn read(&self, record: Value<'_>, raw: &str, opening: &mut Opening<'_>) -> Result<(), Reject> {
        // In place: it is some kilobytes.
        let mut row = Row::new(self.shape.fields);
        self.shape.fields.put(record, &mut row);
        let id = self.shape.id.and_then(|slot| row.owned(slot));
        self.setting.read(id, raw, opening.line, opening.out, |scene| (self.shape.read)(&row, scene))
    }

    /// What is none of the format's records.
    #[cold]
    fn strange(&self, value: Value<'_>) -> Reject {
        let what = if value.is_object() { "has not the fields by which one is known" } else { "is no JSON object" };
        Reject { reason: Reason::WrongKind, field: None, message: format!("not a record of {}: it {what}", self.shape.name) }
    }
}
