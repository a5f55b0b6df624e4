//! Real logs that nobody wrote for keytrail, where the folder that holds them stands beside the repository.

use std::path::PathBuf;

use serde_json::Value;

use crate::estate::Home;

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} does not exist, so no real logs were read", folder.display());
    None
}

#[test]
fn every_format_reads_its_real_logs_and_counts_every_record() {
    let Some(folder) = folder() else { return };
    for format in ["cloudtrail", "vault_audit", "k8s_audit", "zeek"] {
        let home = Home::new();
        let totals = home.ingest(&["--format", format, folder.join(format).to_str().unwrap()]);
        assert_eq!(totals.read, totals.stored + totals.duplicate + totals.dead_lettered, "{format}");
        assert!(totals.stored > 0, "{format}");
        let rows = home.rows(&["sql", "select count(*) as n, count(distinct event_id) as ids, count(distinct identity) as identities, count(distinct credential) as credentials from events"]);
        assert_eq!(rows[0]["n"], totals.stored, "{format}");
        assert_eq!(rows[0]["ids"], totals.stored, "{format}");
        let letters = home.rows(&["sql", "select reason, count(*) as n from dead_letters group by 1 order by 2 desc"]);
        println!("{format}: {totals:?} {} dead letters: {letters:?}", rows[0]);
    }
}

#[test]
fn auto_recognises_each_format() {
    let Some(folder) = folder() else { return };
    for (format, file) in
        [("cloudtrail", "cloudtrail/stratus-attacks"), ("vault_audit", "vault_audit/real-1.21.4"), ("k8s_audit", "k8s_audit/falco"), ("zeek", "zeek/ocsf-raw")]
    {
        let home = Home::new();
        home.ingest(&[folder.join(file).to_str().unwrap()]);
        let rows = home.rows(&["sql", "select format, count(*) as n from events group by 1 order by 2 desc"]);
        assert_eq!(rows[0]["format"], format, "{file}: {rows:?}");
    }
}

#[test]
fn no_token_of_a_real_log_is_stored() {
    let Some(folder) = folder() else { return };
    let home = Home::new();
    for format in ["k8s_audit", "vault_audit", "cloudtrail"] {
        home.ingest(&["--format", format, folder.join(format).to_str().unwrap()]);
    }
    // A JSON Web Token: two base64url parts that begin like JSON objects.
    let jwt = home.rows(&["sql", "select event_id, format from events where raw ~ 'eyJ[A-Za-z0-9_-]{10,}\\.eyJ[A-Za-z0-9_-]{10,}' limit 5"]);
    assert_eq!(jwt.len(), 0, "{jwt:?}");
    let secret = home.rows(&[
        "sql",
        "select event_id, format from events where raw ~ '\"secretAccessKey\" *: *\"[A-Za-z0-9/+]{30,}\"' or raw ~ '\"client_token\" *: *\"hvs\\.' limit 5",
    ]);
    assert_eq!(secret.len(), 0, "{secret:?}");
}

#[test]
fn who_was_seen_at_an_address_in_the_minutes_of_its_acts_is_a_candidate() {
    let Some(folder) = folder() else { return };
    let home = Home::new();
    home.ingest(&["--format", "zeek", "--cluster", "lab", folder.join("zeek/ocsf-raw").to_str().unwrap()]);
    // The host has four rows of kerberos.log that name nobody, at 11:49:04, 11:52:54, 11:53:26 and 11:55:33. Beside the first and the last an administrator logs in,
    // refused once each for want of pre-authentication; the machine's own account beside the third, half a minute after the second.
    let rows = home.rows(&["candidates", "zeek:lab:host/172.16.0.211", "--within", "1"]);
    let told = |row: &Value| (row["candidate"].as_str().unwrap().to_owned(), ["together", "acted", "events", "refused"].map(|key| row[key].as_i64().unwrap()));
    let of = |name: &str| format!("kerberos:TEST.LOCAL:principal/{name}");
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), [(of("administrator"), [2, 4, 6, 2]), (of("desktop-rbdmvva$"), [2, 4, 1, 0])]);
    // An answer to DHCPINFORM, a request without an answer: no lease.
    assert_eq!(home.rows(&["sql", "select count(*) as n from events where action like 'dhcp.%'"])[0]["n"], 0);
}
