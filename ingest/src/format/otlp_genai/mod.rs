//! AI agents' traces: OpenTelemetry spans of GenAI clients and of MCP clients and servers, as OTLP/JSON lines.
//!
//! A record is one `ResourceSpans`; the exporters of the libraries and the Collector's file exporter write one or more of them a line. Read are the spans
//! that bear `gen_ai.operation.name` or `mcp.method.name`; others only link those to each other.
//!
//! One call is reported by the agent (`execute_tool`), by the MCP client (once or twice) and by the MCP server. It becomes **one event**: the spans that
//! descend from one another and say the same thing are one call, told by the one nearest to the server. Who acted is found upwards in the trace. A trace waits for its
//! spans within bounds (`held`), and what a Collector writes into one file is joined there. The same call of two files (the agent's and the server's)
//! has one id, made of the trace and of the client's span next to the server; `source` completes the one by the other where both are read together.
//!
//! | column | of |
//! |---|---|
//! | identity | `agent:<service.namespace, or deployment environment>:agent/<gen_ai.agent.name>` of the span or the nearest above it; without an agent, the calling `service/<service.name>`; at the server alone, `mcp:<server>:client/<mcp.client.name, client.address or unknown>` |
//! | credential_parent | on whose behalf: `user.id`, `enduser.id` of a client's span |
//! | credential | the MCP client that the server authenticated (`enduser.id` of the server's span), never a token |
//! | destination | `mcp:<server>/tool/<name>`, `/resource/<uri>`, `/prompt/<name>`; `model:<provider>/<model>`; `agent:…:agent/<name>`; `agent:…:tool/<name>` for a tool within the agent |
//! | outcome, reason | the span's status and `error.type` |
//! | session, source_host, user_agent | conversation or MCP session; `service.instance.id`, else `host.name`; service name and version |
//!
//! **Prompts, answers, tool arguments and results are never kept**, at no level of redaction: of attributes only those of a list survive the reading, of others a
//! fingerprint and a length.
//!
//! Source: OpenTelemetry, "Semantic conventions for generative AI" and "for Model Context Protocol" (1.38 and development); OTLP 1.9, "JSON Protobuf Encoding".

mod call;
mod event;
mod held;
mod span;
#[cfg(test)]
mod tests;

use self::held::Held;
use self::span::{Origin, Span};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use crate::json::{self, Value};
use crate::redact::Redactor;

/// The format `otlp_genai`.
pub struct OtlpGenAi;

/// Its name.
pub(crate) const NAME: &str = "otlp_genai";

impl Format for OtlpGenAi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Json
    }

    fn envelopes(&self) -> &'static [&'static str] {
        &["resourceSpans", "resource_spans"]
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        json::Reader::default().parse(sample).map_or(0, |document| self.sniff_value(document.root()))
    }

    fn sniff_value(&self, value: Value<'_>) -> u8 {
        const SPANS_MAX: usize = 64;
        let mut seen = false;
        for resource in resources(value) {
            for (_, span) in spans(resource).take(SPANS_MAX) {
                seen = true;
                if span::is_told_of(span) {
                    return 95;
                }
            }
        }
        if seen { 60 } else { 0 }
    }

    fn completes(&self) -> Option<fn(&mut keytrail_schemas::Event, &mut keytrail_schemas::Event)> {
        Some(event::complete)
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Traces { json: json::Reader::new(context.depth_max), redactor: context.redactor.clone(), held: Held::default() })
    }
}

/// The parser of one file.
struct Traces {
    json: json::Reader,
    redactor: Redactor,
    held: Held,
}

impl Parser for Traces {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let document = self.json.parse(record)?;
        let root = document.root();
        let mut found = Vec::new();
        let mut any = false;
        for resource in resources(root) {
            any = true;
            let origin = Origin::of(resource);
            for (scope, value) in spans(resource) {
                found.push(Span::of(value, scope, &origin, line, &self.redactor)?);
            }
        }
        if !any {
            return Err(Reject::wrong_kind("no OTLP trace: a record has resourceSpans, or is one of them with scopeSpans"));
        }
        drop(document);
        let before = out.len();
        let mut holds = false;
        for span in found {
            holds |= span.act.is_some();
            self.held.put(span);
        }
        self.held.leave(false, out);
        Ok(match (holds, out.len() > before) {
            (true, _) => Disposition::Held,
            (false, true) => Disposition::Yielded,
            (false, false) => Disposition::Control,
        })
    }

    fn oldest_held(&self) -> Option<u64> {
        self.held.oldest()
    }

    fn shed(&mut self) {
        self.json.shed();
    }

    fn finish(&mut self, out: &mut Vec<Draft>) {
        self.held.leave(true, out);
    }
}

/// The `ResourceSpans` of a value: itself, or what its envelope holds.
fn resources(value: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let within = value.get("resourceSpans").or_else(|| value.get("resource_spans"));
    let own = (within.is_none() && scopes(value).is_some()).then_some(value);
    own.into_iter().chain(within.into_iter().flat_map(Value::items))
}

fn scopes(resource: Value<'_>) -> Option<Value<'_>> {
    ["scopeSpans", "scope_spans", "instrumentationLibrarySpans"].into_iter().find_map(|key| resource.get(key)).filter(|scopes| scopes.is_array())
}

/// The spans of a resource, each with its scope's name.
fn spans(resource: Value<'_>) -> impl Iterator<Item = (&str, Value<'_>)> {
    scopes(resource).into_iter().flat_map(Value::items).flat_map(|scope| {
        let name = scope.str_at(&["scope", "name"]).or_else(|| scope.str_at(&["instrumentationLibrary", "name"])).unwrap_or_default();
        scope.get("spans").into_iter().flat_map(Value::items).map(move |span| (name, span))
    })
}
