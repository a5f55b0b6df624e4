//! A line of text whose format knows its parts: each part is judged at its place, and what stands between them is a message.

use std::borrow::Cow;

use super::memo::Memo;
use super::place::{Kind, Policy, Spot};
use super::walk::Walk;
use super::{Level, Redactor, value};
use crate::format::Part;

impl Redactor {
    /// A line without what must not be kept. `parts` are in order and apart from one another.
    #[must_use]
    pub fn line<'r>(&self, format: &str, parts: &[Part], line: &'r str, level: Level) -> Cow<'r, str> {
        self.line_remembering(format, parts, line, level, &mut Memo::none())
    }

    pub(super) fn line_remembering<'r>(&self, format: &str, parts: &[Part], line: &'r str, level: Level, memo: &mut Memo) -> Cow<'r, str> {
        let policy = Policy::of(format);
        let mut walk = Walk { redactor: self, policy, level, memo, trace: None, broken: false, slipped: false, depth: 0 };
        let mut out: Option<String> = None;
        let (mut copied, mut at) = (0, 0);
        let ends = parts.iter().map(|part| (part.range.clone(), Some(part.place))).chain(std::iter::once((line.len()..line.len(), None)));
        for (range, place) in ends {
            let message = (at..range.start, Spot::CLOSED.words(), "");
            let part = (range.clone(), place.map_or(Spot::CLOSED, |place| policy.child(policy.root(), place)), place.unwrap_or_default());
            for (range, spot, key) in [message, part] {
                let text = line.get(range.clone()).unwrap_or_default();
                if text.is_empty() || (spot.kind == Kind::Name && text.len() < super::form::NAME_BYTES_MIN) {
                    continue;
                }
                if let Some(verdict) = value::judge(&mut walk, text, spot, key, false) {
                    let out = out.get_or_insert_with(|| String::with_capacity(line.len() + 64));
                    out.push_str(line.get(copied..range.start).unwrap_or_default());
                    out.push_str(&verdict.written);
                    copied = range.end;
                }
            }
            at = range.end;
        }
        match out {
            Some(mut out) => {
                out.push_str(line.get(copied..).unwrap_or_default());
                Cow::Owned(out)
            }
            None => Cow::Borrowed(line),
        }
    }
}
