//! Marks by which a record's format is known.

use std::cell::Cell;

use crate::json::Value;

/// The least certainty with which a record is taken for one of a format.
pub(super) const SURE_MIN: u8 = 50;

/// Something that a record of a format has, or has not. Paths are keys with dots between them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// The path leads to something that is not null.
    Has(&'static str),
    /// It leads to nothing.
    Lacks(&'static str),
    /// It leads to this text.
    Is(&'static str, &'static str),
    /// It leads to another text, or to none.
    Isnt(&'static str, &'static str),
    /// It leads to a text that begins so.
    Begins(&'static str, &'static str),
    /// It leads to a text with this in it.
    Holds(&'static str, &'static str),
}

impl Mark {
    const fn path(self) -> &'static str {
        match self {
            Self::Has(path) | Self::Lacks(path) | Self::Is(path, _) | Self::Isnt(path, _) | Self::Begins(path, _) | Self::Holds(path, _) => path,
        }
    }

    fn is_on(self, record: Value<'_>) -> bool {
        self.is_met_by(at(record, self.path()))
    }

    /// Whether what its path leads to is what it says.
    fn is_met_by(self, found: Option<Value<'_>>) -> bool {
        let text = found.and_then(Value::as_str);
        match self {
            Self::Has(_) => found.is_some_and(|value| !value.is_null()),
            Self::Lacks(_) => found.is_none_or(Value::is_null),
            Self::Is(_, word) => text == Some(word),
            Self::Isnt(_, word) => text != Some(word),
            Self::Begins(_, word) => text.is_some_and(|text| text.starts_with(word)),
            Self::Holds(_, word) => text.is_some_and(|text| text.contains(word)),
        }
    }
}

/// Where a path leads; of keys that are alike but for their letters' case the first counts.
fn at<'d>(record: Value<'d>, path: &str) -> Option<Value<'d>> {
    let below = |value: Value<'d>, key: &str| value.entries().find_map(|(own, value)| own.eq_ignore_ascii_case(key).then_some(value));
    path.split('.').try_fold(record, |value, key| if key == "0" { value.items().next() } else { below(value, key) })
}

fn begin_of(key: &str) -> u8 {
    key.as_bytes().first().copied().unwrap_or_default().to_ascii_lowercase()
}

/// The greatest certainty of which all marks are on the record; 0 when there is none.
pub(super) fn sure(marks: &[(u8, &[Mark])], record: Value<'_>) -> u8 {
    marks.iter().filter(|(_, all)| all.iter().all(|mark| mark.is_on(record))).map(|(sure, _)| *sure).max().unwrap_or(0)
}

/// The marks of a format, as a parser asks for them of each record: what was on the last one is looked for first.
pub(super) struct Marks {
    groups: Vec<Vec<Sought>>,
    last: Cell<usize>,
}

/// A mark, and its path's first key apart: one pass over a record finds where all paths of a group begin.
struct Sought {
    mark: Mark,
    first: &'static str,
    /// The key's first byte, whatever its letter's case: most others are told by it.
    begins: u8,
    rest: Option<&'static str>,
}

impl Marks {
    /// So many at most are looked for in one pass.
    const AT_ONCE: usize = 8;

    /// Those that are sure enough.
    pub(super) fn new(marks: &[(u8, &[Mark])]) -> Self {
        let sought = |mark: &Mark| {
            let (first, rest) = mark.path().split_once('.').map_or((mark.path(), None), |(first, rest)| (first, Some(rest)));
            Sought { mark: *mark, first, begins: begin_of(first), rest }
        };
        let groups = marks.iter().filter(|(sure, _)| *sure >= SURE_MIN).map(|(_, marks)| marks.iter().map(sought).collect());
        Self { groups: groups.collect(), last: Cell::new(0) }
    }

    /// Whether all marks of a group are on the record.
    pub(super) fn are_on(&self, record: Value<'_>) -> bool {
        if self.groups.get(self.last.get()).is_some_and(|group| Self::is_on(group, record)) {
            return true;
        }
        let found = self.groups.iter().position(|group| Self::is_on(group, record));
        found.into_iter().for_each(|number| self.last.set(number));
        found.is_some()
    }

    fn is_on(group: &[Sought], record: Value<'_>) -> bool {
        if group.len() > Self::AT_ONCE || group.iter().any(|sought| sought.first == "0") {
            return group.iter().all(|sought| sought.mark.is_on(record));
        }
        let mut found = [None; Self::AT_ONCE];
        let mut left = group.len();
        for (key, value) in record.entries() {
            let begins = begin_of(key);
            for (sought, found) in group.iter().zip(&mut found) {
                let may_be = begins == sought.begins && key.len() == sought.first.len() && found.is_none();
                if may_be && (key == sought.first || key.eq_ignore_ascii_case(sought.first)) {
                    *found = Some(value);
                    left -= 1;
                }
            }
            if left == 0 {
                break;
            }
        }
        group.iter().zip(found).all(|(sought, found)| {
            let end = sought.rest.map_or(found, |rest| found.and_then(|value| at(value, rest)));
            sought.mark.is_met_by(end)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Reader;

    const MARKS: &[(u8, &[Mark])] = &[
        (90, &[Mark::Has("a"), Mark::Lacks("b"), Mark::Is("c.a", "x")]),
        (10, &[Mark::Has("c")]),
        (60, &[Mark::Has("a.b"), Mark::Isnt("b", "x"), Mark::Has("a")]),
        (70, &[Mark::Begins("c", "x"), Mark::Has("0.a")]),
        (80, &[Mark::Holds("b", "x"), Mark::Has("c.0.a")]),
        (50, &[Mark::Has("0.b")]),
    ];

    fn records() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("null".to_owned()), Just("\"x\"".to_owned()), Just("\"yxz\"".to_owned()), Just("1".to_owned())];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let entry = ("[abcABC]", inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
            prop_oneof![
                3 => prop::collection::vec(entry, 0..5).prop_map(|entries| format!("{{{}}}", entries.join(","))),
                1 => prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn marks_are_on_a_record_where_one_group_is_sure_enough(records in prop::collection::vec(records(), 1..4)) {
            let marks = Marks::new(MARKS);
            let mut reader = Reader::default();
            for record in &records {
                let document = reader.parse(record.as_bytes()).unwrap();
                prop_assert_eq!(marks.are_on(document.root()), sure(MARKS, document.root()) >= SURE_MIN, "{}", record);
            }
        }
    }
}
