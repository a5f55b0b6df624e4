//! What is known to be an attack is named on an empty lake: real records of single techniques, each file through the whole binary into a lake of
//! its own, with the client's name blanked. Prints a table: found, by what, missed.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::estate::Home;

/// The calls of a technique, from `docs/techniques.tsv`.
fn acts(technique: &str) -> Vec<String> {
    let table = include_str!("../docs/techniques.tsv");
    let row = table.lines().map(|line| line.split('\t').collect::<Vec<_>>()).find(|row| row.first() == Some(&"stratus") && row.get(1) == Some(&technique));
    row.unwrap_or_else(|| panic!("{technique} has no row in docs/techniques.tsv"))[3].split(' ').map(str::to_owned).collect()
}

/// The records of a file, a list or one a line, whose clients lose their names.
fn anonymous(text: &str) -> String {
    let records: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(records)) => records,
        Ok(record) => vec![record],
        Err(_) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    };
    let mut lines = String::new();
    for mut record in records {
        record["userAgent"] = json!("client");
        lines.push_str(&record.to_string());
        lines.push('\n');
    }
    lines
}

/// The call without the date that some functions of AWS have in their names.
fn is_act(action: &str, acts: &[String]) -> bool {
    acts.iter().any(|act| action.strip_prefix(act.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("20")))
}

#[test]
fn techniques_of_an_emulator_are_named_by_detections_that_hold_the_act() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cloudtrail/stratus-attacks");
    if !folder.is_dir() {
        println!("skipped: {} does not exist, so no real attacks were read", folder.display());
        return;
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut found, mut all) = (0, 0);
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let technique = path.file_stem().unwrap().to_str().unwrap();
        let acts = acts(technique);
        let home = Home::new();
        let input = home.file("attack.json", anonymous(&std::fs::read_to_string(path).unwrap()));
        home.ingest(&["--format", "cloudtrail", input.to_str().unwrap()]);
        let events = home.rows(&["sql", "select event_id, action from events"]);
        let of_the_act: Vec<&Value> =
            events.iter().filter(|event| event["action"].as_str().is_some_and(|action| is_act(action, &acts))).map(|event| &event["event_id"]).collect();
        assert!(!of_the_act.is_empty(), "{technique}: none of {acts:?} is among the events");
        let detections = home.rows(&["sql", "select rule, kind, event_ids from detections"]);
        let mut by: Vec<&str> = detections
            .iter()
            .filter(|detection| detection["event_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| of_the_act.contains(&id))))
            .filter_map(|detection| detection["rule"].as_str())
            .collect();
        by.sort_unstable();
        by.dedup();
        println!("{technique:<60} {}", if by.is_empty() { "MISSED".to_owned() } else { by.join(", ") });
        all += 1;
        found += usize::from(!by.is_empty());
    }
    println!("{found} of {all} techniques named on an empty lake");
    assert!(all > 0 && found * 100 >= all * 95, "{found} of {all}");
}
