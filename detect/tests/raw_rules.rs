//! Rules over raw records, held against rsigma: every rule of SigmaHQ's corpus over every real record in ../shared/data must give the
//! same verdict, whatever logsource it is for. Runs where both are there, and says so where they are not.

#[path = "raw_rules/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;

use keytrail_detect::rule::raw::{Memory, Program};
use rsigma_eval::{CompiledRule, JsonEvent};

#[test]
fn every_rule_of_the_corpus_says_of_every_real_record_what_rsigma_says() {
    let (Some(corpus), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let mut oracle = Oracle::new(&corpus);
    for (path, raw) in corpus::records(&data) {
        assert!(oracle.holds(&path, &raw), "{path} holds an object that is not read");
    }
    let (all, always) = oracle.program.len();
    let Oracle { records, matches, by_json, .. } = oracle;
    println!("{all} rules ({always} without a trigger) over {records} records: {matches} matches, the same as rsigma's but for {by_json:?}");
    assert!(all > 3_600 && records > 5_000 && matches > 1_000, "{all} rules, {records} records, {matches} matches");
}

/// The same over what a detector is given: records of every format as they are read, redacted and recast.
#[test]
fn every_rule_of_the_corpus_says_of_every_format_what_rsigma_says() {
    let (Some(corpus), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let mut oracle = Oracle::new(&corpus);
    let mut formats: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (format, raw) in corpus::read(&data, OF_ONE_FORMAT_MAX) {
        let (read, objects) = formats.entry(format.clone()).or_default();
        *read += 1;
        *objects += usize::from(oracle.holds(&format, &raw));
    }
    println!("{} matches; records of each format, and how many are objects that rules can look at: {formats:?}", oracle.matches);
    let lacking: Vec<&str> = corpus::FORMATS.iter().copied().filter(|format| formats.get(*format).is_none_or(|(_, objects)| *objects == 0)).collect();
    // Lines are no objects: docs/rules.md says that rules do not look at them yet.
    assert_eq!(lacking, ["keytrail", "sshd", "auditd"], "of every format that rules are for there are real records but of our own");
}

/// Records of one format: rsigma takes milliseconds for each.
const OF_ONE_FORMAT_MAX: usize = 120;

/// Both engines with the same rules.
struct Oracle {
    rules: Vec<CompiledRule>,
    program: Program,
    engine: rsigma_eval::Engine,
    memory: Memory,
    records: usize,
    matches: usize,
    by_json: BTreeMap<String, usize>,
}

impl Oracle {
    fn new(corpus: &std::path::Path) -> Self {
        let rules = corpus::compiled(&corpus::rules(corpus));
        let program = corpus::program(&rules);
        let mut engine = rsigma_eval::Engine::new();
        // Its results name rules by id or title; numbers are needed here.
        engine.extend_compiled_rules(rules.iter().enumerate().map(|(number, rule)| CompiledRule { title: number.to_string(), ..rule.clone() }));
        let memory = program.memory();
        Self { rules, program, engine, memory, records: 0, matches: 0, by_json: BTreeMap::new() }
    }

    /// Holds what both say of a record against each other; false where it is no object, of which nothing is said.
    fn holds(&mut self, path: &str, raw: &str) -> bool {
        let Self { rules, program, engine, memory, .. } = self;
        let mut ours = Vec::new();
        if !program.judge(raw, None, memory, &mut ours) {
            return false;
        }
        let value: serde_json::Value = serde_json::from_str(raw).unwrap();
        ours.sort_unstable();
        let mut theirs: Vec<usize> = engine.evaluate(&JsonEvent::borrow(&value)).iter().map(|result| result.header.rule_title.parse().unwrap()).collect();
        theirs.sort_unstable();
        self.records += 1;
        self.matches += ours.len();
        for number in theirs.iter().filter(|number| !ours.contains(number)) {
            assert!(negates_json(&rules[*number], &value), "{path}: {:?} matches {raw} for rsigma alone", rules[*number].title);
        }
        for number in ours.iter().filter(|number| !theirs.contains(number)) {
            let rule = &rules[*number];
            // A judged difference: an object or a list is also compared as its JSON text. With the text in its place rsigma says the same.
            let texts = corpus::with_texts(rule, &value);
            assert!(rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(&texts)).is_some(), "{path}: {:?} matches {raw} here alone", rule.title);
            *self.by_json.entry(rule.title.clone()).or_insert(0) += 1;
        }
        true
    }
}

/// The rule names a field that holds an object or a list here, which a negated condition compared as text.
fn negates_json(rule: &CompiledRule, value: &serde_json::Value) -> bool {
    let texts = corpus::with_texts(rule, value);
    texts != *value && rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(&texts)).is_none()
}

/// What is stated of the corpus: at least 95 of 100 rules of each of these products load.
#[test]
fn nearly_all_rules_for_clouds_and_identity_providers_load() {
    let Some(corpus) = corpus::unpacked() else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let loaded = keytrail_detect::rule::load::load(&corpus::set(&corpus), corpus::FORMATS).unwrap();
    let mut products: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for checked in &loaded.checked {
        let product = checked.logsource.split('/').next().unwrap_or_default().to_owned();
        let (all, loads) = products.entry(product).or_default();
        *all += 1;
        *loads += usize::from(checked.loads);
        if !checked.loads {
            println!("{}: {}", checked.path, checked.reason.as_deref().unwrap_or_default());
        }
    }
    println!("{products:?}");
    for product in ["aws", "azure", "gcp", "kubernetes", "okta", "github", "m365"] {
        let (all, loads) = products[product];
        assert!(all > 9 && loads * 100 >= all * 95, "{product}: {loads} of {all}");
    }
    let idle = |product: &str| loaded.checked.iter().filter(|checked| checked.logsource.starts_with(product) && checked.idle).count();
    for product in ["aws/", "kubernetes/", "okta/", "github/", "m365/"] {
        assert_eq!(idle(product), 0, "{product} is read");
    }
    assert!(idle("onelogin/") > 0 && loaded.checked.iter().filter(|checked| checked.idle).all(|checked| checked.reason.is_some()));
}

/// The table in docs/rules.md; `KEYTRAIL_UPDATE_RULES=1` writes it anew.
#[test]
fn the_table_in_the_documentation_is_what_loads() {
    const PRODUCTS: &[&str] = &["aws", "azure", "gcp", "kubernetes", "okta", "github", "m365", "zeek", "onelogin", "bitbucket", "windows", "linux", "macos"];
    let Some(corpus) = corpus::unpacked() else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let loaded = keytrail_detect::rule::load::load(&corpus::set(&corpus), corpus::FORMATS).unwrap();
    let mut rows = String::new();
    for product in PRODUCTS.iter().copied().chain(["others"]) {
        let of = |checked: &&keytrail_detect::rule::load::Checked| {
            let own = checked.logsource.split('/').next().unwrap_or_default();
            if product == "others" { !PRODUCTS.contains(&own) } else { own == product }
        };
        let all: Vec<_> = loaded.checked.iter().filter(of).collect();
        let loads = all.iter().filter(|checked| checked.loads).count();
        let idle: Vec<_> = all.iter().filter(|checked| checked.idle).collect();
        let mut why: Vec<&str> = idle.iter().map(|checked| why(checked.reason.as_deref().unwrap())).collect();
        why.sort_unstable();
        why.dedup();
        rows += &format!("| {product} | {} | {loads} | {} | {} |\n", all.len(), loads - idle.len(), why.join("; "));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    let Ok(text) = std::fs::read_to_string(&path) else { return };
    let start = text.find("|---|---|---|---|---|\n").unwrap() + "|---|---|---|---|---|\n".len();
    let end = text.find("<!-- /corpus -->").unwrap();
    if option_env!("KEYTRAIL_UPDATE_RULES").is_some() {
        std::fs::write(&path, format!("{}{rows}{}", &text[..start], &text[end..])).unwrap();
    } else {
        assert_eq!(&text[start..end], rows, "KEYTRAIL_UPDATE_RULES=1 writes it anew");
    }
}

fn why(reason: &str) -> &str {
    if reason.contains("no format is known") { "no format is known for other logs of it" } else { reason.trim_start_matches("format not read yet: ") }
}
