//! The rules as they stand in `data/redact`: gitleaks' own file, unchanged, and keytrail's in the same shape.

use serde::Deserialize;

use super::hand::{self, Hand};
use super::rule::{Allowed, Pattern, Rule, Target, Words};

const GITLEAKS: &str = include_str!("../../../data/redact/gitleaks.toml");
const KEYTRAIL: &str = include_str!("../../../data/redact/forms.toml");

/// Rules of gitleaks that are not taken: an access key's id is a name, and a file's name is no text.
const NAMES: &[&str] = &["aws-access-token", "pkcs12-file"];

/// How gitleaks' expressions begin that need a word before the value.
const IN_CONTEXT: &[&str] = &[r"[\w.-]{0,50}?", r"\bcurl\b", r"(?:^|[^\w])kind:"];

/// Rules that need a word before one kind of value and none before another.
const TOKENS_TOO: &[&str] = &["atlassian-api-token"];

#[derive(Deserialize)]
struct File {
    rules: Vec<Entry>,
    #[serde(default)]
    allowlist: AllowEntry,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    regex: String,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    entropy: f64,
    #[serde(default, rename = "secretGroup")]
    secret_group: usize,
    #[serde(default)]
    allowlists: Vec<AllowEntry>,
    /// keytrail's: it needs words around the value.
    #[serde(default)]
    context: bool,
}

#[derive(Deserialize, Default)]
struct AllowEntry {
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default, rename = "regexTarget")]
    target: String,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(default)]
    condition: String,
}

/// All rules, gitleaks' first.
pub(super) fn rules() -> Vec<Rule> {
    let gitleaks = file(GITLEAKS);
    let keytrail = file(KEYTRAIL);
    let taken = gitleaks.rules.into_iter().filter(|entry| !entry.regex.is_empty() && !NAMES.contains(&entry.id.as_str())).map(|entry| {
        let context = IN_CONTEXT.iter().any(|start| entry.regex.contains(start)) && !TOKENS_TOO.contains(&entry.id.as_str());
        // What gitleaks allows everywhere are words of programs' sources (`true`, `$NAME`, `{{ … }}`): none looks like a token of its own.
        let global = context.then_some(&gitleaks.allowlist);
        rule(entry, "gitleaks", context, global)
    });
    taken
        .chain(keytrail.rules.into_iter().map(|entry| {
            let context = entry.context;
            rule(entry, "keytrail", context, None)
        }))
        .collect()
}

#[expect(clippy::expect_used, reason = "the files are part of the program, and tests read them")]
fn file(text: &str) -> File {
    toml::from_str(text).expect("a rule file of the program")
}

fn rule(entry: Entry, source: &'static str, in_text_only: bool, global: Option<&AllowEntry>) -> Rule {
    let allowed = entry.allowlists.iter().filter_map(allowed).chain(global.and_then(anchored)).collect();
    let pattern = Pattern::searched(&entry.regex);
    let keywords: Vec<String> = entry.keywords.iter().map(|word| word.to_ascii_lowercase()).collect();
    let (bytes_min, needed, needs) = pattern.least(&keywords);
    Rule {
        by_hand: Hand::of(&entry.id),
        begins: hand::begins(&entry.id),
        id: entry.id,
        source,
        keywords,
        pattern,
        bytes_min,
        needed,
        needs,
        group: entry.secret_group,
        entropy_min: entry.entropy,
        in_text_only,
        allowed,
    }
}

/// `None` for what is allowed in files of certain names only.
fn allowed(entry: &AllowEntry) -> Option<Allowed> {
    if entry.condition.eq_ignore_ascii_case("and") || (entry.regexes.is_empty() && entry.stopwords.is_empty()) {
        return None;
    }
    Some(Allowed {
        patterns: entry.regexes.iter().map(|regex| Pattern::new(regex)).collect(),
        target: match entry.target.as_str() {
            "match" => Target::Match,
            "line" => Target::Line,
            _ => Target::Secret,
        },
        stopwords: Words::new(&entry.stopwords),
    })
}

/// What is allowed everywhere. gitleaks writes `^true|false|null$`, by which every secret with `false` in it would be none: here each counts as a whole.
fn anchored(entry: &AllowEntry) -> Option<Allowed> {
    let whole = AllowEntry { regexes: entry.regexes.iter().map(|regex| format!("^(?:{regex})$")).collect(), ..AllowEntry::default() };
    allowed(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_has_keywords() {
        let rules = rules();
        assert!(rules.len() > 240, "{}", rules.len());
        for rule in &rules {
            assert!(!rule.keywords.is_empty() && rule.keywords.iter().all(|word| !word.is_empty()), "{}", rule.id);
            assert!(rule.pattern.regex().is_some(), "{}: {:?}", rule.id, rule.source);
            for pattern in rule.allowed.iter().flat_map(|allowed| &allowed.patterns) {
                assert!(pattern.regex().is_some(), "{}: what it allows", rule.id);
            }
        }
    }
}
