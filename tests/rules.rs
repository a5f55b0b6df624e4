//! Further rules: read from where keytrail.toml says, capped, changed in the middle of the log, and judged by again in a rebuild.

use serde_json::{Value, json};

use crate::estate::{Home, cloudtrail, rows, stderr};

fn rule(name: &str) -> String {
    format!(
        "title: {name} was called\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n  selection:\n    eventSource: cloudtrail.amazonaws.com\n    eventName: {name}\n  condition: selection\nlevel: critical\ntags: [attack.t1562.008]\n"
    )
}

fn trail(home: &Home, file: &str, second: u64, names: &[&str]) -> String {
    let lines: Vec<String> = names
        .iter()
        .zip(second..)
        // An identity each: what one identity does folds into one story.
        .map(|(name, second)| {
            cloudtrail(second, &format!("ops-{second}"), "AKIAOPS0000000000001", "cloudtrail.amazonaws.com", name, json!({ "name": "trail" })).to_string()
        })
        .collect();
    home.file(file, lines.join("\n")).to_str().unwrap().to_owned()
}

/// What the rules saw: what is capped at medium is a judgement, and none that somebody has to read today.
fn seen(home: &Home) -> Vec<Value> {
    home.rows(&["sql", "select rule, severity, title, detection_id from detections order by detection_id"])
}

fn named(seen: &[Value]) -> Vec<(String, String)> {
    let mut named: Vec<_> = seen.iter().map(|row| (row["rule"].as_str().unwrap().to_owned(), row["severity"].as_str().unwrap().to_owned())).collect();
    named.sort();
    named.dedup();
    named
}

#[test]
fn further_rules_are_capped_and_a_rebuild_turns_to_them_where_the_log_did() {
    let home = Home::new();
    home.file("keytrail.toml", "[detector]\nbuiltin_rules = false\nrules = [{ path = \"rules\", severity_max = \"medium\" }]\n");
    home.file("rules/stop.yml", rule("StopLogging"));
    home.file("rules/broken.yml", "title: [\n");
    let first = trail(&home, "a.log", 0, &["StopLogging", "DeleteTrail"]);
    home.ingest(&["--format", "cloudtrail", &first]);
    let one = ("stop".to_owned(), "medium".to_owned());
    assert_eq!(named(&seen(&home)), std::slice::from_ref(&one), "the broken rule keeps nobody else back");

    home.file("rules/delete.yml", rule("DeleteTrail"));
    let second = trail(&home, "b.log", 100, &["DeleteTrail"]);
    home.ingest(&["--format", "cloudtrail", &second]);
    let before = seen(&home);
    assert_eq!(named(&before), [("delete".to_owned(), "medium".to_owned()), one]);

    // Both rules are there now; the first DeleteTrail was judged by one of them, and is again.
    let rebuilt = home.run(&["rebuild"]);
    assert!(rebuilt.status.success(), "{}", stderr(&rebuilt));
    assert_eq!(seen(&home), before);
}

#[test]
fn check_says_of_every_rule_whether_it_loads_and_why_not() {
    let home = Home::new();
    home.file("rules/good.yml", rule("StopLogging"));
    home.file("rules/twice/good.yml", rule("StopLogging"));
    home.file("rules/okta.yml", rule("x").replace("product: aws, service: cloudtrail", "product: okta, service: okta"));
    home.file("rules/.git/hidden.yml", "nothing");
    let output = home.run(&["rules", "check", "rules", "--output", "ndjson"]);
    assert!(!output.status.success(), "one is refused");
    let rows = rows(&output);
    let of = |path: &str| rows.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("{path} in {rows:?}"));
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&of("rules/good.yml")["loads"], &of("rules/good.yml")["logsource"], &of("rules/good.yml")["idle"]),
        (&json!(true), &json!("aws/cloudtrail"), &json!(false))
    );
    assert!(of("rules/twice/good.yml")["reason"].as_str().unwrap().contains("stands twice: first in rules/good.yml"));
    assert_eq!(of("rules/okta.yml")["idle"], json!(!of("rules/okta.yml")["reason"].is_null()), "idle as long as its format is not read");
    let listed = home.rows(&["rules", "list", "rules/good.yml"]);
    assert_eq!((&listed[0]["rule"], &listed[0]["attack"]), (&json!("good"), &json!("T1562.008")));
    assert!(stderr(&home.run(&["rules", "check", "nowhere"])).contains("nowhere"));
}
