//! Traces of a Collector's file, and what must hold for every one.

use super::OtlpGenAi;
use crate::format::{Context, Disposition, Draft, Reject, guarded};
use crate::redact::{Level, Redactor};

const COLLECTOR: &str = include_str!("../../../fixtures/otlp_genai/collector.ndjson");

fn read(log: &str, level: Level) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
    let context = Context { redactor: Redactor::new(&[7; 32]), level, cluster: "lab".into(), depth_max: 32, file_name: "traces.ndjson".to_owned() };
    let mut parser = guarded(&OtlpGenAi, &context);
    let mut out = Vec::new();
    let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
    parser.finish(&mut out);
    (out, answers)
}

#[test]
fn a_call_is_one_event_told_by_the_span_nearest_to_the_server() {
    let (drafts, answers) = read(COLLECTOR, Level::Safe);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let shown: Vec<String> = drafts
        .iter()
        .map(|draft| {
            let event = &draft.event;
            let or = |text: &Option<keytrail_schemas::Text>| text.as_deref().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {} {} {} by {} for {}",
                event.identity,
                event.identity_kind,
                or(&event.action),
                event.outcome,
                or(&event.reason),
                or(&event.destination),
                or(&event.credential),
                or(&event.credential_parent)
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn what_was_asked_and_answered_is_kept_at_no_level() {
    assert!(COLLECTOR.contains("hunter2"));
    for level in [Level::Safe, Level::Open, Level::Hash] {
        let (drafts, _) = read(COLLECTOR, level);
        for draft in &drafts {
            let shown = format!("{:?}", draft.event);
            assert!(!shown.contains("hunter2") && !shown.contains("never say") && !shown.contains("closed,"), "{shown}");
        }
        assert!(drafts.iter().any(|draft| draft.event.raw.as_deref().is_some_and(|raw| raw.contains("\"gen_ai.usage.input_tokens\":\"53\""))));
    }
}

/// The agent's file and the server's have the call under one id; and each has all that it knows.
#[test]
fn two_files_give_one_call_one_id() {
    let of = |service: &str| {
        let log: Vec<&str> = COLLECTOR.lines().filter(|line| line.contains(&format!("\"stringValue\":\"{service}\""))).collect();
        read(&log.join("\n"), Level::Safe).0
    };
    let (agent, server) = (of("triage"), of("tickets-mcp"));
    let call = |drafts: &[Draft]| {
        drafts.iter().find(|draft| draft.event.destination.as_deref().is_some_and(|to| to.ends_with("/tool/close_ticket"))).cloned().unwrap()
    };
    let (agent, server) = (call(&agent), call(&server));
    assert_eq!(agent.provider_id, server.provider_id);
    assert_eq!(agent.event.identity, "agent:support:agent/triage");
    assert_eq!(agent.event.destination.as_deref(), Some("mcp:tickets.internal:8443/tool/close_ticket"));
    assert_eq!(server.event.identity, "mcp:tickets-mcp:client/10.4.0.9");
    assert_eq!(server.event.destination.as_deref(), Some("mcp:tickets-mcp/tool/close_ticket"));
}

#[test]
fn what_cannot_be_placed_is_refused_with_its_field() {
    for (record, field) in [
        (r#"{"scopeSpans":[{"spans":[{"spanId":"a","startTimeUnixNano":"1795348800000000000"}]}]}"#, "traceId"),
        (r#"{"scopeSpans":[{"spans":[{"traceId":"a","startTimeUnixNano":"1795348800000000000"}]}]}"#, "spanId"),
        (r#"{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b","startTimeUnixNano":"soon"}]}]}"#, "startTimeUnixNano"),
    ] {
        let (drafts, answers) = read(record, Level::Safe);
        let reject = answers.into_iter().next().unwrap().unwrap_err();
        assert_eq!((reject.field.as_deref(), drafts.len()), (Some(field), 0), "{record}");
    }
    assert!(read(r#"{"logs":[]}"#, Level::Safe).1[0].is_err());
}

#[test]
fn spans_in_circles_and_great_traces_end() {
    let span = |id: usize, parent: usize, trace: usize| {
        format!(
            r#"{{"scopeSpans":[{{"spans":[{{"traceId":"{trace}","spanId":"{id}","parentSpanId":"{parent}","startTimeUnixNano":"1795348800000000000","attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"execute_tool"}}}}]}}]}}]}}"#
        )
    };
    let circle = [span(1, 2, 0), span(2, 1, 0), span(3, 3, 0)].join("\n");
    assert!(!read(&circle, Level::Safe).0.is_empty());
    let many: Vec<String> = (0..30_000).map(|id| span(id, id + 1, id / 20_001)).collect();
    let (drafts, answers) = read(&many.join("\n"), Level::Safe);
    assert!(answers.iter().all(Result::is_ok) && !drafts.is_empty());
}

/// What has waited long enough leaves while the file is read; what a restart would lose stands at its oldest line.
#[test]
fn a_trace_leaves_when_its_time_has_come() {
    let span = |trace: &str, parent: &str, minute: i64| {
        let start = 1_795_348_800_000_000_000_i64 + minute * 60_000_000_000;
        format!(
            r#"{{"scopeSpans":[{{"spans":[{{"traceId":"{trace}","spanId":"{minute}","parentSpanId":"{parent}","startTimeUnixNano":"{start}","attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"chat"}}}}]}}]}}]}}"#
        )
    };
    let context = Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "lab".into(), depth_max: 32, file_name: String::new() };
    let mut parser = guarded(&OtlpGenAi, &context);
    let mut out = Vec::new();
    let mut put = |parser: &mut Box<dyn crate::format::Parser>, line: u64, record: String| {
        let answer = parser.record(record.as_bytes(), line, &mut out);
        assert_eq!(answer, Ok(Disposition::Held));
        out.len()
    };
    assert_eq!(put(&mut parser, 1, span("rooted", "", 0)), 0);
    assert_eq!(put(&mut parser, 2, span("open", "far", 0)), 0);
    assert_eq!((put(&mut parser, 3, span("other", "far", 2)), parser.oldest_held()), (1, Some(2)), "its first span was there");
    assert_eq!((put(&mut parser, 4, span("other", "far", 9)), parser.oldest_held()), (1, Some(2)));
    assert_eq!((put(&mut parser, 5, span("other", "far", 11)), parser.oldest_held()), (2, Some(3)));
}
