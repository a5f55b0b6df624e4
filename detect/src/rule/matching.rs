//! What rsigma's matchers say of one text, without the copy in small letters that rsigma makes for each comparison. Of ASCII alone: whatever else a text holds, and
//! whatever is no plain comparison, is left to rsigma.

use memchr::memchr2_iter;
use rsigma_eval::{CompiledMatcher, Event, EventValue};

/// A longer text is not searched here, letter by letter.
const SEARCHED_BYTES_MAX: usize = 256;

/// Whether `matcher` holds for a value.
pub fn holds(matcher: &CompiledMatcher, value: &EventValue<'_>, event: &impl Event) -> bool {
    match value {
        EventValue::Str(text) if text.is_ascii() => of_text(matcher, text, value, event),
        _ => matcher.matches(value, event),
    }
}

fn of_text(matcher: &CompiledMatcher, text: &str, value: &EventValue<'_>, event: &impl Event) -> bool {
    match matcher {
        CompiledMatcher::Exact { value: expected, case_insensitive: true } => is_lowered(text, expected),
        CompiledMatcher::StartsWith { value: expected, case_insensitive: true } => text.get(..expected.len()).is_some_and(|head| is_lowered(head, expected)),
        CompiledMatcher::EndsWith { value: expected, case_insensitive: true } => {
            text.len().checked_sub(expected.len()).and_then(|at| text.get(at..)).is_some_and(|tail| is_lowered(tail, expected))
        }
        CompiledMatcher::Contains { value: expected, case_insensitive: true } if text.len() <= SEARCHED_BYTES_MAX => contains(text, expected),
        CompiledMatcher::Not(inner) => !of_text(inner, text, value, event),
        CompiledMatcher::AnyOf(parts) => parts.iter().any(|part| of_text(part, text, value, event)),
        CompiledMatcher::AllOf(parts) => parts.iter().all(|part| of_text(part, text, value, event)),
        _ => matcher.matches(value, event),
    }
}

/// Whether `text`, of ASCII alone, is `expected` when it is written in small letters.
fn is_lowered(text: &str, expected: &str) -> bool {
    text.len() == expected.len() && text.bytes().zip(expected.bytes()).all(|(byte, expected)| byte.to_ascii_lowercase() == expected)
}

fn contains(text: &str, expected: &str) -> bool {
    let Some(first) = expected.bytes().next() else { return true };
    let Some(last) = text.len().checked_sub(expected.len()) else { return false };
    // A capital letter in `expected` is no letter of any text in small ones.
    if first.is_ascii_uppercase() {
        return false;
    }
    let mut starts = memchr2_iter(first, first.to_ascii_uppercase(), text.as_bytes().get(..=last).unwrap_or_default());
    starts.any(|at| text.get(at..at + expected.len()).is_some_and(|part| is_lowered(part, expected)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rsigma_eval::JsonEvent;
    use rsigma_eval::matcher::GroupMode;

    fn matcher() -> impl Strategy<Value = CompiledMatcher> {
        let plain = ("[aAbBé]{0,3}", any::<bool>(), 0..4_u8).prop_map(|(value, case_insensitive, kind)| match kind {
            0 => CompiledMatcher::Exact { value, case_insensitive },
            1 => CompiledMatcher::Contains { value, case_insensitive },
            2 => CompiledMatcher::StartsWith { value, case_insensitive },
            _ => CompiledMatcher::EndsWith { value, case_insensitive },
        });
        plain.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(CompiledMatcher::AnyOf),
                prop::collection::vec(inner.clone(), 0..4).prop_map(CompiledMatcher::AllOf),
                inner.prop_map(|inner| CompiledMatcher::Not(Box::new(inner))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn rsigma_says_the_same(matcher in matcher(), text in "[aAbBéÉ ]{0,6}") {
            let nothing = serde_json::Value::Null;
            let event = JsonEvent::borrow(&nothing);
            for value in [EventValue::Str(text.as_str().into()), EventValue::Int(7), EventValue::Null] {
                prop_assert_eq!(holds(&matcher, &value, &event), matcher.matches(&value, &event));
            }
        }
    }

    #[test]
    fn what_is_no_plain_comparison_is_left_to_rsigma() {
        let nothing = serde_json::Value::Null;
        let event = JsonEvent::borrow(&nothing);
        let children = vec![CompiledMatcher::Contains { value: "b".into(), case_insensitive: true }];
        let group = CompiledMatcher::CaseInsensitiveGroup { children, mode: GroupMode::Any };
        let long = "A".repeat(SEARCHED_BYTES_MAX) + "B";
        let contains = CompiledMatcher::Contains { value: "ab".into(), case_insensitive: true };
        for matcher in [group, contains] {
            assert!(holds(&matcher, &EventValue::Str(long.as_str().into()), &event));
        }
    }
}
