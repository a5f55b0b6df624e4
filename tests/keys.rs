//! The key of an estate, epochs, and dead letters tried again.

use serde_json::Value;

use crate::estate::{Home, stderr};

/// A record of Vault's without a provider's id for its secret: two machines see the same token.
fn vault(token: &str) -> String {
    format!(
        r#"{{"time":"2026-03-01T00:00:00Z","type":"request","auth":{{"display_name":"ci","client_token":"{token}","accessor":"acc"}},"request":{{"id":"1","operation":"read","path":"secret/data/a","client_token":"{token}"}}}}"#
    )
}

fn fingerprint_of(home: &Home, secret: &str) -> Vec<Value> {
    let mut child = home.command(&["keys", "fingerprint"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{secret}\n").as_bytes()).unwrap();
    crate::estate::rows(&child.wait_with_output().unwrap())
}

#[test]
fn machines_with_one_key_agree_and_epochs_are_stated() {
    let (first, second) = (Home::new(), Home::new());
    let passphrase = first.file("passphrase", "four words of some length\n");
    let sealed = first.path().join("keys.sealed");
    let (sealed, passphrase) = (sealed.to_str().unwrap(), passphrase.to_str().unwrap());
    let token = "hvs.CAESIJ2mUQ8uWq3XvKpLrZ4tYn6bHs9dEfGaRwTcVx5Bj7Mk";
    assert_ne!(fingerprint_of(&first, token)[0]["fingerprint"], fingerprint_of(&second, token)[0]["fingerprint"]);

    let unprotected = first.run(&["keys", "export", sealed]);
    assert_eq!(unprotected.status.code(), Some(2), "an export says how it is protected: {}", stderr(&unprotected));
    assert!(first.run(&["keys", "export", sealed, "--passphrase-file", passphrase]).status.success());
    let key = std::fs::read_to_string(first.data().join("keys/fingerprint.key")).unwrap();
    let text = std::fs::read_to_string(sealed).unwrap();
    assert!(!text.contains(key.trim()), "the export is encrypted");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(sealed).unwrap().permissions()) & 0o777, 0o600);
    assert!(second.run(&["keys", "import", sealed, "--passphrase-file", passphrase]).status.success());
    let (here, there) = (fingerprint_of(&first, token), fingerprint_of(&second, token));
    assert_eq!(here.last().unwrap()["fingerprint"], there.last().unwrap()["fingerprint"]);
    assert_eq!(there.len(), 2, "the second machine's first epoch is known: {there:?}");

    // What is stored holds the fingerprint that the command tells, so that a token that was found can be looked for.
    let file = second.file("audit.log", vault(token));
    second.ingest(&["--format", "vault_audit", file.to_str().unwrap()]);
    let fingerprint = there.last().unwrap()["fingerprint"].as_str().unwrap();
    let found = second.rows(&["sql", &format!("select count(*) as n from events where raw like '%{fingerprint}%'")]);
    assert_eq!(found[0]["n"], 1, "{:?}", second.rows(&["sql", "select raw from events"]));

    let rotated = first.rows(&["keys", "rotate"]);
    assert_eq!(rotated.len(), 2);
    assert_eq!(rotated[0]["until"], rotated[1]["since"]);
    assert_eq!((rotated[0]["kept"].clone(), rotated[1]["until"].clone()), (Value::Bool(true), Value::Null));
    let epochs = fingerprint_of(&first, token);
    assert_ne!(epochs[0]["fingerprint"], epochs[1]["fingerprint"]);
    assert_eq!(epochs[0]["fingerprint"], *fingerprint, "the old epoch's fingerprint can still be told");
    let forgotten = first.rows(&["keys", "rotate", "--forget"]);
    assert_eq!(forgotten.iter().map(|row| row["kept"].as_bool().unwrap()).collect::<Vec<_>>(), [true, false, true]);
    let listed = first.run(&["keys", "list"]);
    let key = std::fs::read_to_string(first.data().join("keys/fingerprint.key")).unwrap();
    assert!(!String::from_utf8_lossy(&listed.stdout).contains(key.trim()), "no key is ever printed");
}

#[test]
fn two_folders_give_the_same_ids_whatever_their_keys() {
    let ids = |home: &Home| {
        let lines = [
            vault("hvs.CAESIJ2mUQ8uWq3XvKpLrZ4tYn6bHs9dEfGaRwTcVx5Bj7Mk"),
            "{\"time\": \"cut, token hvs.CAESIJ2mUQ8uWq3XvKpLrZ4tYn6bHs9dEfGaRwTcVx5Bj7Mk".to_owned(),
        ];
        let vault = home.file("audit.log", lines.join("\n"));
        home.ingest(&["--format", "vault_audit", vault.to_str().unwrap()]);
        let own = r#"{"time":"2026-03-05T00:00:00Z","identity":"app:a","action":"read","reason":"token hvs.CAESIJ2mUQ8uWq3XvKpLrZ4tYn6bHs9dEfGaRwTcVx5Bj7Mk"}"#;
        let own = home.file("own.ndjson", own);
        home.ingest(&["--format", "keytrail", own.to_str().unwrap()]);
        let of = |sql: &str| home.rows(&["sql", sql]);
        (of("select event_id from events order by 1"), of("select dead_letter_id from dead_letters order by 1"))
    };
    let (first, second) = (Home::new(), Home::new());
    let (left, right) = (ids(&first), ids(&second));
    assert_eq!((left.0.len(), left.1.len()), (2, 1));
    assert_eq!(left, right);
}

const GOOD: &str = r#"{"time":"2026-03-05T00:00:00Z","identity":"app:a","action":"read","destination":"app:db"}"#;

#[test]
fn dead_letters_are_read_again_from_their_source() {
    let home = Home::new();
    let path = home.file("events.ndjson", format!("{GOOD}\n{{\"time\":\"2026-03-05T00:00:01Z\",\"identty\":\"app:b\"}}\n"));
    let first = home.ingest(&["--format", "keytrail", path.to_str().unwrap()]);
    assert_eq!((first.stored, first.dead_lettered), (1, 1));
    // The source is mended where it was broken; what was stored is not stored twice.
    std::fs::write(&path, format!("{GOOD}\n{{\"time\":\"2026-03-05T00:00:01Z\",\"identity\":\"app:b\"}}\n")).unwrap();
    let rows = home.rows(&["dead-letters", "retry"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0]["from"], &rows[0]["stored"], &rows[0]["duplicate"], &rows[0]["dead_lettered"]),
        (&"source".into(), &1.into(), &1.into(), &0.into()),
        "{rows:?}"
    );
    assert_eq!(home.rows(&["sql", "select count(*) as n from events"])[0]["n"], 2);
    assert!(home.rows(&["dead-letters", "retry", "--format", "zeek"]).is_empty());
}

#[test]
fn dead_letters_of_a_source_that_is_gone_are_read_from_encrypted_copies() {
    let home = Home::new();
    let key = home.file("copies.key", "0f".repeat(32) + "\n");
    home.file("keytrail.toml", format!("[ingest]\ndead_letter_key = \"{}\"\n", key.display()));
    // Read as the wrong format, so that an upgrade is not needed to understand it the second time.
    let secret = "marmalade-quokka-trombone";
    let line = format!(r#"{{"time":"2026-03-05T00:00:01Z","identity":"app:b","action":"read","reason":"password={secret}"}}"#);
    let path = home.file("events.log", format!("{line}, cut"));
    let first = home.ingest(&["--format", "keytrail", path.to_str().unwrap()]);
    assert_eq!((first.stored, first.dead_lettered), (1, 1), "the object is read, and what stands behind it is not");
    let cut = home.file("cut.log", format!("{{\"identity\":\"app:c\",\"reason\":\"password={secret}\"}}\n"));
    assert_eq!(home.ingest(&["--format", "keytrail", cut.to_str().unwrap()]).dead_lettered, 1);
    std::fs::remove_file(&cut).unwrap();
    let sealed = std::fs::read(home.data().join("dead-letters.sealed")).unwrap();
    assert!(!sealed.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let rows = home.rows(&["dead-letters", "retry"]);
    let of = |name: &str| rows.iter().find(|row| row["path"].as_str().unwrap().ends_with(name)).unwrap_or_else(|| panic!("{name} in {rows:?}"));
    assert_eq!(of("cut.log")["from"], "copy", "{rows:?}");
    assert_eq!(of("cut.log")["dead_lettered"], 1, "it has no time, then as now: {rows:?}");
    std::fs::remove_file(home.path().join("keytrail.toml")).unwrap();
    let rows = home.rows(&["dead-letters", "retry"]);
    let of = |name: &str| rows.iter().find(|row| row["path"].as_str().unwrap().ends_with(name)).unwrap();
    assert_eq!(of("cut.log")["from"], "gone", "without the key there is no copy: {rows:?}");
}
