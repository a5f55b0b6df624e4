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

/// A flat JSON log as Zeek's ASCII writer would have written it.
fn as_tsv(path: &str, json: &[u8]) -> Vec<u8> {
    let rows: Vec<serde_json::Map<String, serde_json::Value>> = json.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut out = format!("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{path}\n#fields\t{}\n", names.join("\t"));
    let escape = |text: &str| text.replace('\\', "\\\\").replace('\t', "\\x09").replace('\n', "\\x0a");
    let cell = |value: Option<&serde_json::Value>| match value {
        None => "-".to_owned(),
        Some(serde_json::Value::Bool(flag)) => if *flag { "T" } else { "F" }.to_owned(),
        Some(serde_json::Value::String(text)) => escape(text),
        Some(serde_json::Value::Array(items)) if items.is_empty() => "(empty)".to_owned(),
        Some(serde_json::Value::Array(items)) => items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), |text| escape(text).replace(',', "\\x2c"))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    };
    for row in &rows {
        out += &names.iter().map(|name| cell(row.get(*name))).collect::<Vec<_>>().join("\t");
        out.push('\n');
    }
    out.into_bytes()
}

/// Nanoseconds that this thread has spent on a processor, so that a busy machine does not slow the figure; `None` elsewhere than on Linux.
fn on_cpu_ns() -> Option<f64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// MiB a second of parsing alone, drafts dropped; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let Some(folder) = data("") else { return };
    let file = |path: &str| std::fs::read(folder.join(path)).unwrap();
    let zeek = |kind: &str| file(&format!("zeek/ocsf-raw/{kind}.log"));
    let vault = file("vault_audit/hashicorp-education_learn-vault-monitoring/vault-audit.log");
    let vault_new = file("vault_audit/real-1.21.4/vault_audit.log");
    let cases: Vec<(&str, &dyn Format, &str, Vec<u8>)> = vec![
        ("zeek tsv modbus", &Zeek, "modbus.log", as_tsv("modbus", &zeek("modbus"))),
        ("zeek tsv ssl", &Zeek, "ssl.log", as_tsv("ssl", &zeek("ssl"))),
        ("zeek tsv x509", &Zeek, "x509.log", as_tsv("x509", &zeek("x509"))),
        ("zeek tsv ftp (redacted)", &Zeek, "ftp.log", as_tsv("ftp", &zeek("ftp"))),
        ("zeek tsv conn (not read)", &Zeek, "conn.log", as_tsv("conn", &zeek("conn"))),
        ("zeek json modbus", &Zeek, "modbus.log", zeek("modbus")),
        ("zeek json ssl", &Zeek, "ssl.log", zeek("ssl")),
        ("zeek json x509", &Zeek, "x509.log", zeek("x509")),
        ("zeek json ssh", &Zeek, "ssh.log", zeek("ssh")),
        ("zeek json ftp (redacted)", &Zeek, "ftp.log", zeek("ftp")),
        ("zeek json conn (not read)", &Zeek, "conn.log", zeek("conn")),
        ("vault 1.4", &VaultAudit, "vault.log", vault),
        ("vault 1.21", &VaultAudit, "vault.log", vault_new),
    ];
    for (name, format, file_name, bytes) in cases {
        let context = Context { redactor: Redactor::new(&[7; 32]), cluster: Text::from("lab"), depth_max: 64, file_name: file_name.to_owned() };
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
        let rounds = (32 << 20) / bytes.len() + 1;
        let mut rates: Vec<f64> = (0..3)
            .map(|_| {
                let mut parser = format.parser(&context);
                let (mut out, mut events) = (Vec::new(), 0);
                let (start, start_ns) = (std::time::Instant::now(), on_cpu_ns());
                for _ in 0..rounds {
                    for line in &lines {
                        parser.record(line, 1, &mut out).unwrap();
                        events += out.len();
                        out.clear();
                    }
                }
                assert!(events > 0 || name.contains("not read"));
                let seconds = start_ns.and_then(|start| Some((on_cpu_ns()? - start) / 1e9)).unwrap_or_else(|| start.elapsed().as_secs_f64());
                (rounds * bytes.len()) as f64 / f64::from(1 << 20) / seconds
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!("{name:<28} {:>7.0} MiB/s {:>9.0} records/s", rates[1], rates[1] * f64::from(1 << 20) / (bytes.len() as f64 / lines.len() as f64));
    }
}
