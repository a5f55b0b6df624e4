//! Who is at the door: the token in the request, and, where none is asked for, that the request was meant for this server.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Problem, Shared};
use crate::listen::Peer;
use crate::{Error, Visit};

/// Longest `Authorization` header that is looked at.
const HEADER_BYTES_MAX: usize = 1_024;

/// Lets in who shows a token in force, and puts the [`Visit`] into the request.
pub async fn let_in(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let (user, secret) = match shown(&request) {
        Ok(shown) => shown,
        Err(error) => return Problem::from(error).into_response(),
    };
    let caller = match shared.desk.access().caller(secret.as_deref(), &user) {
        Ok(caller) => caller,
        Err(error) => return Problem::from(error).into_response(),
    };
    let from = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.0.ip());
    request.extensions_mut().insert(Visit { caller, door: "http", from });
    next.run(request).await
}

/// The name and the token of `Authorization: Bearer TOKEN`, or of `Basic` with the token as password.
fn shown(request: &Request) -> Result<(String, Option<String>), Error> {
    let Some(value) = request.headers().get(AUTHORIZATION) else { return Ok((String::new(), None)) };
    let unreadable = || Error::Unauthenticated("the Authorization header cannot be read: write `Bearer TOKEN`".to_owned());
    let text = value.to_str().ok().filter(|text| text.len() <= HEADER_BYTES_MAX).ok_or_else(unreadable)?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(unreadable)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok((String::new(), Some(rest.trim().to_owned()))),
        "basic" => {
            let decoded = BASE64.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable)?;
            let (user, password) = decoded.split_once(':').ok_or_else(unreadable)?;
            Ok((user.to_owned(), Some(password.to_owned())))
        }
        _ => Err(unreadable()),
    }
}

/// Without tokens, whoever reaches the port may ask; so a page in a browser must not be able to: it comes under another name (DNS rebinding) or
/// from another origin.
pub fn is_of_this_site(shared: &Shared, request: &Request) -> Result<(), Error> {
    if shared.desk.access().asks_for_tokens() {
        return Ok(());
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default();
    let is_loopback = |host: &str| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
        name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    if !is_loopback(host) {
        return Err(Error::Forbidden("without tokens only requests to localhost are answered".to_owned()));
    }
    match text(ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, rest)| !rest.eq_ignore_ascii_case(host)) => {
            Err(Error::Forbidden("without tokens no other site's requests are answered".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(header: &str) -> Result<(String, Option<String>), Error> {
        shown(&Request::builder().header(AUTHORIZATION, header).body(axum::body::Body::empty()).unwrap())
    }

    #[test]
    fn a_token_is_a_bearer_or_a_password() {
        assert_eq!(with("bearer kt_1_2").unwrap(), (String::new(), Some("kt_1_2".to_owned())));
        // printf 'ann:kt_1_2' | base64
        assert_eq!(with("Basic YW5uOmt0XzFfMg==").unwrap(), ("ann".to_owned(), Some("kt_1_2".to_owned())));
        for header in ["", "Bearer", "Basic !!!", "Basic YW5u", "Digest x", &format!("Bearer {}", "x".repeat(2_000))] {
            assert!(with(header).is_err(), "{header}");
        }
    }
}
