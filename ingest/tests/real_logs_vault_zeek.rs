//! Reads the real Vault audit and Zeek logs of the shared data folder, where it exists, and says what came of each file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keytrail_ingest::format::{Context, Disposition, Draft, Format, vault_audit::VaultAudit, zeek::Zeek};
use keytrail_ingest::redact::Redactor;
use keytrail_schemas::{Event, Text};

/// The folder of real logs; `None` where there is none.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    let found = path.is_dir();
    if !found {
        println!("skipped: {} does not exist", path.display());
    }
    found.then_some(path)
}

/// What came of a file.
#[derive(Default)]
struct Read {
    records: usize,
    held: usize,
    control: usize,
    drafts: Vec<Draft>,
    rejects: Vec<(u64, String)>,
}

impl Read {
    fn events(&self) -> impl Iterator<Item = &Event> {
        self.drafts.iter().map(|draft| &draft.event)
    }
}

fn read(format: &dyn Format, name: &str, bytes: &[u8]) -> Read {
    let context = Context { redactor: Redactor::new(&[7; 32]), cluster: Text::from("lab"), depth_max: 64, file_name: name.to_owned() };
    let mut parser = format.parser(&context);
    let mut read = Read::default();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        read.records += 1;
        let number = index as u64 + 1;
        match parser.record(line, number, &mut read.drafts) {
            Ok(Disposition::Held) => read.held += 1,
            Ok(Disposition::Control) => read.control += 1,
            Ok(Disposition::Yielded) => {}
            Err(reject) => read.rejects.push((number, format!("{}: {reject}", reject.reason))),
        }
    }
    parser.finish(&mut read.drafts);
    read
}

/// Every log in a folder and below; the zipped ones are read by the file source, whose tests have them.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "log") {
                found.push(path);
            } else if path.extension().is_some_and(|e| e == "zip") {
                println!("skipped here: {} is zipped", path.display());
            }
        }
    }
    found.sort();
    found
}

fn report(format: &dyn Format, folder: &Path) -> BTreeMap<String, Read> {
    println!("{:<58} {:>7} {:>6} {:>7} {:>7} {:>6} {:>5} {:>5}  dead letters", "file", "records", "held", "control", "events", "ids", "creds", "dead");
    let mut all = BTreeMap::new();
    for path in logs(folder) {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        let bytes = std::fs::read(&path).unwrap();
        assert!(format.sniff(&bytes[..bytes.len().min(4096)]) > 0, "{name} is not recognised");
        let read = read(format, path.file_name().unwrap().to_str().unwrap(), &bytes);
        let identities: BTreeSet<_> = read.events().map(|e| &e.identity).collect();
        let credentials: BTreeSet<_> = read.events().filter_map(|e| e.credential.as_ref()).collect();
        println!(
            "{name:<58} {:>7} {:>6} {:>7} {:>7} {:>6} {:>5} {:>5}  {}",
            read.records,
            read.held,
            read.control,
            read.drafts.len(),
            identities.len(),
            credentials.len(),
            read.rejects.len(),
            read.rejects.first().map(|(line, why)| format!("line {line}: {why}")).unwrap_or_default()
        );
        all.insert(name, read);
    }
    all
}

#[test]
fn every_zeek_log_is_read() {
    let Some(folder) = data("zeek") else { return };
    let all = report(&Zeek, &folder);
    assert!(all.values().all(|read| read.rejects.is_empty()));
    let modbus = &all["ocsf-raw/modbus.log"];
    assert_eq!((modbus.records, modbus.drafts.len(), modbus.control), (5_586, 5_586, 0));
}

#[test]
fn every_vault_audit_log_is_read() {
    let Some(folder) = data("vault_audit") else { return };
    let all = report(&VaultAudit, &folder);
    assert!(all.values().all(|read| read.rejects.is_empty()));
    for read in all.values() {
        for e in read.events().take(80) {
            println!("{} {} {} {:?} | {} {:?} | {:?} {:?}..{:?} <- {:?} by {:?} | {:?} {:?} {:?}", e.time, e.activity, e.outcome, e.reason, e.identity, e.auth_method, e.credential.as_ref().map(|c| c.chars().take(20).collect::<String>()), e.credential_issued_at, e.credential_expires_at, e.credential_parent.as_ref().map(|c| c.chars().take(20).collect::<String>()), e.issuer, e.action, e.destination, e.source_ip);
        }
    }
}
