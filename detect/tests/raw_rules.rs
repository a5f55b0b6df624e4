//! Rules over raw records, held against rsigma: every rule of SigmaHQ's corpus over every real record in ../shared/data must give the
//! same verdict, whatever logsource it is for. Runs where both are there, and says so where they are not.

#[path = "raw_rules/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;

use rsigma_eval::{CompiledRule, JsonEvent};

#[test]
fn every_rule_of_the_corpus_says_of_every_real_record_what_rsigma_says() {
    let (Some(corpus), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let rules = corpus::compiled(&corpus::rules(&corpus));
    let program = corpus::program(&rules);
    let mut engine = rsigma_eval::Engine::new();
    // Its results name rules by id or title; numbers are needed here.
    engine.extend_compiled_rules(rules.iter().enumerate().map(|(number, rule)| CompiledRule { title: number.to_string(), ..rule.clone() }));
    let mut memory = program.memory();
    let (mut records, mut matches, mut by_json) = (0, 0, BTreeMap::new());
    for (path, raw) in corpus::records(&data) {
        records += 1;
        let value: serde_json::Value = serde_json::from_str(&raw).unwrap();
        let mut ours = Vec::new();
        assert!(program.judge(&raw, None, &mut memory, &mut ours), "{path} holds an object that is not read");
        ours.sort_unstable();
        let mut theirs: Vec<usize> = engine.evaluate(&JsonEvent::borrow(&value)).iter().map(|result| result.header.rule_title.parse().unwrap()).collect();
        theirs.sort_unstable();
        matches += ours.len();
        for number in theirs.iter().filter(|number| !ours.contains(number)) {
            assert!(negates_json(&rules[*number], &value), "{path}: {:?} matches {raw} for rsigma alone", rules[*number].title);
        }
        for number in ours.iter().filter(|number| !theirs.contains(number)) {
            let rule = &rules[*number];
            // A judged difference: an object or a list is also compared as its JSON text. With the text in its place rsigma says the same.
            let texts = corpus::with_texts(rule, &value);
            assert!(rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(&texts)).is_some(), "{path}: {:?} matches {raw} here alone", rule.title);
            *by_json.entry(rule.title.clone()).or_insert(0) += 1;
        }
    }
    let (all, always) = program.len();
    println!("{all} rules ({always} without a trigger) over {records} records: {matches} matches, the same as rsigma's but for {by_json:?}");
    assert!(all > 3_600 && records > 5_000 && matches > 1_000, "{all} rules, {records} records, {matches} matches");
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
