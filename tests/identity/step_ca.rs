//! A real step-ca: certificates issued, renewed and revoked, and tokens that it refuses. `KEYTRAIL_STEP_CA` names the program.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Running, clients, follow, free_port, needed, one, seconds, told, until};
use crate::estate::Home;

const PUMP: &str = "step_ca:Tests Intermediate CA:subject/pump.plant.test";
const METER: &str = "step_ca:Tests Intermediate CA:subject/meter.plant.test";

#[test]
fn what_a_real_ca_issued_renewed_revoked_and_refused_is_told() {
    let Some((server, python)) = needed("what_a_real_ca_issued_renewed_revoked_and_refused_is_told", "KEYTRAIL_STEP_CA") else { return };
    let home = Home::new();
    let (folder, port) = (home.path().join("ca"), free_port());
    std::fs::create_dir(&folder).unwrap();
    let arguments = |what| [what, folder.to_str().unwrap(), &port.to_string()].map(str::to_owned);
    let run = |what| clients(&python, "step_ca.py", &arguments(what).iter().map(String::as_str).collect::<Vec<_>>());
    run("prepare");
    let log = home.path().join("step.log");
    let _ca = Running::start(Command::new(server).arg(folder.join("ca.json")), &log);
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", std::fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    let keytrail = follow(&home, "step_ca", &log, "");
    let did = run("story");
    let serial = |what: &str, subject: &str| one(&did, |row| row["did"] == what && row["subject"] == subject)["serial"].as_str().unwrap().to_owned();
    let (first, second, third) = (serial("issued", "pump.plant.test"), serial("renewed", "pump.plant.test"), serial("issued", "meter.plant.test"));
    until(&home, "select 1 from events where reason like '%has been revoked%'");
    keytrail.stop();

    let credentials = home.rows(&["credentials"]);
    let credential = |serial: &str| one(&credentials, |row| row["credential"] == serial);
    for (serial, identity) in [(&first, PUMP), (&second, PUMP), (&third, METER)] {
        let credential = credential(serial);
        assert_eq!((&credential["identity"], &credential["kind"], &credential["issued_is_exact"]), (&identity.into(), &"x509".into(), &true.into()));
        assert!((86_300.0..86_500.0).contains(&seconds(&credential["issued_at"], &credential["expires_at"])), "a day: {credential}");
    }
    let revoked = credential(&third);
    assert!((0.9..30.0).contains(&seconds(&revoked["issued_at"], &revoked["revoked_at"])), "{revoked}");
    assert!(credential(&first)["revoked_at"].is_null() && credential(&second)["revoked_at"].is_null());

    assert_eq!(told(&home.rows(&["timeline", PUMP])), ["issue success x509.sign", "renew success x509.renew"]);
    let meter = home.rows(&["timeline", METER]);
    assert_eq!(told(&meter), ["issue success x509.sign", "revoke success x509.revoke"]);
    assert!(meter.iter().filter(|row| row["origin"] == "event").all(|row| row["credential"] == third.as_str() && row["source_ip"] == "127.0.0.1"));

    // Who was refused is not known by name: the token was nobody's, used up, too old, or the certificate revoked.
    let refused = home.rows(&["sql", "select action, outcome, reason, identity, credential from events where outcome <> 'success' order by log_offset"]);
    let reasons: Vec<&str> = refused.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    let said = ["token already used", "error in cryptographic primitive", "token issued before", "certificate has been revoked"];
    assert!(reasons.len() == 4 && reasons.iter().zip(said).all(|(reason, said)| reason.contains(said)), "{reasons:#?}");
    assert!(refused.iter().all(|row| row["identity"].as_str().unwrap().ends_with(":address/127.0.0.1") && row["outcome"] == "failure"));
    let touched = home.rows(&["touched", METER]);
    let of = |action: &str| one(&touched, |row: &Value| row["action"] == action);
    let age = of("x509.revoke")["credential_age_days"].as_f64().unwrap() * 86_400.0;
    assert!((0.9..30.0).contains(&age), "at its revocation it was {age} s old");
    assert_eq!(of("x509.revoke")["destination"], "step_ca:Tests Intermediate CA");
    // step-ca writes every one-time token in full.
    assert!(std::fs::read_to_string(&log).unwrap().contains("\"ott\":\"eyJ"));
    let kept = home.rows(&["sql", "select count(*) as n from events where raw like '%eyJhbGciOiJFUzI1NiI%'"]);
    assert_eq!(kept[0]["n"], 0);
}
