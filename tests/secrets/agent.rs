//! Where secrets stand in the traces of AI agents: prompts, instructions, arguments and results of tools, headers, exceptions, and the names that are kept.

use serde_json::json;

use super::place::{Place, closed, kept};

const FORMAT: &str = "otlp_genai";
const FILE: &str = "otlp_genai/spans.ndjson";

/// A span with one more attribute, and an event and a status beside it.
fn span(key: &str, value: &str, event: &str, status: &str, n: u64) -> String {
    let at = 1_772_409_600_000_000_000_u64 + n * 1_000_000_000;
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "triage"), text("service.namespace", "support"), text("service.instance.id", "triage-1")]},
        "scopeSpans": [{"scope": {"name": "agents"}, "spans": [{
            "traceId": format!("{n:032x}"), "spanId": format!("{n:016x}"), "name": "execute_tool close_ticket", "kind": 1, "startTimeUnixNano": at.to_string(), "endTimeUnixNano": (at + 500_000).to_string(),
            "attributes": [text("gen_ai.operation.name", "execute_tool"), text("gen_ai.agent.name", "triage"), text("gen_ai.tool.name", "close_ticket"), text(key, value)],
            "events": [{"name": "exception", "timeUnixNano": at.to_string(), "attributes": [text("exception.message", event)]}],
            "status": {"code": 2, "message": status}
        }]}]
    }]})
    .to_string()
}

/// Every place.
pub fn places() -> Vec<Place> {
    let closed_keys = [
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.prompt",
        "gen_ai.completion",
        "tool_arguments",
        "tool_response",
        "all_messages_events",
        "logfire.msg",
        "http.request.header.authorization",
        "mcp.request.argument.query",
        "url.full",
        "db.statement",
    ];
    let texts = ["gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.conversation.id", "mcp.resource.uri", "error.type", "user.id"];
    let mut all: Vec<Place> = closed_keys
        .into_iter()
        .flat_map(|key| {
            [
                closed(FORMAT, FILE, key, move |s, n| span(key, s, "failed", "", n)),
                closed(FORMAT, FILE, &format!("{key}: JSON in a string"), move |s, n| {
                    span(key, &json!([{"role": "user", "content": s}]).to_string(), "failed", "", n)
                }),
            ]
        })
        .collect();
    all.push(closed(FORMAT, FILE, "exception", |s, n| span("x", "y", &format!("refused: {s}"), "", n)));
    all.push(closed(FORMAT, FILE, "status message", |s, n| span("x", "y", "failed", &format!("refused: {s}"), n)));
    all.extend(texts.into_iter().flat_map(|key| kept(FORMAT, FILE, key, move |s: &str, n| span(key, s, "failed", "", n))));
    all
}
