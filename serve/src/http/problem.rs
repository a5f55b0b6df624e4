//! What HTTP answers when there is no answer: a status, a short word for programs and a sentence for people.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::Error;

/// An answer that says why there is none.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    names: Vec<String>,
}

impl Problem {
    /// The problem of an error.
    pub fn of(error: &Error) -> Self {
        use keytrail_query::Error as Q;
        let status = match error {
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Request(_) | Error::SlowReader { .. } => StatusCode::BAD_REQUEST,
            Error::Query(Q::Unknown { .. }) => StatusCode::NOT_FOUND,
            Error::Query(Q::Ambiguous { .. }) => StatusCode::CONFLICT,
            Error::Query(Q::NoLake { .. } | Q::Lake { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Query(Q::TimeLimit { .. } | Q::RowLimit { .. } | Q::MemoryLimit { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Query(inner) if inner.is_users() => StatusCode::BAD_REQUEST,
            // Values that an operation cannot take (a division by zero, a cast) come out as failures of execution.
            Error::Query(Q::Execution(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Query(_) | Error::Format(_) | Error::File { .. } | Error::Listen(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let names = match error {
            Error::Query(Q::Unknown { nearest, .. }) => nearest.clone(),
            Error::Query(Q::Ambiguous { candidates, .. }) => candidates.iter().map(|(name, _)| name.clone()).collect(),
            _ => Vec::new(),
        };
        if status.is_server_error() {
            tracing::error!(%error, "a question could not be answered");
        }
        Self { status, code: error.code(), message: error.to_string(), names }
    }

    /// Nothing stands at this path.
    pub fn not_found(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message: message.to_owned(), names: Vec::new() }
    }

    /// The path takes another method.
    pub fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method_not_allowed",
            message: "this path takes another method: see the header Allow".to_owned(),
            names: Vec::new(),
        }
    }

    /// No offered format is accepted.
    pub fn not_acceptable() -> Self {
        let known: Vec<_> = crate::format::Format::OFFERED.iter().map(|format| format.media_type()).collect();
        Self {
            status: StatusCode::NOT_ACCEPTABLE,
            code: "not_acceptable",
            message: format!("there is no such format: Accept one of {}", known.join(", ")),
            names: Vec::new(),
        }
    }
}

impl Problem {
    /// Status, headers and sentence, for a page.
    pub fn told(self) -> (StatusCode, HeaderMap, String) {
        (self.status, self.headers(), self.message)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self.status {
            // A browser asks for name and password then: the password is the token.
            StatusCode::UNAUTHORIZED => {
                headers
                    .insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer realm=\"keytrail\", Basic realm=\"keytrail\", charset=\"UTF-8\""));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, axum::http::HeaderValue::from_static("1"));
            }
            _ => {}
        }
        headers
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": { "code": self.code, "message": self.message, "names": self.names } }));
        (self.status, self.headers(), body).into_response()
    }
}
