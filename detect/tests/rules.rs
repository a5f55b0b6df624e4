//! The rules in `rules/`: all are embedded, all parse, all carry tests, and all tests pass.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::{collections::BTreeMap, path::Path};

use keytrail_detect::Rules;

fn folder() -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), files);
            } else if name.ends_with(".yml") {
                files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules"), "", &mut files);
    files
}

/// `KEYTRAIL_UPDATE_RULES=1 cargo test -p keytrail-detect` writes the list anew.
#[test]
fn every_file_of_the_folder_is_embedded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rule/embedded.rs");
    let present = std::fs::read_to_string(&path).unwrap();
    let head = &present[..present.find("pub const FILES").unwrap()];
    let lines: String = folder().keys().map(|name| format!("    (\"{name}\", include_str!(\"../../../rules/{name}\")),\n")).collect();
    let wanted = format!("{head}pub const FILES: &[(&str, &str)] = &[\n{lines}];\n");
    if option_env!("KEYTRAIL_UPDATE_RULES").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert_eq!(present, wanted, "KEYTRAIL_UPDATE_RULES=1 cargo test -p keytrail-detect writes the list anew");
}

#[test]
fn every_rule_passes_its_own_tests() {
    let rules = Rules::from_sources(folder().into_iter()).unwrap();
    let reports = rules.test();
    let failed: Vec<String> =
        reports.iter().filter_map(|report| report.failure.as_ref().map(|why| format!("{}: {}: {why}", report.file, report.test))).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(reports.len() > 450, "{} tests ran", reports.len());
}

#[test]
fn no_rule_is_without_tests_tags_or_a_runbook() {
    let rules = Rules::from_sources(folder().into_iter()).unwrap();
    assert_eq!(rules.check(), Vec::<String>::new());
    assert!(rules.list().len() >= 160, "{} rules", rules.list().len());
}

#[test]
fn most_rules_are_decided_natively() {
    let rules = Rules::embedded().unwrap();
    let (native, all) = rules.decided_natively();
    println!("{native} of {all} detections need no full evaluation");
    assert!(native * 2 >= all, "{native} of {all} detections need no full evaluation");
}

#[test]
fn a_wrong_rule_says_what_is_wrong() {
    let wrong = |yaml: &str| {
        Rules::from_sources(std::iter::once(("x/broken.yml".to_owned(), yaml.to_owned()))).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let rule =
        |detection: &str, more: &str| format!("title: t\nlogsource: {{category: machine_identity}}\ndetection:\n  s: {{{detection}}}\n  condition: s\n{more}");
    assert!(wrong(&rule("actvity: use", "")).contains("no field is called \"actvity\""));
    assert!(wrong(&rule("activity: use", "keytrail: {knd: policy}\n")).contains("knd"));
    assert!(wrong(&rule("activity: use", "keytrail: {fold_window: soon}\n")).contains("soon"));
    assert!(wrong(&rule("activity: use", "keytrail: {reason: \"{nothing}\"}\n")).contains("nothing"));
    assert!(wrong(&rule("activity: use", "teste: []\n")).contains("teste"));
    let raw = |detection: &str| wrong(&format!("title: t\nlogsource: {{product: aws}}\ndetection:\n  s: {{{detection}}}\n  condition: s\n"));
    assert_eq!((raw("a: b"), raw("a|frobnicate: b").contains("frobnicate")), (String::new(), true), "fields of raw records are whatever records have");
    assert!(wrong(": : :").contains("broken"));
    assert!(wrong("").contains("broken.yml"));
}
