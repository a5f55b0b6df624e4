//! The parts of a line that have a name, for formats whose records are lines of text: what stands in none of them is a message.

use std::ops::Range;

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// Its place in the format's list (`data/redact/FORMAT.toml`).
    pub place: &'static str,
}

/// Collects the parts of one line.
#[derive(Debug)]
pub(crate) struct Parts<'l> {
    line: &'l str,
    parts: Vec<Part>,
}

impl<'l> Parts<'l> {
    pub(crate) const fn of(line: &'l str) -> Self {
        Self { line, parts: Vec::new() }
    }

    /// `text`, a slice of the line, stands at `place`.
    pub(crate) fn put(&mut self, text: Option<&'l str>, place: &'static str) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let start = (text.as_ptr() as usize).wrapping_sub(self.line.as_ptr() as usize);
        if self.line.get(start..start.saturating_add(text.len())) == Some(text) {
            self.parts.push(Part { range: start..start + text.len(), place });
        }
    }

    /// The parts in their order, none over another.
    pub(crate) fn end(mut self) -> Vec<Part> {
        self.parts.sort_by_key(|part| (part.range.start, std::cmp::Reverse(part.range.end)));
        let mut end = 0;
        self.parts.retain(|part| {
            let apart = part.range.start >= end;
            if apart {
                end = part.range.end;
            }
            apart
        });
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_in_order_and_apart() {
        let line = "a user bob from 10.0.0.1";
        let mut parts = Parts::of(line);
        parts.put(line.get(16..), "address");
        parts.put(line.get(7..10), "user");
        parts.put(line.get(8..12), "over");
        parts.put(Some("elsewhere"), "none");
        parts.put(line.get(3..3), "empty");
        let places: Vec<_> = parts.end().into_iter().map(|part| (line[part.range].to_owned(), part.place)).collect();
        assert_eq!(places, [("bob".to_owned(), "user"), ("10.0.0.1".to_owned(), "address")]);
    }
}
