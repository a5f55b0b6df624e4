//! Real logs of hosts, brokers and agents, through the source and its detection of formats. They are not part of the project: where their folder is missing, the test
//! says that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "source/tiny.rs"]
#[expect(dead_code, reason = "shared with the other tests of the source")]
mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options};
use keytrail_schemas::{Event, IdentityKind, Outcome};
use tiny::{Read, now, read_paths};

fn read(folder: &str) -> Option<Read> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    if !path.exists() {
        println!("skipped: {folder} is not there");
        return None;
    }
    let read = read_paths(&[&path], Options::new("test", Choice::Auto, Redactor::new(&[7; 32]), now));
    println!("{folder}: {} events, {} dead letters; {:?}", read.events.len(), read.letters.len(), read.counts.formats);
    for letter in read.letters.iter().filter(|letter| !letter.path.contains("-expected.json")).take(12) {
        println!(
            "    {}:{} {} {} | {}",
            letter.path.rsplit('/').next().unwrap(),
            letter.line,
            letter.reason,
            letter.message,
            letter.raw.chars().take(90).collect::<String>()
        );
    }
    Some(read)
}

fn tally<'e>(events: impl Iterator<Item = &'e Event>, key: impl Fn(&Event) -> String) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for event in events {
        *tally.entry(key(event)).or_default() += 1;
    }
    tally
}

/// The agent ran twice and called four tools each time, once refused; agent, client and server reported it in two files.
#[test]
fn agents_calls_are_one_event_each_and_nothing_planted_passes() {
    let Some(read) = read("otlp_genai") else { return };
    let calls: Vec<&Event> = read.events.iter().map(|event| &**event).filter(|event| event.action.as_deref() == Some("tools/call")).collect();
    let mut once: Vec<&Event> = Vec::new();
    for event in &calls {
        if !once.iter().any(|other| other.event_id == event.event_id) {
            once.push(event);
        }
    }
    let shown = tally(once.iter().copied(), |event| {
        format!("{} {} {} {}", event.identity, event.identity_kind, event.destination.as_deref().unwrap_or("-"), event.outcome)
    });
    println!("{shown:#?}");
    let call = |tool: &str, outcome: &str| shown.get(&format!("agent:prod:agent/refund-agent ai_agent mcp:billing-tools/tool/{tool} {outcome}")).copied();
    assert_eq!(
        (call("read_invoice", "success"), call("refund", "success"), call("refund", "failure"), call("run_sql", "success")),
        (Some(2), Some(2), Some(2), Some(2))
    );
    assert_eq!(once.len(), 8);
    assert!(once.iter().all(|event| event.identity_kind == IdentityKind::AiAgent));
    for event in &read.events {
        let shown = format!("{event:?}");
        for secret in ["sk_live", "4111111111111111", "select * from", "Handle refunds", "refund INV", "120.00 EUR"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

#[test]
fn brokers_logs_are_read() {
    let Some(read) = read("mosquitto") else { return };
    assert_eq!(read.letters, []);
    let shown = tally(read.events.iter().map(|event| &**event), |event| format!("{} {}", event.action.as_deref().unwrap_or("-"), event.outcome));
    println!("{shown:?}");
    assert_eq!(shown.get("mqtt.connect denied"), Some(&19));
    assert!(shown["mqtt.connect success"] >= 40 && shown["mqtt.connect failure"] >= 4);
}

#[test]
fn sshd_and_syslog_are_read() {
    let Some(own) = read("sshd") else { return };
    assert!(own.letters.iter().all(|letter| letter.path.ends_with("-expected.json")), "{:?}", own.letters);
    let shown = tally(own.events.iter().map(|event| &**event), |event| format!("{} {}", event.action.as_deref().unwrap_or("-"), event.outcome));
    println!("{shown:?}");
    assert_eq!((shown["ssh.accept success"], shown["ssh.fail failure"]), (2, 2));
    let Some(zoo) = read("syslog") else { return };
    assert_eq!(zoo.events.iter().filter(|event| event.outcome == Outcome::Success && event.action.as_deref() == Some("ssh.accept")).count(), 5);
    let keys: Vec<&str> = zoo.events.iter().filter_map(|event| event.credential.as_deref()).collect();
    assert!(keys.contains(&"SHA256:5xyQ+PG1Z3CIiShclJ2iNya5TOdKDgE/HrOXr21IdOo"), "{keys:?}");
}

#[test]
fn windows_logs_are_read_in_every_shape() {
    let Some(evtx) = read("windows_security/evtx-attacks") else { return };
    assert_eq!(evtx.letters, []);
    let of = |name: &str| -> Vec<&Event> { evtx.events.iter().map(|event| &**event).filter(|event| event.action.as_deref() == Some(name)).collect() };
    assert!(!of("directory.replicate").is_empty(), "DCSync");
    assert!(of("computer.change").iter().any(|event| event.identity.ends_with("anonymous logon")), "Zerologon");
    assert!(of("kerberos.AS").iter().any(|event| event.reason.as_deref() == Some("KDC_ERR_PREAUTH_FAILED")), "spray");
    assert!(!of("logon.explicit_credentials").is_empty() && !of("account.create").is_empty());
    println!(
        "{:#?}",
        tally(evtx.events.iter().map(|event| &**event), |event| format!("{} {} {}", event.action.as_deref().unwrap_or("-"), event.activity, event.outcome))
    );
    let Some(elastic) = read("windows_security/elastic") else { return };
    assert!(elastic.letters.iter().all(|letter| letter.path.ends_with("-expected.json")), "{:?}", elastic.letters);
    let Some(otrf) = read("windows_security/otrf-attacks") else { return };
    assert_eq!(otrf.letters, []);
    let logons = otrf.events.iter().filter(|event| event.action.as_deref().is_some_and(|action| action.starts_with("logon."))).count();
    println!(
        "{:#?}",
        tally(otrf.events.iter().map(|event| &**event), |event| format!(
            "{} {} {} {}",
            event.action.as_deref().unwrap_or("-"),
            event.activity,
            event.outcome,
            event.identity_kind
        ))
    );
    assert!(logons > 100);
}

#[test]
fn spire_and_step_ca_are_read_and_the_token_stays_out() {
    let Some(spire) = read("spire") else { return };
    assert_eq!(spire.letters, []);
    let shown =
        tally(spire.events.iter().map(|event| &**event), |event| format!("{} {} {}", event.action.as_deref().unwrap_or("-"), event.activity, event.outcome));
    println!("{shown:#?}");
    for (what, count) in [
        ("agent.AttestAgent authenticate success", 1),
        ("agent.RenewAgent renew success", 1),
        ("agent.BanAgent revoke success", 1),
        ("agent.CreateJoinToken issue success", 1),
    ] {
        assert!(shown.get(what).is_some_and(|found| *found >= count), "{what}");
    }
    assert!(spire.events.iter().any(|event| event.identity == "spiffe://example.org/wl"
        && event.activity == keytrail_schemas::Activity::Issue
        && event.credential_expires_at.is_some()));
    let Some(step) = read("step_ca") else { return };
    assert_eq!(step.letters, []);
    assert_eq!(step.events.len(), 2);
    let signed = &step.events[0];
    assert_eq!(
        (signed.identity.as_str(), signed.credential.as_deref()),
        ("step_ca:T Intermediate CA:subject/a.svc.test", Some("64b153268f0ecef24d3b14d647ff83e1"))
    );
    assert!(step.events.iter().all(|event| !format!("{event:?}").contains("eyJ")));
}
