//! A format of JSON records, as data.

use std::sync::LazyLock;

use super::mark::{self, Mark, SURE_MIN};
use super::parser::Records;
use super::{Fields, Row, Scene};
use crate::format::envelope::{self, Envelope};
use crate::format::{Context, Format, Framing, Parser, Reject, registry};
use crate::json::{Reader, Value};

/// A format whose records are JSON objects, each of which says all that it has to say.
pub(crate) struct Shape {
    /// Its name, as `--format` takes it.
    pub(crate) name: &'static str,
    /// Object keys whose array holds the records, where a file is one such object.
    pub(crate) envelopes: &'static [&'static str],
    /// What tells a record of this format, each with how surely, of 100.
    pub(crate) marks: &'static [(u8, &'static [Mark])],
    /// The fields that it wants.
    pub(crate) fields: &'static LazyLock<Fields>,
    /// The slot of the provider's own id for the record, if it gives one.
    pub(crate) id: Option<usize>,
    /// The field that names who acted, for messages.
    pub(crate) who: &'static str,
    /// Makes events of a record. None at all says that the record tells nothing about an identity.
    pub(crate) read: fn(&Row<'_>, &mut Scene<'_>) -> Result<(), Reject>,
}

impl Shape {
    /// How surely `record` itself, which is no envelope, is of this format.
    pub(super) fn sure(&self, record: Value<'_>) -> u8 {
        mark::sure(self.marks, record)
    }
}

impl Format for Shape {
    fn name(&self) -> &'static str {
        self.name
    }

    fn framing(&self) -> Framing {
        Framing::Json
    }

    fn envelopes(&self) -> &'static [&'static str] {
        self.envelopes
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        Reader::default().parse(sample).map_or(0, |document| self.sniff_value(document.root()))
    }

    fn sniff_value(&self, value: Value<'_>) -> u8 {
        best(value, &[self], 0).map_or(0, |(sure, _)| sure)
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        // A shape is a static of the registry; this finds it as such.
        match registry::SHAPES.iter().find(|shape| shape.name == self.name) {
            Some(shape) => Box::new(Records::new(shape, context)),
            None => unreachable!("a shape that is not registered"),
        }
    }
}

/// The shape that is surest of `value`, which may be an envelope: it is opened once for all of them.
pub(in crate::format) fn surest(value: Value<'_>) -> Option<(u8, &'static Shape)> {
    best(value, registry::SHAPES, 0)
}

fn best<'s>(value: Value<'_>, shapes: &[&'s Shape], nesting: u8) -> Option<(u8, &'s Shape)> {
    // Of equals the first counts.
    let of =
        |value: Value<'_>| shapes.iter().rev().map(|shape| (shape.sure(value), *shape)).max_by_key(|(sure, _)| *sure).filter(|(sure, _)| *sure >= SURE_MIN);
    if let Some(found) = of(value) {
        return Some(found);
    }
    if nesting >= envelope::NESTING_MAX {
        return None;
    }
    match envelope::open(value, |inner| of(inner).is_some()) {
        Envelope::Within(inner) => best(inner, shapes, nesting + 1),
        Envelope::Texts(texts) => Reader::default().parse(texts.first()?.as_bytes()).ok().and_then(|document| best(document.root(), shapes, nesting + 1)),
        Envelope::None | Envelope::Empty => None,
    }
}
