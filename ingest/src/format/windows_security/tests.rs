//! Small logs in every shape, and what must hold for any event.

use keytrail_schemas::Text;
use proptest::prelude::*;

use super::WindowsSecurity;
use crate::format::{Context, Disposition, Draft, Reject, guarded};
use crate::redact::{Level, Redactor};

const EVENTS: &str = include_str!("../../../fixtures/windows_security/events.ndjson");

fn read(log: &str) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
    let context =
        Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "lab".into(), depth_max: 32, file_name: "security.json".to_owned() };
    let mut parser = guarded(&WindowsSecurity, &context);
    let mut out = Vec::new();
    let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
    (out, answers)
}

#[test]
fn every_shape_and_meaning_becomes_its_events() {
    let (drafts, answers) = read(EVENTS);
    let refused: Vec<usize> = answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).map(|(at, _)| at + 1).collect();
    assert_eq!(refused, [EVENTS.lines().count()], "only what was damaged: {answers:?}");
    let or = |text: &Option<Text>| text.as_deref().unwrap_or("-").to_owned();
    let shown: Vec<String> = drafts
        .iter()
        .map(|draft| {
            let event = &draft.event;
            format!(
                "{}.{} {} {} {} {} {} {} ({}) from {}|{} to {} with {} {} of {} by {}",
                draft.line,
                draft.part,
                event.time.to_rfc3339(),
                event.activity,
                event.outcome,
                event.identity,
                event.identity_kind,
                or(&event.action),
                or(&event.reason),
                or(&event.source_ip),
                or(&event.source_host),
                or(&event.destination),
                event.credential_kind,
                or(&event.credential),
                or(&event.credential_parent),
                or(&event.auth_method)
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn free_text_is_not_kept() {
    assert!(EVENTS.contains("hunter2secret"));
    for draft in read(EVENTS).0 {
        let shown = format!("{:?}", draft.event);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_is_no_event_is_refused() {
    for record in [
        r#"{"a":1}"#,
        r#"{"Event":{"System":{"Channel":"Security"}}}"#,
        r#"{"winlog":{"channel":"Security","event_id":4624,"event_data":{"TargetUserName":"x"}},"@timestamp":"soon"}"#,
        "[]",
    ] {
        assert!(read(record).1[0].is_err(), "{record}");
    }
}

proptest! {
    #[test]
    fn no_change_panics(at in 0..40_usize, from in any::<prop::sample::Index>(), with in "\\PC{0,6}") {
        let line = EVENTS.lines().nth(at % EVENTS.lines().count()).unwrap();
        let start = line.floor_char_boundary(from.index(line.len()));
        let end = line.floor_char_boundary(start + with.len());
        read(&format!("{}{with}{}", &line[..start], &line[end..]));
    }
}
