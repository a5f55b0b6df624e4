//! Zeek's ASCII log writer: header lines that begin with `#`, then one row a line.
//!
//! Source: Zeek documentation, "Zeek Log Formats and Inspection" and `base/frameworks/logging/writers/ascii.zeek`.

use keytrail_schemas::{Reason, Text};

use super::catalog::{self, Name};
use super::kind::{self, Kind};
use super::row::{Cell, Row};
use crate::format::{Columns, Reject};

/// A column that nobody asked for.
const IGNORED: u8 = u8::MAX;

/// What the header lines said. A new `#fields` replaces the columns, so that files may be concatenated.
pub(super) struct Header {
    separator: u8,
    set_separator: char,
    empty: String,
    unset: String,
    path: Option<Name>,
    /// The slot of each column.
    slots: Vec<u8>,
    names: Vec<Text>,
    /// How many lines of headers there were.
    number: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            separator: b'\t',
            set_separator: ',',
            empty: "(empty)".to_owned(),
            unset: "-".to_owned(),
            path: None,
            slots: Vec::new(),
            names: Vec::new(),
            number: 0,
        }
    }
}

impl Header {
    /// Takes in one header line. Lines that are not known (`#open`, `#close`, `#types`, a comment) say nothing that is needed here.
    pub(super) fn line(&mut self, line: &str, file_kind: Option<Name>) -> Result<(), Reject> {
        self.number = self.number.wrapping_add(1);
        if let Some(written) = line.strip_prefix("#separator") {
            *self = Self { separator: separator(written.trim_start())?, number: self.number, ..Self::default() };
            return Ok(());
        }
        let separator = char::from(self.separator);
        let (name, value) = line.split_once(separator).unwrap_or((line, ""));
        match name {
            "#set_separator" => self.set_separator = value.chars().next().unwrap_or(','),
            "#empty_field" => value.clone_into(&mut self.empty),
            "#unset_field" => value.clone_into(&mut self.unset),
            "#path" => {
                self.path = Some(catalog::named(value));
                self.bind(file_kind);
            }
            "#fields" => {
                self.names = value.split(separator).map(Text::from).collect();
                self.bind(file_kind);
            }
            _ => {}
        }
        Ok(())
    }

    /// Gives each column its slot, as the kind wants them.
    fn bind(&mut self, file_kind: Option<Name>) {
        let kind = self.kind(file_kind);
        self.slots = self.names.iter().map(|name| kind.and_then(|kind| kind.slot(name)).and_then(|slot| u8::try_from(slot).ok()).unwrap_or(IGNORED)).collect();
    }

    /// The kind of the rows that follow; `None` when they say nothing about an identity.
    pub(super) fn kind(&self, file_kind: Option<Name>) -> Option<&'static Kind> {
        match self.path.or(file_kind) {
            Some(Name::Read(kind)) => Some(kind),
            Some(Name::Other) => None,
            None => catalog::marked(|field| self.names.iter().any(|name| kind::same_field(name, field))),
        }
    }

    /// What stands between the items of a set or vector.
    pub(super) fn set_separator(&self) -> char {
        self.set_separator
    }

    /// Cuts a line into a row.
    pub(super) fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Reject> {
        if self.names.is_empty() {
            return Err(Reject {
                reason: Reason::Malformed,
                field: Some(Text::const_new("#fields")),
                message: "a row before any #fields line: the header of this Zeek TSV log is missing, so its columns have no names".to_owned(),
            });
        }
        let mut count = 0;
        for (cell, slot) in self.cells(line) {
            count += 1;
            if slot != IGNORED && cell != self.unset {
                row.put(usize::from(slot), if cell == self.empty { Cell::Raw("") } else { Cell::Raw(cell) });
            }
        }
        if count != self.names.len() {
            let (reason, field) = if count < self.names.len() { (Reason::Truncated, self.names.get(count).cloned()) } else { (Reason::Malformed, None) };
            let missing = field.as_deref().map(|name| format!(" (none for {name})")).unwrap_or_default();
            return Err(Reject { reason, field, message: format!("{count} columns where #fields names {}{missing}", self.names.len()) });
        }
        Ok(())
    }

    /// The columns of the rows that follow.
    pub(super) fn columns(&self) -> Option<Columns<'_>> {
        (!self.names.is_empty()).then_some(Columns { names: &self.names, separator: self.separator, header: self.number })
    }

    /// The cells of a line, each with its slot.
    fn cells<'a>(&self, line: &'a str) -> impl Iterator<Item = (&'a str, u8)> {
        let mut from = 0;
        let ends = memchr::memchr_iter(self.separator, line.as_bytes()).chain(std::iter::once(line.len()));
        ends.zip(self.slots.iter().copied().chain(std::iter::repeat(IGNORED))).map(move |(end, slot)| {
            let cell = line.get(from..end).unwrap_or_default();
            from = end + 1;
            (cell, slot)
        })
    }
}

/// Reads what stands behind `#separator`: an escaped byte such as `\x09`, or the byte itself.
fn separator(written: &str) -> Result<u8, Reject> {
    let byte = match written.strip_prefix("\\x") {
        Some(digits) => u8::from_str_radix(digits.trim_end(), 16).ok(),
        None if written.is_empty() => Some(b'\t'),
        None => written.as_bytes().first().copied().filter(|_| written.len() == 1),
    };
    byte.filter(u8::is_ascii).ok_or_else(|| Reject {
        reason: Reason::Malformed,
        field: Some(Text::const_new("#separator")),
        message: format!("the separator is {}, and not one ASCII character, such as \\x09", crate::format::described(written)),
    })
}
