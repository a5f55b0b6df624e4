//! One span: what of it matters, and what of it is kept.

use keytrail_schemas::{Micros, Text};

use super::call::Act;
use crate::format::Reject;
use crate::json::{Value, write_string};
use crate::redact::Redactor;

/// Attributes whose values are kept in the record: names, ids, counts. Every other one may hold what was asked or answered.
pub(super) const KEPT: &[&str] = &[
    "client.address",
    "client.port",
    "enduser.id",
    "enduser.scope",
    "error.type",
    "fastmcp.component.key",
    "fastmcp.component.type",
    "fastmcp.provider.type",
    "fastmcp.server.name",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.agent.version",
    "gen_ai.conversation.id",
    "gen_ai.data_source.id",
    "gen_ai.operation.name",
    "gen_ai.prompt.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.system",
    "gen_ai.tool.call.id",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "jsonrpc.protocol.version",
    "jsonrpc.request.id",
    "mcp.client.name",
    "mcp.client.version",
    "mcp.method.name",
    "mcp.prompt.name",
    "mcp.protocol.version",
    "mcp.resource.uri",
    "mcp.server.name",
    "mcp.session.id",
    "mcp.tool.name",
    "network.peer.address",
    "network.protocol.name",
    "network.transport",
    "rpc.jsonrpc.request_id",
    "rpc.response.status_code",
    "server.address",
    "server.port",
    "user.id",
];

/// Attributes of the resource that are kept.
pub(super) const KEPT_OF_RESOURCE: &[&str] = &[
    "cloud.account.id",
    "cloud.platform",
    "cloud.provider",
    "cloud.region",
    "container.id",
    "container.image.name",
    "deployment.environment",
    "deployment.environment.name",
    "host.id",
    "host.name",
    "k8s.cluster.name",
    "k8s.deployment.name",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "service.instance.id",
    "service.name",
    "service.namespace",
    "service.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
];

/// Longer values are no names.
const VALUE_BYTES_MAX: usize = 512;
/// A span with more attributes is cut to these.
const ATTRIBUTES_MAX: usize = 256;

/// What sent a span.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// `service.namespace`, else the deployment's environment.
    pub(super) account: Option<Text>,
    pub(super) service: Option<Text>,
    pub(super) version: Option<Text>,
    pub(super) instance: Option<Text>,
    pub(super) environment: Option<Text>,
    /// The attributes that are kept, as the JSON of an object.
    json: String,
}

/// On which side of a call a span was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Within,
    Client,
    Server,
}

/// A span.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) trace: Text,
    pub(super) id: Text,
    pub(super) parent: Option<Text>,
    pub(super) side: Side,
    pub(super) time: Micros,
    pub(super) failed: bool,
    /// What it says that was done; `None` for a span that only links others.
    pub(super) act: Option<Act>,
    pub(super) told: Option<Box<Told>>,
    pub(super) line: u64,
}

/// What a span of a GenAI or MCP call tells.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) origin: Origin,
    pub(super) operation: Option<Text>,
    pub(super) method: Option<Text>,
    pub(super) agent: Option<Text>,
    pub(super) server: Option<Text>,
    pub(super) server_address: Option<Text>,
    pub(super) client: Option<Text>,
    pub(super) client_address: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) enduser: Option<Text>,
    pub(super) provider: Option<Text>,
    pub(super) conversation: Option<Text>,
    pub(super) mcp_session: Option<Text>,
    pub(super) error: Option<Text>,
    /// The record that is kept.
    pub(super) raw: String,
}

/// Whether a span is of a GenAI or MCP call.
pub(super) fn is_told_of(span: Value<'_>) -> bool {
    attributes(span).any(|(key, _)| matches!(key, "gen_ai.operation.name" | "mcp.method.name"))
}

impl Origin {
    pub(super) fn of(resource: Value<'_>) -> Self {
        let mut origin = Self::default();
        let (mut namespace, mut host) = (None, None);
        let Some(about) = resource.get("resource") else {
            origin.json.push_str("{}");
            return origin;
        };
        for (key, value) in attributes(about) {
            let place = match key {
                "service.namespace" => &mut namespace,
                "deployment.environment.name" | "deployment.environment" => &mut origin.environment,
                "service.name" => &mut origin.service,
                "service.version" => &mut origin.version,
                "service.instance.id" => &mut origin.instance,
                "host.name" => &mut host,
                _ => continue,
            };
            *place = text(value);
        }
        origin.account = namespace.or_else(|| origin.environment.clone());
        origin.instance = origin.instance.take().or(host);
        write_attributes(about, KEPT_OF_RESOURCE, None, &mut origin.json);
        origin
    }
}

impl Span {
    pub(super) fn of(value: Value<'_>, scope: &str, origin: &Origin, line: u64, redactor: &Redactor) -> Result<Self, Reject> {
        let id = |key: &str, snake: &str| value.str_at(&[key]).or_else(|| value.str_at(&[snake])).filter(|id| id.len() <= 64).map(Text::from);
        let trace = id("traceId", "trace_id").ok_or_else(|| Reject::malformed("traceId", "a span without a traceId cannot be placed in its trace"))?;
        let own = id("spanId", "span_id").ok_or_else(|| Reject::malformed("spanId", "a span without a spanId"))?;
        let time = nanos(value, "startTimeUnixNano", "start_time_unix_nano")?;
        let status = value.at(&["status", "code"]);
        let mut span = Self {
            trace,
            id: own,
            parent: id("parentSpanId", "parent_span_id"),
            side: side(value.get("kind")),
            time,
            failed: status.is_some_and(|code| code.as_i64() == Some(2) || code.as_str() == Some("STATUS_CODE_ERROR")),
            act: None,
            told: None,
            line,
        };
        if !is_told_of(value) {
            return Ok(span);
        }
        let mut told = Told { origin: origin.clone(), ..Told::default() };
        let (mut tool, mut uri, mut prompt, mut model, mut port) = (None, None, None, None, None);
        for (key, value) in attributes(value) {
            let place = match key {
                "gen_ai.operation.name" => &mut told.operation,
                "mcp.method.name" => &mut told.method,
                "gen_ai.agent.name" => &mut told.agent,
                "gen_ai.tool.name" | "mcp.tool.name" => &mut tool,
                "mcp.resource.uri" => &mut uri,
                "gen_ai.prompt.name" | "mcp.prompt.name" => &mut prompt,
                "gen_ai.request.model" => &mut model,
                "gen_ai.provider.name" => &mut told.provider,
                "gen_ai.system" if told.provider.is_none() => &mut told.provider,
                "fastmcp.server.name" | "mcp.server.name" => &mut told.server,
                "server.address" => &mut told.server_address,
                "server.port" => &mut port,
                "mcp.client.name" => &mut told.client,
                "client.address" => &mut told.client_address,
                "user.id" => &mut told.user,
                "enduser.id" => &mut told.enduser,
                "gen_ai.conversation.id" => &mut told.conversation,
                "mcp.session.id" => &mut told.mcp_session,
                "error.type" => &mut told.error,
                _ => continue,
            };
            *place = text(value);
        }
        if let (Some(address), Some(port)) = (&mut told.server_address, port) {
            *address = crate::format::join::join(&[address, ":", &port]);
        }
        let name = value.str_at(&["name"]).unwrap_or_default();
        span.act = Act::of(&told, name, tool, uri, prompt, model);
        told.raw = raw(value, scope, origin, redactor);
        span.told = Some(Box::new(told));
        Ok(span)
    }
}

/// The record that is kept of a span: its own fields, and the attributes of the list.
fn raw(span: Value<'_>, scope: &str, origin: &Origin, redactor: &Redactor) -> String {
    let mut out = String::with_capacity(512 + origin.json.len());
    out.push_str("{\"resource\":");
    out.push_str(&origin.json);
    out.push_str(",\"scope\":");
    write_string(clip(scope), &mut out);
    for key in ["name", "kind", "traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano"] {
        let Some(value) = span.get(key).filter(|value| !value.is_object() && !value.is_array()) else { continue };
        write_string(key, out_comma(&mut out));
        out.push(':');
        match value.as_str() {
            Some(text) => write_string(clip(text), &mut out),
            None => value.write_json(&mut out),
        }
    }
    if let Some(code) = span.at(&["status", "code"]).filter(|code| !code.is_object() && !code.is_array()) {
        out.push_str(",\"status\":{\"code\":");
        code.write_json(&mut out);
        out.push('}');
    }
    out.push_str(",\"attributes\":");
    write_attributes(span, KEPT, Some(redactor), &mut out);
    out.push('}');
    out
}

fn out_comma(out: &mut String) -> &mut String {
    out.push(',');
    out
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(VALUE_BYTES_MAX)).unwrap_or(text)
}

/// Attributes as an object: those of `kept` with their values; of others, where a redactor is given, what stands for their value.
fn write_attributes(of: Value<'_>, kept: &[&str], redactor: Option<&Redactor>, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (key, value) in attributes(of).take(ATTRIBUTES_MAX) {
        let short = value.as_str().is_none_or(|text| text.len() <= VALUE_BYTES_MAX) && !value.is_object();
        let keeps = kept.binary_search(&key).is_ok() && short;
        if key.len() > 128 || (!keeps && redactor.is_none()) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        match redactor {
            Some(redactor) if !keeps => match value.as_str() {
                Some(text) => write_string(&redactor.written(text.as_bytes()), out),
                None if value.as_bool().is_some() || value.as_f64().is_some_and(|n| n.abs() < 1e9) => value.write_json(out),
                None => write_string(&redactor.written(value.to_json().as_bytes()), out),
            },
            _ => value.write_json(out),
        }
    }
    out.push('}');
}

/// The attributes of a span or resource, each with its value taken out of OTLP's `AnyValue`.
fn attributes(of: Value<'_>) -> impl Iterator<Item = (&str, Value<'_>)> {
    of.get("attributes").into_iter().flat_map(Value::items).filter_map(|attribute| {
        let (_, value) = attribute.get("value")?.entries().next()?;
        Some((attribute.str_at(&["key"])?, value))
    })
}

/// A value as a name, if it is as short as one.
fn text(value: Value<'_>) -> Option<Text> {
    match value.as_text() {
        Some(text) => (text.len() <= VALUE_BYTES_MAX).then(|| Text::from(text)),
        None => value.as_i64().map(|n| Text::from(n.to_string())),
    }
}

fn side(kind: Option<Value<'_>>) -> Side {
    match kind.map(|kind| (kind.as_i64(), kind.as_str())) {
        Some((Some(2 | 5), _) | (_, Some("SPAN_KIND_SERVER" | "SPAN_KIND_CONSUMER"))) => Side::Server,
        Some((Some(3 | 4), _) | (_, Some("SPAN_KIND_CLIENT" | "SPAN_KIND_PRODUCER"))) => Side::Client,
        _ => Side::Within,
    }
}

/// A time in nanoseconds, a number or, as OTLP writes 64-bit integers, its digits in a string.
fn nanos(value: Value<'_>, key: &str, snake: &str) -> Result<Micros, Reject> {
    let found = value.get(key).or_else(|| value.get(snake));
    let nanos = found.and_then(|found| found.as_i64().or_else(|| found.as_str()?.parse().ok()));
    let micros = nanos.map(|nanos| Micros(nanos / 1_000)).filter(|time| *time > Micros::MIN && *time <= Micros::MAX);
    micros.ok_or_else(|| Reject::no_time(key, found.and_then(Value::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_and_the_places_of_redaction_name_them() {
        assert!(KEPT.is_sorted() && KEPT_OF_RESOURCE.is_sorted());
        let places = crate::redact::places(super::super::NAME);
        for (under, keys) in [("attributes", KEPT), ("resource", KEPT_OF_RESOURCE)] {
            for key in keys {
                assert!(
                    places.iter().any(|(path, _)| *path == format!("{under}.{key}")),
                    "{under}.{key} is kept by the reading and closed by data/redact/otlp_genai.toml"
                );
            }
        }
    }
}
