//! A small log of every shape and message, and what must hold for any line.

use keytrail_schemas::{Micros, Text};
use proptest::prelude::*;

use super::Sshd;
use crate::format::{Context, Disposition, Draft, Format, Reject, guarded};
use crate::redact::{Level, Redactor};

const AUTH: &str = include_str!("../../../fixtures/sshd/auth.log");

fn read(log: &str) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
    let context = Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "lab".into(), depth_max: 32, file_name: "auth.log".to_owned() };
    let mut parser = guarded(&Sshd, &context);
    parser.dated(Micros::parse_rfc3339("2026-11-23T00:00:00Z").unwrap());
    let mut out = Vec::new();
    let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
    parser.finish(&mut out);
    (out, answers)
}

fn shown(draft: &Draft) -> String {
    let event = &draft.event;
    let or = |text: &Option<Text>| text.as_deref().unwrap_or("-").to_owned();
    format!(
        "{} {} {} {} {} ({}) from {} to {} with {} {} of {} | {}",
        event.time.to_rfc3339(),
        event.activity,
        event.outcome,
        event.identity,
        event.identity_kind,
        or(&event.reason),
        or(&event.source_ip),
        or(&event.destination),
        event.credential_kind,
        or(&event.credential),
        or(&event.issuer),
        event.raw.as_deref().unwrap_or_default()
    )
}

#[test]
fn every_shape_and_message_becomes_its_event() {
    let (drafts, answers) = read(AUTH);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    insta::assert_snapshot!(drafts.iter().map(shown).collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_secret_of_a_command_passes() {
    for draft in read(AUTH).0 {
        assert!(!format!("{:?}", draft.event).contains("hunter2secret"));
    }
}

#[test]
fn a_log_is_known_by_its_lines() {
    for (sample, least) in [(AUTH, 80), ("Nov 22 12:00:19 web-1 CRON[500]: (root) CMD (x)\n", 50), ("2026-11-22T12:00:00Z host systemd[1]: Started x.\n", 50)] {
        assert!(Sshd.sniff(sample.as_bytes()) >= least, "{sample}");
    }
    for sample in ["", "hello\nworld\n", "{\"a\":1}", "1795348800: New connection from 10.0.0.1:5 on port 1883.\n"] {
        assert_eq!(Sshd.sniff(sample.as_bytes()), 0, "{sample}");
    }
}

#[test]
fn what_is_no_line_is_refused_and_a_name_cannot_forge_another() {
    let (drafts, answers) = read(
        "with another line\n{\"a\":1}\nNov 22 12:00:00 web-1 sshd[1]: Failed password for invalid user x from 1.1.1.1 port 1 ssh2 from 203.0.113.9 port 22 ssh2",
    );
    assert!(answers[0].is_err() && answers[1].is_err());
    assert_eq!(drafts.iter().map(|draft| draft.event.source_ip.as_deref()).collect::<Vec<_>>(), [Some("203.0.113.9")], "the address is the last one");
    let (drafts, _) = read("Nov 22 12:00:00 web-1 sshd[1]: Invalid user root from 10.0.0.1 from 203.0.113.9 port 22");
    assert_eq!(drafts[0].event.source_ip.as_deref(), Some("203.0.113.9"), "the address is the last one");
}

proptest! {
    #[test]
    fn no_message_panics(message in "\\PC{0,60}", at in 0..24_usize, cut in any::<prop::sample::Index>()) {
        let line = AUTH.lines().nth(at % AUTH.lines().count()).unwrap();
        let (head, _) = line.split_at(line.floor_char_boundary(cut.index(line.len())));
        read(&format!("{head}{message}"));
        read(head);
    }
}
