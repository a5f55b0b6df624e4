//! What the simulator promises: the same bytes for the same options, valid records in every format, the volume that was asked for, and
//! labels that are true.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use crate::clock::Micros;
use serde_json::Value;

use super::*;

fn small() -> Options {
    Options { days: 12, identities: 200, events: Some(25_000), attacks: Some(60), ..Options::default() }
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        text
    } else {
        String::from_utf8(bytes).unwrap()
    }
}

fn contents(folder: &Path, simulation: &Simulation) -> BTreeMap<String, Vec<u8>> {
    let extra = ["labels.json", "decoys.json"].map(|name| folder.join(name));
    simulation
        .files
        .iter()
        .map(|f| f.path.clone())
        .chain(extra)
        .map(|path| (path.strip_prefix(folder).unwrap().display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn the_same_options_give_the_same_bytes_and_another_seed_does_not() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let options = Options { days: 6, identities: 60, events: Some(6_000), ..Options::default() };
    let first = generate(&options, folders[0].path()).unwrap();
    let again = generate(&options, folders[1].path()).unwrap();
    let other = generate(&Options { seed: 8, ..options }, folders[2].path()).unwrap();
    let first = contents(folders[0].path(), &first);
    assert_eq!(first.keys().collect::<Vec<_>>(), contents(folders[1].path(), &again).keys().collect::<Vec<_>>());
    assert!(first == contents(folders[1].path(), &again), "the bytes differ");
    assert!(first != contents(folders[2].path(), &other), "the seed changes nothing");
}

/// Every record of every format is valid, is within its period and in order of time, and the counts are right.
#[test]
fn every_record_is_what_its_provider_would_write() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = generate(&small(), folder.path()).unwrap();
    let mut records: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut names = BTreeSet::new();
    for file in &simulation.files {
        let text = read(&file.path);
        let count = match file.format {
            "cloudtrail" => cloudtrail_records(&text, file, &simulation, &mut ids, &mut names),
            "k8s_audit" => k8s_records(&text, &simulation, &mut ids),
            "vault_audit" => vault_records(&text, &simulation, &mut ids),
            _ => zeek_records(&text, file, &mut ids),
        };
        assert_eq!(count, file.records, "{}", file.path.display());
        *records.entry(file.format).or_insert(0) += count;
    }
    assert_eq!(records, simulation.records);
    for name in [
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
        "AssumeRoleWithSAML",
        "CreateAccessKey",
        "UpdateAccessKey",
        "DeleteAccessKey",
        "GetSecretValue",
        "Decrypt",
        "GetObject",
        "ExecuteStatement",
        "ConsoleLogin",
    ] {
        assert!(names.contains(name), "no {name}");
    }
    for label in &simulation.labels {
        for id in &label.provider_event_ids {
            assert!(ids.contains(id), "{} {id} is in no file", label.attack);
        }
    }
}

fn time_of(value: &Value) -> i64 {
    Micros::parse_rfc3339(value.as_str().unwrap()).unwrap().0
}

fn cloudtrail_records(text: &str, file: &Written, simulation: &Simulation, ids: &mut BTreeSet<String>, names: &mut BTreeSet<String>) -> u64 {
    let value: Value = serde_json::from_str(text).unwrap();
    let archived = file.path.components().any(|c| c.as_os_str() == "archive");
    let mut last = 0;
    let records = value["Records"].as_array().unwrap();
    for record in records {
        let time = time_of(&record["eventTime"]);
        assert!(time >= last && (archived || (simulation.start.0..simulation.end.0).contains(&time)), "{record}");
        assert_eq!(archived, time < simulation.start.0);
        last = time;
        for key in [
            "eventSource",
            "eventName",
            "awsRegion",
            "sourceIPAddress",
            "userAgent",
            "requestID",
            "eventID",
            "recipientAccountId",
            "eventCategory",
            "eventType",
        ] {
            assert!(record[key].as_str().is_some_and(|s| !s.is_empty()), "{key} in {record}");
        }
        let identity = &record["userIdentity"];
        match identity["type"].as_str().unwrap() {
            "AssumedRole" => assert!(
                time_of(&identity["sessionContext"]["attributes"]["creationDate"]) <= time && identity["accessKeyId"].as_str().unwrap().starts_with("ASIA")
            ),
            "IAMUser" if record["eventName"] != "ConsoleLogin" => assert!(identity["accessKeyId"].as_str().unwrap().starts_with("AKIA")),
            "IAMUser" | "AWSService" | "WebIdentityUser" | "SAMLUser" => {}
            other => panic!("{other}"),
        }
        names.insert(record["eventName"].as_str().unwrap().to_owned());
        assert!(ids.insert(record["eventID"].as_str().unwrap().to_owned()), "an event id twice");
    }
    records.len() as u64
}

fn k8s_records(text: &str, simulation: &Simulation, ids: &mut BTreeSet<String>) -> u64 {
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["apiVersion"], &event["stage"]), (&Value::from("audit.k8s.io/v1"), &Value::from("ResponseComplete")));
        assert!((simulation.start.0..simulation.end.0).contains(&time_of(&event["requestReceivedTimestamp"])));
        if event["user"]["username"].as_str().unwrap().starts_with("system:serviceaccount:") {
            assert!(event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap().len() == 40, "{event}");
        }
        if event["objectRef"]["subresource"] == "token" {
            assert!(event["annotations"]["authentication.kubernetes.io/issued-credential-id"].is_string());
        }
        assert!(ids.insert(event["auditID"].as_str().unwrap().to_owned()));
    }
    text.lines().count() as u64
}

fn vault_records(text: &str, simulation: &Simulation, ids: &mut BTreeSet<String>) -> u64 {
    let mut open = BTreeSet::new();
    let mut responses = 0;
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!((simulation.start.0..simulation.end.0).contains(&time_of(&entry["time"])));
        let id = entry["request"]["id"].as_str().unwrap().to_owned();
        if entry["type"] == "request" {
            assert!(open.insert(id));
        } else {
            // Midnight may stand between the two.
            open.remove(&id);
            responses += 1;
            assert!(ids.insert(id));
            if entry["request"]["path"] == "auth/approle/login" {
                assert!(entry["response"]["auth"]["accessor"].as_str().unwrap().starts_with("hmac-sha256:"));
            } else if entry["error"].as_str().is_none_or(|e| !e.contains("invalid token")) {
                assert!(entry["auth"]["token_issue_time"].is_string(), "{entry}");
            }
        }
    }
    assert!(open.len() <= 2, "{} requests without a response", open.len());
    responses
}

fn zeek_records(text: &str, file: &Written, ids: &mut BTreeSet<String>) -> u64 {
    let mut columns = 0;
    let mut rows = 0;
    let mut last = 0.0;
    for line in text.lines() {
        if let Some(fields) = line.strip_prefix("#fields\t") {
            columns = fields.split('\t').count();
        } else if let Some(types) = line.strip_prefix("#types\t") {
            assert_eq!(types.split('\t').count(), columns);
        } else if let Some(path) = line.strip_prefix("#path\t") {
            assert_eq!(path, file.path.file_stem().unwrap().to_str().unwrap());
        } else if !line.starts_with('#') {
            let cells: Vec<_> = line.split('\t').collect();
            assert_eq!(cells.len(), columns, "{line}");
            assert!(cells.iter().all(|c| !c.is_empty()), "{line}");
            let time: f64 = cells[0].parse().unwrap();
            assert!(time >= last, "{line}");
            last = time;
            rows += 1;
            ids.insert(cells[1].to_owned());
        }
    }
    assert!(text.lines().last().unwrap().starts_with("#close"));
    rows
}

#[test]
fn the_volume_is_about_what_was_asked_for() {
    for (days, identities, events) in [(12, 90, 60_000), (5, 300, 30_000), (3, 40, 9_000)] {
        let folder = tempfile::tempdir().unwrap();
        let simulation = generate(&Options { days, identities, events: Some(events), gzip: false, ..Options::default() }, folder.path()).unwrap();
        let total = simulation.records_total();
        assert!((events * 3 / 4..events * 4 / 3).contains(&total), "{total} of {events}");
        assert!(simulation.records.values().all(|n| *n > 0) && simulation.records.len() == 4, "{:?}", simulation.records);
        assert!(simulation.identities >= identities as usize && simulation.identities_benign < simulation.identities);
    }
}

#[test]
fn the_headline_is_there_and_so_is_every_attack() {
    let folder = tempfile::tempdir().unwrap();
    let all = u32::try_from(library().count()).unwrap();
    let options = Options { identities: 1_000, events: Some(150_000), attacks: Some(all), ..Options::default() };
    let simulation = generate(&options, folder.path()).unwrap();
    let done: BTreeSet<_> = simulation.labels.iter().map(|l| (l.attack.as_str(), l.variant.as_str())).collect();
    for technique in library() {
        assert!(done.contains(&(technique.attack, technique.variant)), "no {}: {}", technique.attack, technique.variant);
    }
    assert_eq!(simulation.labels.len(), all as usize);
    let begin = simulation.start.0 + (simulation.end.0 - simulation.start.0) * 2 / 5;
    for label in &simulation.labels {
        // Poisoning begins before, by its nature.
        let begin = if label.attack == "baseline_poisoning" { simulation.start.0 } else { begin };
        assert!(label.start.0 >= begin && label.end < simulation.end && label.start <= label.end, "{label:?}");
    }
    let victims: BTreeSet<_> = simulation.labels.iter().map(|l| &l.identity).collect();
    assert_eq!(victims.len(), simulation.labels.len(), "an identity is the victim of two attacks");
    let wrong: Vec<_> = simulation.labels.iter().filter(|l| l.provider_event_ids.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");

    let label = simulation.labels.iter().find(|l| l.identity == "aws:111122223333:user/svc-deploy").unwrap();
    assert!(label.start.to_rfc3339().contains("T03:12:"), "{}", label.start);
    let (mut created, mut own_before, mut own_after, mut database) = (0, 0, 0, 0);
    for file in simulation.files.iter().filter(|f| f.format == "cloudtrail") {
        let value: Value = serde_json::from_str(&read(&file.path)).unwrap();
        for record in value["Records"].as_array().unwrap() {
            let time = time_of(&record["eventTime"]);
            if record["eventName"] == "CreateAccessKey" && record["responseElements"]["accessKey"]["accessKeyId"].as_str() == label.credential.as_deref() {
                created = time;
            }
            if record["userIdentity"]["userName"] == "svc-deploy" {
                let at_night = record["sourceIPAddress"] == "198.51.100.77";
                own_before += i32::from(!at_night && time < label.start.0);
                own_after += i32::from(!at_night && time > label.end.0);
                if record["eventName"] == "ExecuteStatement" {
                    assert!(at_night, "{record}");
                    database += 1;
                }
            }
        }
    }
    let age = label.start.days_since(Micros(created));
    assert!((212.0..212.5).contains(&age), "{age}");
    assert!(own_before > 20 && own_after > 5 && database == label.provider_event_ids.len(), "{own_before} {own_after} {database}");
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (options, name) in [
        (Options { days: 0, ..small() }, "days"),
        (Options { identities: 3, ..small() }, "identities"),
        (Options { events: Some(1), ..small() }, "events"),
        (Options { end: Micros(5), ..small() }, "period"),
    ] {
        let error = generate(&options, folder.path()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(generate(&small(), &file).unwrap_err().to_string().contains("file"));
}

#[test]
fn the_library_is_whole_and_its_document_is_the_code_s() {
    let mut seen = BTreeSet::new();
    for technique in library() {
        assert!(seen.insert((technique.attack, technique.variant)), "{} {} twice", technique.attack, technique.variant);
        assert!(technique.id.starts_with('T') && technique.id.len() >= 5, "{}", technique.id);
        for text in [technique.description, technique.seen_by, technique.source, technique.tactic] {
            assert!(text.len() > 5, "{} {} says too little", technique.attack, technique.variant);
        }
    }
    assert!(seen.len() >= 30, "{}", seen.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attacks.md");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == library_as_markdown(), "docs/attacks.md is not what the library says: cargo run -p keytrail-estate --example library > docs/attacks.md");
}

#[test]
fn levels_differ_in_what_gives_an_attacker_away() {
    let clients = |level| {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { days: 12, identities: 400, events: Some(20_000), level, attacks: Some(60), ..Options::default() };
        let simulation = generate(&options, folder.path()).unwrap();
        let ids: BTreeSet<_> = simulation.labels.iter().filter(|l| l.attack != "human_use").flat_map(|l| l.provider_event_ids.iter().cloned()).collect();
        let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
        let mut foreign = 0;
        for file in simulation.files.iter().filter(|f| f.format == "cloudtrail") {
            let value: Value = serde_json::from_str(&read(&file.path)).unwrap();
            for record in value["Records"].as_array().unwrap() {
                let client = record["userAgent"].as_str().unwrap().to_owned();
                if ids.contains(record["eventID"].as_str().unwrap()) {
                    theirs.insert(client);
                    let address = record["sourceIPAddress"].as_str().unwrap();
                    foreign += i32::from(address.starts_with("192.0.2.") || address.starts_with("198.51.100."));
                } else {
                    ours.insert(client);
                }
            }
        }
        (theirs.difference(&ours).count(), foreign)
    };
    let (easy, easy_foreign) = clients(Level::Easy);
    let (hard, hard_foreign) = clients(Level::Hard);
    assert!(easy > 0 && easy_foreign > 50, "{easy} {easy_foreign}");
    // The headline alone is told the same way at every level.
    assert!(hard == 0 && hard_foreign <= 9, "{hard} {hard_foreign}");
}

/// An hour of this estate is some twenty-five megabytes of records, of which most are written before it is over.
#[test]
fn records_wait_in_bounded_memory_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { days: 1, identities: 2_000, events: Some(400_000), gzip: false, ..Options::default() };
    let simulation = generate(&options, folder.path()).unwrap();
    assert!(simulation.bytes > 350 << 20, "{}", simulation.bytes);
    assert!(simulation.waiting_bytes_max < 20 << 20, "{} bytes waited", simulation.waiting_bytes_max);
}
