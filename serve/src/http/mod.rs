//! HTTP: one endpoint for each question, SQL, live findings, MCP, the OpenAPI document, and the console's pages.

mod console;
mod live;
mod mcp;
mod openapi;
mod problem;
mod question;
mod visitor;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::{Desk, Error};
use problem::Problem;

pub use live::Live;

/// What handlers stand on.
#[derive(Debug, Clone)]
pub struct Shared {
    pub desk: Desk,
    pub live: Live,
}

/// Every route.
pub fn router(desk: &Desk) -> Router {
    let shared = Shared { desk: desk.clone(), live: Live::of(desk) };
    let body_bytes_max = desk.options().body_bytes_max;
    let known = Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/v1/sql", post(question::sql))
        .route("/v1/live", get(live::findings))
        .route("/v1/explain/{finding}", get(question::explain))
        .route("/v1/tokens", get(question::tokens))
        .route("/v1/{question}", get(question::ask))
        .route("/mcp", post(mcp::message))
        .merge(console::router())
        .fallback(|| async { Problem::not_found("there is nothing here: /openapi.json says what there is") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(axum::middleware::from_fn_with_state(shared.clone(), visitor::let_in));
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .merge(known)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(axum::middleware::from_fn_with_state(shared.clone(), guarded))
        .with_state(shared)
}

/// What holds for every answer: nothing is kept by caches, nothing is framed or sniffed, no script runs.
async fn guarded(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match visitor::is_of_this_site(&shared, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A header's value: what is not visible ASCII is left out.
fn header_value(text: &str) -> HeaderValue {
    let visible: String = text.chars().map(|letter| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' }).collect();
    HeaderValue::from_str(&visible).unwrap_or(HeaderValue::from_static(""))
}

/// Where the coverage line stands in an answer over HTTP.
pub const COVERAGE_HEADER: &str = "keytrail-coverage";

/// The problem of an error.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}
