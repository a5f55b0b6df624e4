//! The one line that stands at the end of every answer.

use std::collections::BTreeMap;

use keytrail_schemas::Micros;

use super::{Covered, Source};

/// Sources that the line names; the others are counted.
const NAMED_MAX: usize = 6;

/// `coverage: 3 sources (cloudtrail 1,204 events, …), 12 dead letters (no_time 3, …), longest gap 6 h in k8s (… to …)`.
pub(crate) fn line(covered: &Covered) -> String {
    let sources = &covered.sources;
    let mut seen: Vec<&Source> = sources.iter().filter(|source| source.events > 0).collect();
    seen.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.name.cmp(&b.name)));
    let named: Vec<String> = seen.iter().take(NAMED_MAX).map(|source| format!("{} {}", source.name, counted(source.events, "event"))).collect();
    let more = if seen.len() > NAMED_MAX { format!(", {} more", seen.len() - NAMED_MAX) } else { String::new() };
    let reported = if seen.is_empty() {
        "no source reported in this period".to_owned()
    } else {
        format!("{} ({}{more})", counted(seen.len().try_into().unwrap_or(i64::MAX), "source"), named.join(", "))
    };
    let mut reasons: BTreeMap<&str, i64> = BTreeMap::new();
    for (reason, count) in sources.iter().flat_map(|source| &source.dead_letters) {
        *reasons.entry(reason).or_default() += count;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let dead: i64 = reasons.iter().map(|(_, count)| count).sum();
    let why: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
    let dead = if dead == 0 { "no dead letters".to_owned() } else { format!("{} ({})", counted(dead, "dead letter"), why.join(", ")) };
    let gap = seen.iter().filter_map(|source| source.gap.map(|(from, to)| (to - from, from, to, &source.name))).max_by_key(|(length, ..)| *length);
    let gap = gap.map_or_else(
        || "no gap of an hour or more".to_owned(),
        |(length, from, to, name)| format!("longest gap {} in {name} ({} to {})", span(length), Micros(from).to_rfc3339(), Micros(to).to_rfc3339()),
    );
    let unreadable: Vec<&str> = covered.unreadable.iter().map(String::as_str).collect();
    let unreadable = if unreadable.is_empty() { String::new() } else { format!(", EVENTS THAT CANNOT BE READ: {}", unreadable.join(", ")) };
    format!("coverage: {reported}, {dead}, {gap}{unreadable}")
}

fn counted(count: i64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Digits in groups of three.
fn grouped(count: i64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Hours, or days from two days up.
fn span(length: i64) -> String {
    if length >= 2 * Micros::DAY { format!("{} d", length / Micros::DAY) } else { format!("{} h", length / Micros::HOUR) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_sources_dead_letters_and_the_longest_gap() {
        let source = |name: &str, events, gap, dead: &[(&str, i64)]| Source {
            name: name.to_owned(),
            events,
            gap,
            dead_letters: dead.iter().map(|(r, c)| ((*r).to_owned(), *c)).collect(),
            ..Source::default()
        };
        let six = Some((0, 6 * Micros::HOUR + 5));
        let sources = [source("cloudtrail", 12_345, None, &[("no_time", 3)]), source("k8s", 1, six, &[]), source("broken", 0, None, &[("malformed", 1_000)])];
        assert_eq!(
            line(&Covered { sources: sources.into(), ..Covered::default() }),
            "coverage: 2 sources (cloudtrail 12,345 events, k8s 1 event), 1,003 dead letters (malformed 1,000, no_time 3), longest gap 6 h in k8s (1970-01-01T00:00:00Z to 1970-01-01T06:00:00.000005Z)"
        );
        assert_eq!(line(&Covered::default()), "coverage: no source reported in this period, no dead letters, no gap of an hour or more");
    }
}
