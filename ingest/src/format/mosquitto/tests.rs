//! A small log of every shape of time and message, and what must hold for any line.

use keytrail_schemas::{Micros, Text};
use proptest::prelude::*;

use super::Mosquitto;
use crate::format::{Context, Disposition, Draft, Format, Reject, guarded};
use crate::redact::{Level, Redactor};

const BROKER: &str = include_str!("../../../fixtures/mosquitto/broker.log");

fn read(log: &str) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
    let context =
        Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "broker-1".into(), depth_max: 32, file_name: "mosquitto.log".to_owned() };
    let mut parser = guarded(&Mosquitto, &context);
    parser.dated(Micros::parse_rfc3339("2026-11-23T00:00:00Z").unwrap());
    let mut out = Vec::new();
    let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
    (out, answers)
}

#[test]
fn every_shape_and_message_becomes_its_event() {
    let (drafts, answers) = read(BROKER);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let or = |text: &Option<Text>| text.as_deref().unwrap_or("-").to_owned();
    let shown: Vec<String> = drafts
        .iter()
        .map(|draft| {
            let event = &draft.event;
            format!(
                "{} {} {} {} {} ({}) from {} to {} as {} | {}",
                event.time.to_rfc3339(),
                event.activity,
                event.outcome,
                event.identity,
                or(&event.action),
                or(&event.reason),
                or(&event.source_ip),
                or(&event.destination),
                or(&event.credential),
                event.raw.as_deref().unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_line_without_a_time_or_of_something_else_is_refused() {
    let (drafts, answers) = read("New client connected from 10.0.0.5:50001 as meter-7 (p2, c1, k60).\nhello\n99999999999: Client x disconnected.");
    assert!(drafts.is_empty() && answers.iter().all(Result::is_err), "{answers:?}");
    assert_eq!(answers[0].as_ref().unwrap_err().reason, keytrail_schemas::Reason::NoTime);
}

#[test]
fn a_log_is_known_by_its_lines() {
    for line in BROKER.lines().filter(|line| line.contains("lient connected") || line.contains("version")) {
        assert!(Mosquitto.sniff(line.as_bytes()) >= 90, "{line}");
    }
    for sample in [
        "",
        "1795348800: hello",
        "Nov 22 12:00:11 h sshd[77]: New client connected from x as y (p1).",
        "2026-11-22T12:00:00Z h systemd[1]: Client x disconnected.",
    ] {
        assert_eq!(Mosquitto.sniff(sample.as_bytes()), 0, "{sample}");
    }
}

proptest! {
    #[test]
    fn no_message_panics(message in "\\PC{0,60}", at in 0..24_usize, cut in any::<prop::sample::Index>()) {
        let line = BROKER.lines().nth(at % BROKER.lines().count()).unwrap();
        let (head, _) = line.split_at(line.floor_char_boundary(cut.index(line.len())));
        read(&format!("{head}{message}"));
    }
}
