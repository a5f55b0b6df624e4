//! A row of a log with columns: each cell is judged as the value of its column's name. Where a header's columns stand is looked up once, and what stood
//! in a column before and was kept is compared, and not judged again.

use std::borrow::Cow;

use super::form::TEXT_BYTES_MIN;
use super::memo::Memo;
use super::place::{Kind, Policy, Spot};
use super::walk::Walk;
use super::{Level, Redactor, value};

/// How many cells of a column are remembered: a request's and its answer's.
const KEPT: usize = 2;
/// Longer ones are judged each time.
const KEPT_BYTES_MAX: usize = 128;
/// Where cells are met again so much more seldom than not, none are compared.
const SCORE_MIN: i16 = -64;
const SCORE_MAX: i16 = 64;

/// The columns of the rows that follow.
pub(super) struct Header<'h, N> {
    pub(super) columns: &'h [N],
    pub(super) separator: u8,
    /// Another header of the same file has another number.
    pub(super) number: u32,
}

/// The columns of one header, as the policy of one format has them.
#[derive(Default)]
pub(super) struct Cells {
    policy: u8,
    /// The header's number in the file that is read.
    number: Option<u32>,
    names: Vec<Box<str>>,
    columns: Vec<Column>,
}

impl Cells {
    /// Becomes the columns of this header; of one that names the same, in this file or another, what is known stays.
    fn be<N: AsRef<str>>(&mut self, policy: &Policy, header: &Header<'_, N>) {
        if self.policy == policy.number() && self.number == Some(header.number) {
            return;
        }
        let names = || header.columns.iter().map(AsRef::as_ref);
        if self.policy != policy.number() || !names().eq(self.names.iter().map(AsRef::as_ref)) {
            *self = Self {
                policy: policy.number(),
                number: None,
                names: names().map(Box::from).collect(),
                columns: names().map(|name| Column::of(policy, name)).collect(),
            };
        }
        self.number = Some(header.number);
    }

    /// The file has ended: the numbers of its headers are no other file's.
    pub(super) fn leave(&mut self) {
        self.number = None;
        self.columns.iter_mut().for_each(|column| column.score = column.score.max(SCORE_MIN / 2));
    }
}

struct Column {
    spot: Spot,
    kept: [Vec<u8>; KEPT],
    /// Which of them gives way to the next newcomer.
    oldest: bool,
    score: i16,
}

impl Column {
    fn of(policy: &Policy, name: &str) -> Self {
        let spot = name.split('.').fold(policy.root(), |spot, key| policy.child(spot, key));
        Self { spot, kept: Default::default(), oldest: false, score: 0 }
    }

    /// Whether the cell stood here before and was kept.
    #[inline]
    fn knows(&mut self, cell: &str) -> bool {
        if self.score < SCORE_MIN {
            return false;
        }
        let known = self.kept.iter().any(|kept| kept == cell.as_bytes());
        self.score = if known { (self.score + 1).min(SCORE_MAX) } else { self.score - 1 };
        known
    }

    fn keep(&mut self, cell: &str) {
        if self.score < SCORE_MIN || cell.len() > KEPT_BYTES_MAX {
            return;
        }
        if let Some(place) = self.kept.get_mut(usize::from(self.oldest)) {
            place.clear();
            place.extend_from_slice(cell.as_bytes());
            self.oldest = !self.oldest;
        }
    }
}

impl Redactor {
    /// A row of a log with columns: each cell as the value of its column's name.
    #[must_use]
    pub fn row<'r>(&self, format: &str, columns: &[impl AsRef<str>], separator: u8, line: &'r str, level: Level) -> Cow<'r, str> {
        self.row_remembering(format, &Header { columns, separator, number: 0 }, line, level, &mut Memo::none())
    }

    pub(super) fn row_remembering<'r, N: AsRef<str>>(
        &self,
        format: &str,
        header: &Header<'_, N>,
        line: &'r str,
        level: Level,
        memo: &mut Memo,
    ) -> Cow<'r, str> {
        let policy = Policy::of(format);
        let mut cells = std::mem::take(&mut memo.cells);
        cells.be(policy, header);
        let remembers = !memo.forgets();
        let mut walk = Walk { redactor: self, policy, level, memo, trace: None, broken: false, slipped: false, depth: 0 };
        let mut out: Option<String> = None;
        let (mut copied, mut from) = (0, 0);
        let ends = memchr::memchr_iter(header.separator, line.as_bytes()).chain(std::iter::once(line.len()));
        for (index, end) in ends.enumerate() {
            let cell = line.get(from..end).unwrap_or_default();
            let start = std::mem::replace(&mut from, end + 1);
            let mut column = cells.columns.get_mut(index);
            let spot = column.as_ref().map_or(Spot::CLOSED, |column| column.spot);
            // What a log writes for nothing; and a name that is shorter than all that is known by its form.
            if matches!(cell, "-" | "(empty)") || (spot.kind == Kind::Name && cell.len() < TEXT_BYTES_MIN) {
                continue;
            }
            // Where a message stands, a number is a word of it.
            let number = matches!(spot.kind, Kind::Name | Kind::Secret) && is_number(cell);
            let verdict = if number {
                value::of_number(self, cell, spot, level)
            } else {
                if column.as_mut().is_some_and(|column| remembers && column.knows(cell)) {
                    continue;
                }
                let key = header.columns.get(index).map_or("", AsRef::as_ref);
                value::judge(&mut walk, cell, spot, key, false)
            };
            if let Some(verdict) = verdict {
                let out = out.get_or_insert_with(|| String::with_capacity(line.len() + 64));
                out.push_str(line.get(copied..start).unwrap_or_default());
                out.push_str(&verdict.written);
                copied = end;
            } else if let Some(column) = column.filter(|_| remembers && !number) {
                column.keep(cell);
            }
        }
        walk.memo.cells = cells;
        match out {
            Some(mut out) => {
                out.push_str(line.get(copied..).unwrap_or_default());
                Cow::Owned(out)
            }
            None => Cow::Borrowed(line),
        }
    }
}

/// Whether a cell is a number: as `f64` reads it, but most are told by their bytes.
fn is_number(cell: &str) -> bool {
    let (mut dots, mut others) = (0_u32, 0_u32);
    for byte in cell.bytes() {
        dots += u32::from(byte == b'.');
        others += u32::from(byte != b'.' && !byte.is_ascii_digit());
    }
    let first = cell.as_bytes().first().copied().unwrap_or_default();
    match (dots, others) {
        (0 | 1, 0) => cell.len() > usize::from(dots == 1),
        // Signs, exponents, and the words that stand for what is no number or has no end.
        (0 | 1, _) if first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N') => cell.parse::<f64>().is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_those_that_can_be_read(cell in "[-+.eEinfaNty0-9]{0,8}|[0-9.]{0,12}|.{0,6}") {
            prop_assert_eq!(is_number(&cell), cell.parse::<f64>().is_ok(), "{}", cell);
        }
    }

    #[test]
    fn what_was_kept_in_a_column_is_none_of_another_and_columns_change_with_their_header() {
        let redactor = Redactor::new(&[7; 32]);
        let names = [["ts", "user", "password"], ["ts", "password", "user"]].map(|names| names.map(keytrail_schemas::Text::from));
        let mut memo = Memo::default();
        for (number, names) in (1..).zip(&names).cycle().take(6) {
            let header = Header { columns: names.as_slice(), separator: b'\t', number };
            for _ in 0..3 {
                let line = "1789689693.247343\thunter22x\thunter22x";
                let kept = redactor.row_remembering("zeek", &header, line, Level::Safe, &mut memo).into_owned();
                assert_eq!(kept, redactor.row("zeek", names, b'\t', line, Level::Safe), "{number}");
                assert_eq!(kept.matches("hunter22x").count(), 1, "{kept}");
            }
        }
    }
    /// Every file's first header has the number 1.
    #[test]
    fn the_header_of_the_next_file_is_looked_at_anew() {
        let redactor = Redactor::new(&[7; 32]);
        let mut memo = Memo::default();
        for names in [["ts", "user", "password"], ["ts", "password", "user"]].iter().cycle().take(4) {
            let header = Header { columns: names.as_slice(), separator: b'\t', number: 1 };
            let line = "1789689693.247343\thunter22x\thunter22x";
            let kept = redactor.row_remembering("zeek", &header, line, Level::Safe, &mut memo).into_owned();
            assert_eq!(kept, redactor.row("zeek", names, b'\t', line, Level::Safe));
            memo.leave();
        }
    }
}
