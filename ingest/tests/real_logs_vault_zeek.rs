//! Reads the real Vault audit and Zeek logs of the shared data folder, where it exists, and says what came of each file.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keytrail_ingest::format::{Context, Disposition, Draft, Format, guarded, vault_audit::VaultAudit, zeek::Zeek};
use keytrail_ingest::redact::Redactor;
use keytrail_schemas::{Activity, CredentialKind, Event, Micros, Outcome, Text};

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
        self.drafts.iter().map(|draft| &*draft.event)
    }
}

fn read(format: &dyn Format, name: &str, bytes: &[u8]) -> Read {
    let context = Context {
        redactor: Redactor::new(&[7; 32]),
        level: keytrail_ingest::redact::Level::Safe,
        cluster: Text::from("lab"),
        depth_max: 64,
        file_name: name.to_owned(),
    };
    let mut parser = guarded(format, &context);
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
            Ok(Disposition::Partly(rejected)) => {
                read.rejects.extend(rejected.into_iter().map(|rejected| (number, format!("{}: {}", rejected.reject.reason, rejected.reject))));
            }
            Err(reject) => read.rejects.push((number, format!("{}: {reject}", reject.reason))),
        }
    }
    parser.finish(&mut read.drafts);
    read
}

/// Every log in a folder and below, and in its archives: its name, and what it holds.
fn logs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(&below).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "log") {
                found.push((name, std::fs::read(&path).unwrap()));
            } else if path.extension().is_some_and(|e| e == "zip") {
                let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
                for index in 0..archive.len() {
                    let mut member = archive.by_index(index).unwrap();
                    let mut bytes = Vec::new();
                    std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
                    found.push((format!("{name}!{}", member.name().unwrap()), bytes));
                }
            }
        }
    }
    found.sort();
    found
}

fn report(format: &dyn Format, folder: &Path) -> BTreeMap<String, Read> {
    println!("{:<64} {:>7} {:>6} {:>7} {:>7} {:>6} {:>5} {:>5}  dead letters", "file", "records", "held", "control", "events", "ids", "creds", "dead");
    let mut all = BTreeMap::new();
    for (name, bytes) in logs(folder) {
        assert!(format.sniff(&bytes[..bytes.len().min(4096)]) > 0, "{name} is not recognised");
        let read = read(format, name.rsplit(['/', '!']).next().unwrap(), &bytes);
        let identities: BTreeSet<_> = read.events().map(|e| &e.identity).collect();
        let credentials: BTreeSet<_> = read.events().filter_map(|e| e.credential.as_ref()).collect();
        println!(
            "{name:<64} {:>7} {:>6} {:>7} {:>7} {:>6} {:>5} {:>5}  {}",
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
    let refused: Vec<_> = all.iter().filter(|(_, read)| !read.rejects.is_empty()).map(|(name, read)| (name, &read.rejects)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let one_each = ["dnp3", "kerberos", "ntlm", "mqtt_connect", "mqtt_publish", "mysql", "ftp"];
    for kind in one_each {
        let read = &all[&format!("ocsf-raw/{kind}.log")];
        assert_eq!((read.drafts.len(), read.control), (read.records, 0), "{kind}: one event a row");
    }
    let modbus = &all["ocsf-raw/modbus.log"];
    assert_eq!(modbus.records, 5_586);
    assert_eq!(modbus.events().filter(|e| e.outcome == Outcome::Failure).count(), 1);
    assert_eq!(modbus.events().filter(|e| e.action.as_deref() == Some("modbus.WRITE_SINGLE_COIL")).count(), 1_387);
    let of = |outcome: Outcome| modbus.events().filter(|e| e.outcome == outcome).count();
    // A request and its answer are one event; two were not answered, and two answers have no request.
    assert_eq!((modbus.drafts.len(), of(Outcome::Unknown)), (2_795, 2));
    assert!(modbus.events().all(|e| e.destination.as_deref().is_some_and(|d| d.starts_with("modbus:") && d.contains("/unit/"))));

    // A row of ssl.log says which certificates, one of x509.log what they are: the same canonical id in both.
    let in_handshakes: BTreeSet<_> = all["ocsf-raw/ssl.log"].events().filter_map(|e| e.credential.clone()).collect();
    let presented: BTreeSet<_> =
        all["ocsf-raw/x509.log"].events().filter(|e| e.auth_method.as_deref() == Some("mtls")).filter_map(|e| e.credential.clone()).collect();
    assert_eq!(in_handshakes, presented);
    assert!(
        all["ocsf-raw/x509.log"].events().all(|e| e.credential_issued_at.is_some() && e.credential_expires_at.is_some() && e.identity.starts_with("x509:"))
    );
    let passwords = all["ocsf-raw/ftp.log"].events().filter(|e| e.raw.as_deref().is_some_and(|raw| raw.contains("anonymous@"))).count();
    assert_eq!(passwords, 0, "no FTP password passes");
}

#[test]
fn every_vault_audit_log_is_read() {
    let Some(folder) = data("vault_audit") else { return };
    let all = report(&VaultAudit, &folder);
    for (name, read) in &all {
        assert!(read.rejects.is_empty(), "{name}: {:?}", read.rejects);
        for event in read.events() {
            assert_no_clear_secret(event);
        }
    }
    // Each request of the learning lab is answered: an event for each response, with the request's id, and none of unknown outcome.
    let lab = &all["hashicorp-education_learn-vault-monitoring/vault-audit.log"];
    let acted = lab.drafts.iter().filter(|draft| draft.part == 0).count();
    assert_eq!((lab.held + acted, lab.events().filter(|e| e.outcome == Outcome::Unknown).count()), (lab.records, 0));
    let issued = |kind| lab.events().filter(|e| e.activity == Activity::Issue && e.credential_kind == kind).count();
    // 20 leaf certificates, the root and the two intermediates that the lab signs.
    println!("learning lab: {} tokens and secret ids, {} certificates issued", issued(CredentialKind::ApiToken), issued(CredentialKind::X509));
    assert!(issued(CredentialKind::X509) >= 20);

    let aged = all["elastic/test-audit.log"].events().find(|e| e.identity == "vault:lab:nomad/default/runner").unwrap();
    let age = aged.time.days_since(aged.credential_issued_at.unwrap());
    assert!((60.8..61.0).contains(&age), "a token used {age} days after its issue");
    assert_eq!(aged.credential_expires_at, None, "a time to live that renewals stretch is no end");
    assert_eq!(aged.destination.as_deref(), Some("vault:secret/data/apps/continuous-delivery/aws-bucket-sse-c"));
}

#[test]
fn the_story_of_a_real_server_comes_out_in_order() {
    let Some(folder) = data("vault_audit/real-1.21.4") else { return };
    let read = read(&VaultAudit, "vault_audit.log", &std::fs::read(folder.join("vault_audit.log")).unwrap());
    let (root, ci, bot) = ("vault:lab:root", "vault:lab:approle/ci", "vault:lab:token/token-bot");
    let story: Vec<_> =
        read.events().map(|e| (e.identity.as_str(), e.activity.as_str(), e.outcome.as_str(), e.action.as_deref().unwrap_or_default())).collect();
    let told = [
        (root, "configure", "success", "sys.audit.update"),
        (root, "configure", "success", "sys.auth.update"),
        (root, "grant", "success", "sys.policies.update"),
        (root, "configure", "success", "auth.create"),
        (root, "use", "success", "sys.internal.read"),
        (root, "use", "success", "secret.create"),
        (root, "use", "success", "auth.read"),
        (root, "configure", "success", "auth.secret_id.create"),
        (ci, "issue", "success", "auth.secret_id.create"),
        (ci, "authenticate", "success", "auth.login"),
        (ci, "issue", "success", "auth.login"),
        (ci, "use", "success", "sys.internal.read"),
        (ci, "use", "success", "secret.read"),
        (ci, "use", "success", "sys.internal.read"),
        (ci, "use", "denied", "secret.update"),
        (ci, "renew", "success", "auth.token.renew"),
        (root, "configure", "success", "auth.token.revoke"),
        (ci, "revoke", "success", "auth.token.revoke"),
        (ci, "use", "denied", "auth.read"),
        (ci, "authenticate", "failure", "auth.login"),
        (root, "configure", "success", "sys.mounts.update"),
        (root, "use", "success", "pki.home"),
        (root, "issue", "success", "pki.home"),
        (root, "configure", "success", "pki.update"),
        (root, "use", "success", "pki.issue"),
        (root, "issue", "success", "pki.issue"),
        (root, "use", "failure", "sys.leases.update"),
        (root, "use", "success", "auth.token.create"),
        (bot, "issue", "success", "auth.token.create"),
    ];
    assert_eq!(story, told);

    let events: Vec<&Event> = read.events().collect();
    let (secret_id, login, token, denied, revoked, after) = (events[8], events[9], events[10], events[14], events[17], events[18]);
    assert_eq!(login.credential, secret_id.credential, "the login presents the secret id that was issued");
    assert_eq!(token.credential_parent, login.credential);
    assert_eq!(token.credential_expires_at.unwrap().0 - token.credential_issued_at.unwrap().0, 600 * Micros::SECOND);
    assert_eq!((&denied.credential, denied.reason.as_deref()), (&token.credential, Some("permission denied")));
    assert_eq!((&revoked.credential, &after.credential), (&token.credential, &token.credential), "the revoked token is known again when it is used");
    assert_eq!(after.reason.as_deref(), Some("permission denied; invalid token"));
    assert_ne!(events[19].credential, secret_id.credential, "a wrong secret id is another one");
    let (leaf, child) = (events[25], events[28]);
    assert_eq!((leaf.credential_kind, leaf.credential_expires_at), (CredentialKind::X509, Some(Micros(1_795_318_016 * Micros::SECOND))));
    assert_eq!((&child.credential_parent, child.issuer.as_deref()), (&events[27].credential, Some("vault:auth/token")));
}

/// What a reader of the raw record must not find: anything at a secret's place that is not an HMAC.
fn assert_no_clear_secret(event: &Event) {
    fn walk(value: &serde_json::Value, secret: bool) {
        match value {
            serde_json::Value::Object(fields) => fields
                .iter()
                .for_each(|(key, value)| walk(value, secret || matches!(key.as_str(), "client_token" | "secret_id" | "password" | "private_key" | "token"))),
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, secret)),
            serde_json::Value::String(text) => assert!(!secret || text.is_empty() || text.starts_with("hmac"), "{text}"),
            _ => {}
        }
    }
    walk(&serde_json::from_str(event.raw.as_deref().unwrap()).unwrap(), false);
}

/// Elastic's reading of its own samples, record by record: time, addresses, names, outcomes.
#[test]
fn what_elastic_reads_is_read() {
    let Some(folder) = data("") else { return };
    let mut compared = 0;
    for (format, path) in [
        (&VaultAudit as &dyn Format, "vault_audit/elastic/test-audit.log"),
        (&Zeek, "zeek/elastic/ssl/test-ssl.log"),
        (&Zeek, "zeek/elastic/kerberos/test-kerberos.log"),
        (&Zeek, "zeek/elastic/ssh/test-ssh.log"),
        (&Zeek, "zeek/elastic/ntlm/test-ntlm.log"),
        (&Zeek, "zeek/elastic/modbus/test-modbus.log"),
        (&Zeek, "zeek/elastic/dnp3/test-dnp3.log"),
        (&Zeek, "zeek/elastic/radius/test-radius.log"),
        (&Zeek, "zeek/elastic/x509/test-x509.log"),
    ] {
        let path = folder.join(path);
        let read = read(format, path.file_name().unwrap().to_str().unwrap(), &std::fs::read(&path).unwrap());
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path.with_file_name(format!("{}-expected.json", path.file_name().unwrap().to_str().unwrap()))).unwrap())
                .unwrap();
        for draft in read.drafts.iter().filter(|draft| draft.part == 0) {
            let (event, theirs) = (&draft.event, &expected["expected"][usize::try_from(draft.line).unwrap() - 1]);
            let text = |pointer: &str| theirs.pointer(pointer).and_then(serde_json::Value::as_str);
            let context = format!("{} line {}", path.display(), draft.line);
            let time = Micros::parse_rfc3339(text("/@timestamp").unwrap()).unwrap();
            assert_eq!(event.time.0 / 1_000, time.0 / 1_000, "{context}");
            assert_eq!(event.source_ip.as_deref(), text("/source/ip"), "{context}");
            match text("/event/outcome") {
                // "success" is also what Elastic says of a DNP3 or Vault record that does not tell.
                Some("success") => assert!(matches!(event.outcome, Outcome::Success | Outcome::Unknown), "{context}"),
                Some("failure") => assert!(matches!(event.outcome, Outcome::Failure | Outcome::Denied), "{context}"),
                _ => {}
            }
            if let Some(user) = text("/user/name") {
                assert!(
                    event.identity.ends_with(&format!("/{}", user.to_lowercase())) || event.identity.ends_with(&format!("/{user}")),
                    "{context}: {}",
                    event.identity
                );
            }
            if let Some(version) = text("/tls/version") {
                assert_eq!(event.protocol.as_deref(), Some(format!("tls{version}").as_str()), "{context}");
            }
            if let Some(established) = theirs.pointer("/tls/established").and_then(serde_json::Value::as_bool) {
                assert_eq!(event.outcome == Outcome::Success, established, "{context}");
            }
            if let Some(function) = text("/zeek/modbus/function").or_else(|| text("/zeek/dnp3/function/request")) {
                assert!(event.action.as_deref().unwrap().ends_with(function), "{context}");
            }
            if let Some(from) = text("/file/x509/not_before") {
                assert_eq!(event.credential_issued_at, Micros::parse_rfc3339(from).ok(), "{context}");
            }
            if let Some(id) = text("/event/id").filter(|_| format.name() == "vault_audit") {
                assert_eq!(draft.provider_id.as_deref(), Some(id), "{context}");
            }
            compared += 1;
        }
    }
    println!("{compared} records agree with Elastic's reading");
    assert!(compared > 30);
}

#[test]
fn the_server_log_is_refused() {
    let Some(folder) = data("vault_log") else { return };
    for (name, bytes) in logs(&folder) {
        let read = read(&VaultAudit, &name, &bytes);
        assert!(read.drafts.is_empty() && read.rejects.len() == read.records && read.records > 0);
        assert!(read.rejects.iter().all(|(_, why)| why.contains("wrong_kind") && why.contains("audit device")), "{:?}", read.rejects);
    }
}

/// What `auto` makes of each file: its own format, or, for Vault's server log, a refusal.
#[test]
fn every_log_is_told_from_the_others() {
    use keytrail_ingest::format::auto;
    for (folder, name) in [("vault_audit", "vault_audit"), ("zeek", "zeek")] {
        let Some(folder) = data(folder) else { return };
        for (path, bytes) in logs(&folder) {
            let found = auto::detect(&bytes[..bytes.len().min(64 << 10)]).map(Format::name).map_err(|reject| reject.to_string());
            assert_eq!(found.as_deref(), Ok(name), "{path}");
        }
    }
    let Some(folder) = data("vault_log") else { return };
    for (path, bytes) in logs(&folder) {
        assert!(auto::detect(&bytes).is_err_and(|reject| reject.message.contains("audit device")), "{path}");
    }
}
