//! What SigmaHQ's rules lose: for each literal of each rule for a log that keytrail reads, a record that holds it at its field goes through
//! `ingest` at the default level, and the kept record must still hold it there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::estate::Home;

/// One value that a rule looks for.
struct Literal {
    rule: String,
    format: &'static str,
    field: String,
    text: String,
}

fn rules(home: &Home) -> Option<Vec<(String, Value)>> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/rules_sigmahq/sigmahq-8eaafff.tar.gz");
    if !archive.exists() {
        println!("SKIPPED: SigmaHQ's rules are not at {}", archive.display());
        return None;
    }
    let folder = home.path().join("sigma");
    std::fs::create_dir_all(&folder).unwrap();
    assert!(std::process::Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&folder).status().unwrap().success());
    let (mut folders, mut found) = (vec![folder], Vec::<PathBuf>::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry) }
        }
    }
    found.sort();
    let rule = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).ok().filter(|text| text.contains("logsource"))?;
        let value: Value = yaml_serde::from_str(text.split("\n---").next()?).ok()?;
        Some((value["title"].as_str()?.to_owned(), value))
    };
    Some(found.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yml")).filter_map(rule).collect())
}

/// The format of a rule's log, where it is one of ours.
fn format(rule: &Value) -> Option<&'static str> {
    let source = &rule["logsource"];
    match (source["product"].as_str()?, source["service"].as_str().unwrap_or_default()) {
        ("aws", "cloudtrail") => Some("cloudtrail"),
        ("kubernetes", _) => Some("k8s_audit"),
        // Logs that are read; of the others nothing is kept whatever the level.
        ("zeek", "kerberos" | "x509" | "ssl" | "ssh" | "ntlm" | "ldap" | "mysql" | "ftp" | "radius") => Some("zeek"),
        _ => None,
    }
}

fn literals(title: &str, format: &'static str, detection: &Value, out: &mut Vec<Literal>) {
    match detection {
        Value::Object(entries) => {
            for (key, value) in entries.iter().filter(|(key, _)| !matches!(key.as_str(), "condition" | "timeframe")) {
                let values = match value {
                    Value::Array(values) => values.clone(),
                    Value::Object(_) => {
                        literals(title, format, value, out);
                        continue;
                    }
                    other => vec![other.clone()],
                };
                if values.iter().any(Value::is_object) {
                    values.iter().for_each(|value| literals(title, format, value, out));
                    continue;
                }
                let mut parts = key.split('|');
                let field = parts.next().unwrap_or_default().to_owned();
                let modifiers: BTreeSet<&str> = parts.collect();
                if modifiers.iter().any(|modifier| matches!(*modifier, "re" | "cidr" | "exists" | "lt" | "gt" | "lte" | "gte" | "fieldref")) {
                    continue;
                }
                for value in values {
                    let text = match value {
                        Value::String(text) => text,
                        Value::Null => continue,
                        other => other.to_string(),
                    };
                    let text = text.trim_matches('*').replace(['*', '?'], "x");
                    if !text.is_empty() {
                        out.push(Literal { rule: title.to_owned(), format, field: field.clone(), text });
                    }
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| literals(title, format, value, out)),
        _ => {}
    }
}

/// Sets a field by its dotted path; a key of the record that has the whole name comes first.
fn set(record: &mut Value, path: &str, value: Value) {
    let mut at = record;
    for key in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
}

fn at<'v>(record: &'v Value, path: &str) -> Option<&'v Value> {
    record.get(path).or_else(|| path.split('.').try_fold(record, |at, key| at.get(key)))
}

/// A record that holds the literal where the rule looks for it.
fn record(literal: &Literal, n: u64) -> Value {
    let mut record = match literal.format {
        "cloudtrail" => crate::estate::cloudtrail(n, "svc", "AKIAIOSFODNN7EXAMPLE", "iam.amazonaws.com", "GetUser", json!({"userName": "svc"})),
        "k8s_audit" => serde_json::from_str(&super::k8s_audit::agent("kubectl/v1.31", n)).unwrap(),
        _ => serde_json::from_str(&super::zeek::row("kerberos", n)).unwrap(),
    };
    // A rule that searches all parameters as text (`requestParameters|contains`) says what stands in them and not where: a policy's words, which it
    // quotes, stand in a policy, and a state in a state.
    if matches!(literal.field.as_str(), "requestParameters" | "responseElements") {
        let quoted = literal.text.trim_matches('"');
        let policy = json!({"Statement": [{"Effect": "Allow", "Action": quoted, "Resource": "*"}]}).to_string();
        record[literal.field.as_str()] = if quoted.len() < literal.text.len() { json!({"policyDocument": policy}) } else { json!({"status": literal.text}) };
        return record;
    }
    let value = literal.text.parse::<bool>().map(Value::from).unwrap_or_else(|_| json!(literal.text));
    // Kubernetes rules name an object's fields without the object; Zeek's names hold dots.
    match literal.format {
        "zeek" => record[literal.field.as_str()] = value,
        "k8s_audit" if !literal.field.contains('.') && record.get(&literal.field).is_none() => {
            record["requestObject"] = json!({"kind": "Pod", "spec": {(literal.field.as_str()): value}})
        }
        _ => set(&mut record, &literal.field, value),
    }
    record
}

#[test]
fn the_default_level_hides_less_than_two_percent_of_what_sigmahq_looks_for() {
    let home = Home::new();
    let Some(rules) = rules(&home) else { return };
    let mut all = Vec::new();
    for (title, rule) in &rules {
        if let Some(format) = format(rule) {
            literals(title, format, &rule["detection"], &mut all);
        }
    }
    assert!(all.len() > 200, "only {} literals", all.len());
    let mut hidden: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let (mut looked, mut rules_hit): (BTreeMap<&str, usize>, BTreeSet<&str>) = (BTreeMap::new(), BTreeSet::new());
    for format in ["cloudtrail", "k8s_audit", "zeek"] {
        let own: Vec<(usize, &Literal)> = all.iter().enumerate().filter(|(_, literal)| literal.format == format).collect();
        // The position is the record's mark: no literal stands there.
        let lines: String = own
            .iter()
            .map(|(index, literal)| {
                let mut record = record(literal, *index as u64 + 1);
                record["mark"] = json!(index);
                format!("{record}\n")
            })
            .collect();
        let file = home.file(&format!("{format}.json"), lines);
        home.ingest(&["--format", format, file.to_str().unwrap()]);
        let mut kept: BTreeMap<usize, Value> = BTreeMap::new();
        for row in home.rows(&["sql", &format!("select raw from events where format = '{format}'")]) {
            let raw: Value = serde_json::from_str(row["raw"].as_str().unwrap()).unwrap();
            if let Some(mark) = raw["mark"].as_u64() {
                kept.insert(usize::try_from(mark).unwrap(), raw);
            }
        }
        for (index, literal) in own {
            // A record that is no event for its literal (a time that is none) says nothing of redaction.
            let Some(raw) = kept.get(&index) else { continue };
            *looked.entry(format).or_default() += 1;
            let field = if format == "k8s_audit" && at(raw, &literal.field).is_none() {
                format!("requestObject.spec.{}", literal.field)
            } else {
                literal.field.clone()
            };
            let whole = matches!(field.as_str(), "requestParameters" | "responseElements");
            let stands = at(raw, &field).is_some_and(|value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text == literal.text || whole && text.contains(literal.text.trim_matches('"'))
            });
            if !stands {
                hidden.entry(format).or_default().push(format!("{} = {:?} ({})", literal.field, literal.text, literal.rule));
                rules_hit.insert(literal.rule.as_str());
            }
        }
    }
    println!("format       literals   hidden");
    for (format, looked) in &looked {
        println!("{format:<12} {looked:>8} {:>8}", hidden.get(format).map_or(0, Vec::len));
    }
    hidden.values().flatten().for_each(|line| println!("HIDDEN {line}"));
    let (looked, hidden): (usize, usize) = (looked.values().sum(), hidden.values().map(Vec::len).sum());
    println!(
        "{hidden} of {looked} literals are hidden ({:.2} %), in {} of {} rules",
        hidden as f64 * 100.0 / looked as f64,
        rules_hit.len(),
        all.iter().map(|literal| &literal.rule).collect::<BTreeSet<_>>().len()
    );
    assert!(looked > 200 && hidden * 50 < looked, "{hidden} of {looked} literals are hidden");
}
