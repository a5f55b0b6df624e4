//! A Modbus command that `modbus.log` and `modbus_detailed.log` both tell of is one event, with what the detailed one says; and none is lost where one of the
//! two is all there is. Over the real logs of the shared data folder, where it exists: the other log of each pair is written from it, as Zeek and ICSNPP do.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options, Reader};
use keytrail_schemas::{Event, EventId, Micros, Outcome};
use serde_json::{Value, json};

fn data(name: &str) -> Option<String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/zeek").join(name);
    let found = std::fs::read_to_string(&path).ok();
    if found.is_none() {
        println!("skipped: {} does not exist", path.display());
    }
    found
}

/// Rows of a log, one JSON object each.
type Rows = Vec<Value>;

/// What a reader makes of files with these rows, in the order of their names; of one id the first, as the event log keeps it.
fn stored(files: &[(&str, &Rows)]) -> BTreeMap<EventId, Event> {
    let dir = tempfile::tempdir().unwrap();
    for (name, rows) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    }
    let mut options = Options::new("plant", Choice::Auto, Redactor::new(&[7; 32]), || Micros(0));
    options.cluster = "lab".into();
    let mut out = BTreeMap::new();
    for batch in Reader::open(&[dir.path().display().to_string()], options).unwrap() {
        assert!(batch.dead_letters.is_empty(), "{:?}", batch.dead_letters);
        for event in batch.events {
            out.entry(event.event_id).or_insert(*event);
        }
    }
    out
}

fn acts(events: &BTreeMap<EventId, Event>) -> Vec<(Micros, String, Outcome, String)> {
    let mut acts: Vec<_> = events
        .values()
        .map(|event| (event.time, event.action.as_deref().unwrap().to_owned(), event.outcome, event.destination.as_deref().unwrap().to_owned()))
        .collect();
    acts.sort_by(|a, b| (a.0, &a.1, &a.3).cmp(&(b.0, &b.1, &b.3)));
    acts
}

/// Both logs, in either order, and each alone.
fn told_twice_is_told_once(plain: &Rows, detailed: &Rows) {
    let (only_plain, only_detailed) = (stored(&[("modbus.log", plain)]), stored(&[("modbus_detailed.log", detailed)]));
    println!("{} rows of modbus.log: {} events; {} of modbus_detailed.log: {}", plain.len(), only_plain.len(), detailed.len(), only_detailed.len());
    for both in [stored(&[("modbus.log", plain), ("modbus_detailed.log", detailed)]), stored(&[("1/modbus_detailed.log", detailed), ("2/modbus.log", plain)])] {
        assert_eq!(acts(&both), acts(&only_detailed));
        // A function without data is told by both alike.
        let says_more = |raw: &Option<String>| raw.as_ref().is_some_and(|raw| raw.contains("matched"));
        let better = only_detailed.iter().filter(|(_, event)| says_more(&event.raw));
        assert!(better.clone().count() > 20);
        for (id, event) in better {
            assert_eq!(both[id].raw, event.raw, "the detailed row stands");
        }
    }
    // One after the other, apart: nothing is lost, and twice is only what the detailed log alone tells apart.
    let ids: BTreeSet<_> = only_plain.keys().chain(only_detailed.keys()).collect();
    let apart = only_detailed.values().filter(|event| event.action.as_deref().is_some_and(|action| action.matches('.').count() > 1)).count();
    assert_eq!(ids.len(), only_detailed.len() + apart);
    assert_eq!(only_plain.len(), only_detailed.len());
}

#[test]
fn over_icsnpps_own_log() {
    let Some(text) = data("icsnpp/modbus/basic/modbus_detailed.log") else { return };
    let names: Vec<&str> = text.lines().find_map(|line| line.strip_prefix("#fields\t")).unwrap().split('\t').collect();
    let detailed: Rows = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let cells = names.iter().zip(line.split('\t')).filter(|(_, cell)| *cell != "-");
            let value = |name: &str, cell: &str| match name {
                "ts" => json!(cell.parse::<f64>().unwrap()),
                "matched" => json!(cell == "T"),
                "tid" | "unit" => json!(cell.parse::<u64>().unwrap()),
                _ => json!(cell),
            };
            Value::Object(cells.map(|(name, cell)| ((*name).to_owned(), value(name, cell))).collect())
        })
        .collect();
    assert_eq!(detailed.len(), 26);
    let mut plain = Vec::new();
    let mut asked = BTreeSet::new();
    for row in &detailed {
        let with = |at: f64, kind: &str| {
            let mut new: serde_json::Map<String, Value> = ["uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "tid", "unit", "func"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), row.get(name)?.clone())))
                .collect();
            new.insert("ts".to_owned(), json!(row["ts"].as_f64().unwrap() + at));
            new.insert("pdu_type".to_owned(), json!(kind));
            if let (Some(code), "RESP") = (row.get("exception_code"), kind) {
                new.insert("exception".to_owned(), code.clone());
                new.insert("func".to_owned(), json!(format!("{}_EXCEPTION", row["func"].as_str().unwrap())));
            }
            Value::Object(new)
        };
        match row.get("matched") {
            Some(_) => plain.extend([with(0.0, "REQ"), with(0.01, "RESP")]),
            // Two rows in the detailed log, too.
            None if asked.insert(row["tid"].as_u64()) => plain.push(with(0.0, "REQ")),
            None => plain.push(with(0.0, "RESP")),
        }
    }
    told_twice_is_told_once(&plain, &detailed);
}

#[test]
fn over_zeeks_own_log() {
    let Some(text) = data("ocsf-raw/modbus.log") else { return };
    let plain: Rows = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let key = |row: &Value| (row["uid"].to_string(), row["tid"].as_u64(), row["func"].as_str().unwrap().trim_end_matches("_EXCEPTION").to_owned());
    let mut answers: BTreeMap<_, std::collections::VecDeque<&Value>> = BTreeMap::new();
    for row in plain.iter().filter(|row| row["pdu_type"] == "RESP") {
        answers.entry(key(row)).or_default().push_back(row);
    }
    // ICSNPP writes the row when the answer is there.
    let mut detailed: Vec<(f64, Value)> = plain
        .iter()
        .filter(|row| row["pdu_type"] == "REQ")
        .map(|request| {
            let mut row = request.clone();
            let answer = answers.get_mut(&key(request)).and_then(std::collections::VecDeque::pop_front);
            let fields = row.as_object_mut().unwrap();
            fields.remove("pdu_type");
            fields.insert("request_values".to_owned(), json!([1, 2, 3]));
            if let Some(answer) = answer {
                fields.insert("matched".to_owned(), json!(true));
                if let Some(code) = answer.get("exception") {
                    fields.insert("exception_code".to_owned(), code.clone());
                }
            }
            (answer.unwrap_or(request)["ts"].as_f64().unwrap(), row)
        })
        .collect();
    detailed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let detailed: Rows = detailed.into_iter().map(|(_, row)| row).collect();
    assert_eq!((plain.len(), detailed.len()), (5_586, 2_793));
    let unanswered = stored(&[("modbus.log", &plain)]).values().filter(|event| event.outcome == Outcome::Unknown).count();
    println!("{unanswered} requests have no answer");
    // Answers without a request stand in Zeek's log alone.
    let asked: BTreeSet<_> = plain.iter().filter(|row| row["pdu_type"] == "REQ").map(key).collect();
    let plain: Rows = plain.iter().filter(|row| asked.contains(&key(row))).cloned().collect();
    told_twice_is_told_once(&plain, &detailed);
}
