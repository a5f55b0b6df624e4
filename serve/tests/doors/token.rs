//! Tokens on the PostgreSQL wire: how they are asked for, what their scope holds, when they end.

use std::time::Duration;

use keytrail_serve::access::TokenFile;
use keytrail_serve::{Options, Password};

use crate::house::House;
use crate::wire::Wire;

fn house(postgres_password: Password) -> House {
    House::new(Options { postgres_password, ..Options::default() }, keytrail_query::Options::default())
}

#[test]
fn a_scope_and_a_revocation_hold_for_questions_that_are_asked_as_one() {
    let house = house(Password::Clear);
    let (all, touched, posture) = (house.token("all", &[]), house.token("touched", &["touched"]), house.token("posture", &["posture"]));
    let state = |wire: &mut Wire, sql: &str| wire.ask(sql).error.map(|(code, _)| code);
    let refused = Some("42501".to_owned());
    for (token, questions, tables) in
        [(&all, [None, None], None), (&touched, [None, refused.clone()], refused.clone()), (&posture, [refused.clone(), None], refused.clone())]
    {
        let mut wire = Wire::open(house.postgres, "anybody", token).unwrap();
        assert_eq!(wire.asked, 3);
        for (question, expected) in ["touched('worker-01')", "posture()"].iter().zip(questions) {
            assert_eq!(state(&mut wire, &format!("SELECT * FROM {question}")), expected, "{question}");
            assert_eq!(state(&mut wire, &format!("SELECT * FROM {question} LIMIT 1")), expected, "{question} in SQL");
            let prepared = wire.prepared(&format!("SELECT * FROM {question}"), &[]).error.map(|(code, _)| code);
            assert_eq!(prepared, expected, "{question}, prepared");
        }
        assert_eq!(state(&mut wire, "SELECT count(*) FROM events"), tables);
    }
    let mut wire = Wire::open(house.postgres, "anybody", &touched).unwrap();
    assert_eq!(state(&mut wire, "SELECT * FROM touched('worker-01')"), None);
    house.revoke("touched");
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(state(&mut wire, "SELECT * FROM touched('worker-01')"), Some("28000".to_owned()), "the connection is open, and the token is not in force");
    assert_eq!(Wire::open(house.postgres, "anybody", &touched).err().expect("it is over").0, "28P01");
    let refusals = house.record().into_iter().filter(|entry| entry["outcome"] == "refused").count();
    assert!(refusals >= 9, "what is refused is written down: {refusals}");
}

#[test]
fn a_proof_is_asked_for_unless_a_token_in_force_has_none() {
    let house = house(Password::Auto);
    let token = house.token("new", &[]);
    assert_eq!(Wire::open(house.postgres, "ann", &token).unwrap().asked, 10);
    // As an earlier keytrail wrote it.
    let file = TokenFile::of(house.folder.path());
    let text = std::fs::read_to_string(file.path()).unwrap();
    let kept = text.lines().find(|line| line.starts_with("scram = ")).expect("what proofs are held against").to_owned();
    assert!(!text.contains(token.rsplit('_').next().unwrap()), "the token is not kept");
    let old: Vec<&str> = text.lines().filter(|line| *line != kept).collect();
    std::fs::write(file.path(), old.join("\n")).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let mut wire = Wire::open(house.postgres, "ann", &token).unwrap();
    assert_eq!((wire.asked, wire.ask("SELECT 1 AS one").rows.len()), (3, 1), "it is asked for as before");
    house.revoke("new");
    house.token("newer", &[]);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(Wire::open(house.postgres, "ann", "").unwrap().asked, 10, "only tokens in force count");
}

/// libpq proves a token; the same under a wrong one, and bytes that are no proof.
#[test]
fn psql_proves_a_token_whatever_its_user_is_called() {
    let house = house(Password::Scram);
    let token = house.token("reporting", &[]);
    let psql = |password: &str| {
        let mut command = std::process::Command::new("psql");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("PGPASSWORD", password);
        let at = format!("host=127.0.0.1 port={} user=whoever dbname=keytrail", house.postgres.port());
        command.args(["-X", "-A", "-t", &at, "-c", "SELECT count(*) FROM events"]).output()
    };
    match psql(&token) {
        Err(_) => return eprintln!("SKIPPED: there is no psql"),
        Ok(output) => {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), crate::house::EVENTS.to_string(), "{}", String::from_utf8_lossy(&output.stderr))
        }
    }
    let wrong = psql(&format!("{token}0")).unwrap();
    assert!(
        !wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("the password is the token"),
        "{}",
        String::from_utf8_lossy(&wrong.stderr)
    );
    assert!(house.record().iter().all(|entry| entry["user"] == "reporting"), "the record names the token's owner");
}

#[expect(clippy::disallowed_methods, reason = "the test's clients are named from outside")]
#[test]
fn drivers_prove_a_token_and_see_the_same_rows() {
    let Ok(python) = std::env::var("KEYTRAIL_DOORS_PYTHON") else {
        assert!(std::env::var("KEYTRAIL_CI").is_err(), "KEYTRAIL_DOORS_PYTHON must name a Python in CI");
        return eprintln!("SKIPPED psycopg, asyncpg, pgJDBC: KEYTRAIL_DOORS_PYTHON names no Python that has them");
    };
    let house = house(Password::Auto);
    let token = house.token("drivers", &[]);
    let output = std::process::Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doors/clients.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs([("DOOR_POSTGRES", house.postgres.port().to_string()), ("DOOR_TOKEN", token), ("DOOR_EVENTS", crate::house::EVENTS.to_string())])
        .env("DOOR_JDBC", std::env::var("KEYTRAIL_DOORS_JDBC").unwrap_or_default())
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(house.record().iter().all(|entry| entry["user"] == "drivers"));
}
