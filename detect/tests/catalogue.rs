//! The catalogues in docs/: own rules by ATT&CK technique, and what public emulators do by the rule that names it. Generated, and held to `rules/`.
//!
//! `KEYTRAIL_UPDATE_DOCS=1 cargo test -p keytrail-detect --test catalogue` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use keytrail_detect::{Rules, action, rule::Listed};

const TECHNIQUES: &str = include_str!("../../docs/techniques.tsv");
const CATALOGUES: [(&str, &str); 5] =
    [("stratus", "Stratus Red Team"), ("pacu", "Pacu"), ("peirates", "Peirates"), ("cloudgoat", "CloudGoat"), ("microburst", "MicroBurst")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rule id → (folder, text).
fn sources() -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    for folder in std::fs::read_dir(root().join("rules")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
            found.insert(id, (name.clone(), std::fs::read_to_string(&file).unwrap()));
        }
    }
    found
}

struct Technique {
    catalogue: &'static str,
    id: &'static str,
    title: &'static str,
    actions: Vec<&'static str>,
    rules: Vec<&'static str>,
    note: &'static str,
}

fn techniques() -> Vec<Technique> {
    let rows = TECHNIQUES.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [catalogue, id, title, actions, rules, note] = columns.try_into().unwrap_or_else(|_| panic!("six columns are expected: {line}"));
        let rules = rules.split(' ').filter(|rule| *rule != "-").collect();
        Technique { catalogue, id, title, actions: actions.split_whitespace().collect(), rules, note }
    })
    .collect()
}

#[test]
fn every_technique_is_named_by_a_rule_or_has_a_reason() {
    let sources = sources();
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for technique in techniques() {
        let id = technique.id;
        if !ids.insert((technique.catalogue, id)) {
            wrong.push(format!("{id}: twice"));
        }
        if technique.rules.is_empty() && technique.note.is_empty() {
            wrong.push(format!("{id}: neither a rule nor a reason"));
        }
        // A name that no provider's reference knows is a name that somebody made up.
        wrong.extend(technique.actions.iter().filter(|action| action::classify(action).guessed).map(|action| format!("{id}: no reference lists {action}")));
        let texts: Vec<&str> = technique.rules.iter().filter_map(|rule| sources.get(*rule)).map(|(_, text)| text.as_str()).collect();
        if texts.len() < technique.rules.len() {
            wrong.push(format!("{id}: a rule of {:?} is not there", technique.rules));
        }
        // Judged by what it is, not by its name.
        let general = |text: &&str| {
            ["baseline.", "credential.", "action.class", "outcome: denied", "user_agent", "destination_kind", "field: identity"]
                .iter()
                .any(|word| text.contains(word))
        };
        let names = |text: &&str| technique.actions.iter().any(|action| text.contains(action));
        if !texts.is_empty() && !texts.iter().any(names) && !texts.iter().any(general) {
            wrong.push(format!("{id}: no rule of {:?} mentions {:?}", technique.rules, technique.actions));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ids.len() > 200, "{} techniques", ids.len());
}

#[test]
fn no_rule_keys_on_a_tool_or_a_test() {
    for (id, (_, text)) in sources() {
        let detection = text.split("\nfalsepositives").next().unwrap().to_lowercase();
        for word in ["stratus", "pacu", "peirates", "cloudgoat", "microburst", "christophe", "boto", "kali", "scoutsuite", "prowler", "honeybucket"] {
            assert!(!detection.contains(word), "{id} keys on {word}");
        }
    }
}

fn check(path: &str, wanted: &str) {
    let path = root().join(path);
    if std::env::var_os("KEYTRAIL_UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(present == wanted, "{} is old: KEYTRAIL_UPDATE_DOCS=1 cargo test -p keytrail-detect --test catalogue writes it anew", path.display());
}

#[test]
fn techniques_are_documented() {
    let sources = sources();
    let mut text = "# What public emulators do, and what names it\n\nGenerated from `docs/techniques.tsv`, and held to the rules by a test. Calls are named as keytrail names them; every one stands in a provider's\nreference. `–`: not visible in the formats that are read today, with the reason. Rules tagged by name only are in [rules-catalogue.md](rules-catalogue.md).\n".to_owned();
    let all = techniques();
    for (catalogue, title) in CATALOGUES {
        let rows: Vec<&Technique> = all.iter().filter(|technique| technique.catalogue == catalogue).collect();
        let named = rows.iter().filter(|technique| !technique.rules.is_empty()).count();
        write!(text, "\n## {title}\n\n{named} of {} are named.\n\n| technique | calls | rules | note |\n|---|---|---|---|\n", rows.len()).unwrap();
        for technique in rows {
            let rules: Vec<String> =
                technique.rules.iter().map(|rule| format!("[{rule}](../rules/{}/{rule}.yml)", sources.get(*rule).map_or("", |(folder, _)| folder))).collect();
            let rules = if rules.is_empty() { "–".to_owned() } else { rules.join(", ") };
            let title = if technique.id.contains(&technique.title.replace(' ', "_")) || technique.id == technique.title {
                String::new()
            } else {
                format!(": {}", technique.title)
            };
            let calls: Vec<String> = technique.actions.iter().map(|action| format!("`{action}`")).collect();
            writeln!(text, "| {}{title} | {} | {rules} | {} |", technique.id, calls.join(" "), technique.note).unwrap();
        }
    }
    check("docs/techniques.md", &text);
}

#[test]
fn rules_are_catalogued() {
    let sources = sources();
    let rules = Rules::embedded().unwrap().list();
    let technique =
        |tag: &str| tag.strip_prefix("attack.t").filter(|id| id.starts_with(|c: char| c.is_ascii_digit())).map(|id| format!("T{}", id.to_uppercase()));
    let link = |rule: &Listed| format!("[{}](../rules/{}/{}.yml)", rule.rule, sources.get(rule.rule.as_str()).map_or("", |(folder, _)| folder), rule.rule);
    let mut by_technique: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut by_folder: BTreeMap<String, Vec<&Listed>> = BTreeMap::new();
    for rule in &rules {
        rule.tags.iter().filter_map(|tag| technique(tag)).for_each(|id| by_technique.entry(id).or_default().push(link(rule)));
        by_folder.entry(sources.get(rule.rule.as_str()).unwrap().0.clone()).or_default().push(rule);
    }
    let mut text = format!(
        "# The rules that keytrail comes with\n\nGenerated from `rules/`, and held to it by a test. {} rules with {} tests of their own. *Learned*: who does such acts habitually is learned, and a routine act\nopens no finding. *Sign*: it counts beside others and opens none of its own. What public emulators do, by rule: [techniques.md](techniques.md).\n",
        rules.len(),
        rules.iter().map(|rule| rule.tests).sum::<usize>()
    );
    for (folder, rules) in by_folder {
        write!(text, "\n## {folder}\n\n| rule | what | severity | | OWASP NHI | ATT&CK |\n|---|---|---|---|---|---|\n").unwrap();
        for rule in rules {
            let source = &sources.get(rule.rule.as_str()).unwrap().1;
            let how = if source.contains("\n  sign: true") {
                "sign"
            } else if source.contains("\n  learns: true") {
                "learned"
            } else {
                ""
            };
            let tags = |of: &dyn Fn(&str) -> Option<String>| rule.tags.iter().filter_map(|tag| of(tag)).collect::<Vec<_>>().join(" ");
            let nhi = tags(&|tag| tag.strip_prefix("nhi.").map(|n| format!("NHI{n}")));
            writeln!(text, "| {} | {} | {} | {how} | {nhi} | {} |", link(rule), rule.title, rule.severity.as_str(), tags(&technique)).unwrap();
        }
    }
    text.push_str("\n## By ATT&CK technique\n\n| technique | rules |\n|---|---|\n");
    for (id, rules) in by_technique {
        writeln!(text, "| [{id}](https://attack.mitre.org/techniques/{}/) | {} |", id.replace('.', "/"), rules.join(", ")).unwrap();
    }
    check("docs/rules-catalogue.md", &text);
}
