//! gitleaks' own positives: what its rules' authors wrote down as secrets, and samples made from its rules' expressions. Read from where
//! its sources lie at the time of the test; where they do not, the test says so.

use std::path::PathBuf;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::chance::Chance;
use super::corpus::Corpus;
use super::form::Secret;
use super::place::Planted;
use super::{cloudtrail, k8s_audit, own, vault_audit, written, zeek};
use crate::estate::Home;

/// One rule of gitleaks.
struct Rule {
    id: String,
    expression: String,
    group: Option<usize>,
    /// Where none of these stands, gitleaks does not look.
    keywords: Vec<String>,
    /// The least entropy of a secret, in bits a character.
    entropy: f64,
    /// What its authors say is no secret although it looks like one: `{{ a template }}`.
    allowed: Vec<String>,
}

fn archive() -> Option<PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/redaction_gitleaks/gitleaks.tar.gz");
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: gitleaks' sources are not at {}", path.display());
    None
}

/// Its rules, and each rule's positives that its authors wrote as text.
fn read(archive: &std::path::Path, home: &Home) -> (Vec<Rule>, Vec<(String, String)>) {
    let folder = home.path().join("gitleaks");
    std::fs::create_dir_all(&folder).unwrap();
    assert!(std::process::Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&folder).status().unwrap().success());
    let config: toml::Table = std::fs::read_to_string(folder.join("config/gitleaks.toml")).unwrap().parse().unwrap();
    let rule = |rule: &toml::Value| {
        let text = |key: &str| rule.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let group = rule.get("secretGroup").and_then(toml::Value::as_integer).and_then(|group| usize::try_from(group).ok());
        let keywords = rule.get("keywords").and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
        let keywords = keywords.map(str::to_ascii_lowercase).collect();
        let entropy = rule.get("entropy").and_then(|entropy| entropy.as_float().or_else(|| entropy.as_integer().map(|n| n as f64))).unwrap_or_default();
        let allowlists = rule.get("allowlists").and_then(toml::Value::as_array).into_iter().flatten();
        let expressions = allowlists.filter_map(|list| list.get("regexes")?.as_array()).flatten();
        let allowed = expressions.filter_map(toml::Value::as_str).map(str::to_owned).collect();
        Some(Rule { id: text("id")?, expression: text("regex")?, group, keywords, entropy, allowed })
    };
    let rules = config["rules"].as_array().unwrap().iter().filter_map(rule).collect();
    let mut positives = Vec::new();
    let mut sources: Vec<PathBuf> = std::fs::read_dir(folder.join("cmd/generate/config/rules")).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.sort();
    for source in sources.iter().filter(|path| path.extension().is_some_and(|extension| extension == "go")) {
        let text = std::fs::read_to_string(source).unwrap();
        for function in text.split("\nfunc ") {
            let Some(id) = function.split("RuleID:").nth(1).and_then(|rest| rest.split('"').nth(1)) else { continue };
            let Some(from) = function.find("tps :=").or_else(|| function.find("tps =")) else { continue };
            let until = function[from..].find("fps").map_or(function.len(), |at| from + at);
            positives.extend(literals(&function[from..until]).into_iter().map(|text| (id.to_owned(), text)));
        }
    }
    (rules, positives)
}

/// The string literals of some Go source, comments left out.
fn literals(source: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '`', '/']) {
        let (mark, behind) = (rest.as_bytes()[at], &rest[at + 1..]);
        if mark == b'/' {
            rest = if behind.starts_with('/') { behind.split_once('\n').map_or("", |(_, rest)| rest) } else { behind };
        } else if mark == b'`' {
            let Some((text, behind)) = behind.split_once('`') else { break };
            all.push(text.to_owned());
            rest = behind;
        } else {
            let mut end = 0;
            while end < behind.len() && behind.as_bytes()[end] != b'"' {
                end += if behind.as_bytes()[end] == b'\\' { 2 } else { 1 };
            }
            all.extend(serde_json::from_str::<String>(&format!("\"{}\"", &behind[..end.min(behind.len())])));
            rest = behind.get(end + 1..).unwrap_or_default();
        }
    }
    all
}

/// A text that an expression matches, or `None` where it has none that can be made.
fn sample(hir: &Hir, chance: &mut Chance, out: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            // The printable part of ASCII, where the class has one.
            let letters: Vec<char> = class.ranges().iter().flat_map(|range| range.start()..=range.end().min('~')).filter(|c| (' '..='~').contains(c)).collect();
            out.push(if letters.is_empty() { class.ranges().first()?.start() } else { *chance.pick(&letters) });
        }
        HirKind::Class(Class::Bytes(class)) => out.push(char::from(class.ranges().first()?.start())),
        HirKind::Repetition(repetition) => {
            let spread = repetition.max.map_or(8, |max| max - repetition.min).min(8);
            let times = repetition.min + u32::try_from(chance.below(spread as usize + 1)).ok()?;
            (0..times).try_for_each(|_| sample(&repetition.sub, chance, out))?;
        }
        HirKind::Capture(capture) => sample(&capture.sub, chance, out)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| sample(part, chance, out))?,
        HirKind::Alternation(parts) => sample(chance.pick(parts), chance, out)?,
    }
    Some(())
}

/// Shannon's entropy, in bits a character.
fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::<char, f64>::new();
    text.chars().for_each(|c| *counts.entry(c).or_default() += 1.0);
    let all = text.chars().count() as f64;
    counts.values().map(|n| -(n / all) * (n / all).log2()).sum()
}

/// The secret that a rule sees in a text: its group, as gitleaks takes it, where a keyword stands and the secret is random enough.
fn seen(rule: &Rule, expression: &regex::Regex, text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !rule.keywords.is_empty() && !rule.keywords.iter().any(|word| lower.contains(word.as_str())) {
        return None;
    }
    let captures = expression.captures(text)?;
    let group = rule.group.and_then(|group| captures.get(group)).or_else(|| captures.iter().skip(1).flatten().find(|group| !group.as_str().is_empty()));
    let secret = group.or_else(|| captures.get(0))?.as_str().to_owned();
    let is_allowed = rule.allowed.iter().filter_map(|allowed| regex::Regex::new(allowed).ok()).any(|allowed| allowed.is_match(&secret));
    (entropy(&secret) > rule.entropy && !is_allowed).then_some(secret)
}

/// A secret with less entropy stands in other numbers, too: what is found of it says nothing.
const TELLING_BITS: f64 = 2.5;

/// Whether what is found of a secret says something: `CleartextPassword1` is, in parts, the word before it with what a compressed block holds next.
fn tells(secret: &str) -> bool {
    secret.len() >= 8 && entropy(secret) >= TELLING_BITS && !secret.to_ascii_lowercase().contains("password")
}

/// Rules whose match is no secret: an access key's id is a name, and stays.
const NAMES: &[&str] = &["aws-access-token"];

#[test]
fn the_positives_of_gitleaks_rules_are_not_found_again() {
    let Some(archive) = archive() else { return };
    let mut chance = Chance::new("the_positives_of_gitleaks_rules_are_not_found_again");
    let home = Home::new();
    let (rules, positives) = read(&archive, &home);
    assert!(rules.len() > 200 && positives.len() > 300, "{} rules, {} positives", rules.len(), positives.len());
    let mut texts: Vec<(String, Secret, String)> = Vec::new();
    for rule in rules.iter().filter(|rule| !NAMES.contains(&rule.id.as_str())) {
        let Ok(expression) = regex::RegexBuilder::new(&rule.expression).size_limit(64 << 20).build() else {
            println!("{} is no expression here", rule.id);
            continue;
        };
        let mut all: Vec<String> = positives.iter().filter(|(id, _)| *id == rule.id).map(|(_, text)| text.clone()).collect();
        if let Ok(hir) = regex_syntax::parse(&rule.expression) {
            for _ in 0..2 {
                let mut text = String::new();
                all.extend(sample(&hir, &mut chance, &mut text).map(|()| text));
            }
        }
        for text in all {
            let Some(secret) = seen(rule, &expression, &text).filter(|secret| tells(secret)) else { continue };
            texts.push((rule.id.clone(), Secret { form: "gitleaks", core: secret.clone(), text: secret }, text));
        }
    }
    let rules_seen: std::collections::BTreeSet<&str> = texts.iter().map(|(id, _, _)| id.as_str()).collect();
    println!("{} positives of {} rules", texts.len(), rules_seen.len());
    assert!(rules_seen.len() > 150);
    /// A format, and a record of it that holds a text.
    type Record = (&'static str, fn(&str, u64) -> String);
    let formats: [Record; 5] = [
        ("cloudtrail", cloudtrail::agent),
        ("k8s_audit", k8s_audit::agent),
        ("vault_audit", vault_audit::error),
        ("zeek", zeek::topic),
        ("keytrail", own::reason),
    ];
    let mut failed = Vec::new();
    for (format, build) in formats {
        for kind in ["kept text", "record that does not end"] {
            let line = |index: usize, text: &str| match kind {
                "kept text" => build(text, index as u64),
                _ => format!("{{\"time\": 1, \"field\": {}", serde_json::to_string(text).unwrap()),
            };
            let plant = |(index, (id, secret, text)): (usize, &(String, Secret, String))| Planted {
                secret: secret.clone(),
                place: format!("rule {id}, {kind}"),
                format,
                file: if kind == "kept text" { format!("{format}/gitleaks.json") } else { format!("{format}/broken-gitleaks.log") },
                lines: line(index, text),
            };
            let corpus = Corpus::of(texts.iter().enumerate().map(plant).collect());
            corpus.is_found_in_the_input();
            let home = Home::new();
            for (format, paths) in corpus.write(&home) {
                let totals = home.ingest(&["--format", format, paths[0].to_str().unwrap()]);
                assert!(totals.read > 0, "{format}: {totals:?}");
            }
            let leaks = corpus.told(&written::folder(&home.data()).0, &format!("gitleaks' positives, {format}, {kind}"));
            if leaks > 0 {
                failed.push(format!("{leaks} of {} in {format}, {kind}", corpus.planted.len()));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
