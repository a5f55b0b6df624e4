//! The Model Context Protocol over HTTP (its transport "Streamable HTTP"): the same tools as `keytrail mcp`, for whoever shows a token. Each request is
//! answered by itself, in the body of its response; there is no session that could be stolen or forgotten, and nothing that the server says unasked.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, http};
use futures::channel::mpsc;
use futures::{StreamExt as _, stream};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, InitializeRequestParams, JsonRpcRequest, ProtocolVersion, ServerJsonRpcMessage};
use rmcp::service::serve_directly;
use serde_json::json;

use super::Shared;
use crate::Visit;
use crate::mcp::Tools;

/// The versions that begin with a handshake; a client that knows a later one agrees on the newest of these.
fn versions() -> &'static [ProtocolVersion] {
    ProtocolVersion::known_up_to(&ProtocolVersion::LATEST_WITH_INITIALIZE)
}

/// What was agreed on, in every request behind the handshake.
const VERSION: &str = "mcp-protocol-version";
/// JSON-RPC: the text is no JSON; it is JSON and no message.
const NO_JSON: i32 = -32_700;
const NO_MESSAGE: i32 = -32_600;

/// One message of a client's.
pub async fn message(State(shared): State<Shared>, Extension(visit): Extension<Visit>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(error) => return refused(error.status(), NO_MESSAGE, &error.body_text()),
    };
    if let Err((status, why)) = takes(&headers) {
        return refused(status, NO_MESSAGE, why);
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
        return refused(StatusCode::BAD_REQUEST, NO_JSON, "the body is no JSON");
    }
    match serde_json::from_slice::<ClientJsonRpcMessage>(&body) {
        Ok(ClientJsonRpcMessage::Request(request)) => answered(&shared, visit, &headers, request).await,
        Ok(ClientJsonRpcMessage::Notification(_)) => StatusCode::ACCEPTED.into_response(),
        Ok(_) => refused(StatusCode::BAD_REQUEST, NO_MESSAGE, "the server asked nothing: a client sends requests and notifications"),
        Err(_) => refused(StatusCode::BAD_REQUEST, NO_MESSAGE, "the body is no single message of JSON-RPC 2.0 that MCP knows"),
    }
}

/// Answers a request on a service of its own. Dropping it, as when the client goes away, cancels the call.
async fn answered(shared: &Shared, visit: Visit, headers: &HeaderMap, request: JsonRpcRequest<ClientRequest>) -> Response {
    let peer = match &request.request {
        ClientRequest::InitializeRequest(handshake) => handshake.params.clone(),
        _ => InitializeRequestParams::default().with_protocol_version(version(headers).unwrap_or(ProtocolVersion::V_2025_03_26)),
    };
    let tools = Tools::new(&shared.desk, Visit { door: "mcp", ..visit }).speaking(versions());
    let (send, mut receive) = mpsc::unbounded::<ServerJsonRpcMessage>();
    let request = Box::pin(stream::iter([ClientJsonRpcMessage::Request(request)]).chain(stream::pending()));
    let service = serve_directly(tools, (send, request), Some(peer));
    while let Some(message) = receive.next().await {
        if matches!(message, ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_)) {
            drop(service);
            return Json(message).into_response();
        }
    }
    refused(StatusCode::INTERNAL_SERVER_ERROR, -32_603, "there was no answer")
}

/// Whether a request with these headers is one that this transport takes.
fn takes(headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let text = |name: http::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is = |text: &str, media: &[&str]| {
        text.split(',').any(|part| media.iter().any(|media| part.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media)))
    };
    // A page of another site must not ask with what the browser knows.
    if let Some(origin) = text(ORIGIN)
        && origin.split_once("://").is_none_or(|(_, rest)| !rest.eq_ignore_ascii_case(text(HOST).unwrap_or_default()))
    {
        return Err((StatusCode::FORBIDDEN, "no other site's requests are answered"));
    }
    if !text(CONTENT_TYPE).is_some_and(|text| is(text, &["application/json"])) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type is application/json here"));
    }
    if text(ACCEPT).is_some_and(|text| !is(text, &["application/json", "application/*", "*/*"])) {
        return Err((StatusCode::NOT_ACCEPTABLE, "answers are application/json: the header Accept must allow it"));
    }
    if headers.contains_key(VERSION) && version(headers).is_none() {
        return Err((StatusCode::BAD_REQUEST, "the header MCP-Protocol-Version names no version that is spoken here"));
    }
    Ok(())
}

/// The version that the header names, if it is spoken.
fn version(headers: &HeaderMap) -> Option<ProtocolVersion> {
    let named = headers.get(VERSION)?.to_str().ok()?;
    versions().iter().find(|version| version.as_str() == named).cloned()
}

/// A JSON-RPC error that answers no request in particular.
fn refused(status: StatusCode, code: i32, why: &str) -> Response {
    (status, Json(json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": why } }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_of_a_client_of_this_site_is_refused() {
        let with = |more: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in
                [("host", "localhost:8470"), ("content-type", "application/json; charset=utf-8"), ("accept", "application/json, text/event-stream")]
                    .iter()
                    .chain(more)
            {
                headers.insert(*name, http::HeaderValue::from_static(value));
            }
            takes(&headers).map_err(|(status, _)| status.as_u16())
        };
        assert_eq!(with(&[]), Ok(()));
        assert_eq!(with(&[("origin", "http://localhost:8470"), ("mcp-protocol-version", "2025-06-18")]), Ok(()));
        assert_eq!(with(&[("origin", "https://example.org")]), Err(403));
        assert_eq!(with(&[("origin", "null")]), Err(403));
        assert_eq!(with(&[("content-type", "text/plain")]), Err(415));
        assert_eq!(with(&[("accept", "text/event-stream")]), Err(406));
        assert_eq!(with(&[("mcp-protocol-version", "1999-01-01")]), Err(400));
    }
}
