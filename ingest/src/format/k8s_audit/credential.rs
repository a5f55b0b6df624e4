//! With what a request was made, and which token it brought into being.

use crate::format::join::join;
use compact_str::format_compact;
use keytrail_schemas::{CredentialKind, Micros, Text};

use super::identity::{self, Identity};
use super::request::{Request, User};
use crate::format::utc_time;
use crate::json::{Reader, Value};
use crate::redact::Redactor;

/// A credential, as far as it is known.
#[derive(Default)]
pub(super) struct Credential {
    pub(super) id: Option<Text>,
    pub(super) kind: CredentialKind,
    /// The identity that stands behind it elsewhere.
    pub(super) parent: Option<Text>,
    pub(super) auth_method: Option<&'static str>,
}

/// The credential that `user` of `request` presented.
pub(super) fn presented(request: &Request<'_>, user: &User<'_>) -> Credential {
    let named = |id: Option<Text>, kind, auth_method| Credential { id, kind, parent: None, auth_method: Some(auth_method) };
    let credential_id = user.extra("authentication.kubernetes.io/credential-id").or_else(|| request.annotation("authentication.kubernetes.io/credential-id"));
    if let Some(id) = credential_id {
        return match (id.strip_prefix("JTI="), id.strip_prefix("X509SHA256=")) {
            (Some(jti), _) => named(Some(jti.into()), CredentialKind::Jwt, "bearer_token"),
            (_, Some(hash)) => named(Some(join(&["x509:sha256:", hash])), CredentialKind::X509, "x509"),
            _ => named(Some(id.into()), CredentialKind::Unknown, "bearer_token"),
        };
    }
    if let Some((namespace, secret)) = request.annotation("authentication.k8s.io/legacy-token").and_then(|t| t.split_once('/')) {
        return named(Some(secret_id(&request.cluster, namespace, secret)), CredentialKind::Jwt, "bearer_token");
    }
    if let Some(key) = user.extra("accessKeyId") {
        let kind = if key.starts_with("ASIA") { CredentialKind::Session } else { CredentialKind::AccessKey };
        let parent = user.extra("canonicalArn").or_else(|| user.extra("arn")).and_then(aws_identity);
        return Credential { id: Some(key.into()), kind, parent, auth_method: Some("aws_iam") };
    }
    match user.name {
        "system:anonymous" => named(None, CredentialKind::Unknown, "none"),
        name if name.starts_with("system:serviceaccount:") => named(None, CredentialKind::Jwt, "bearer_token"),
        name if name.starts_with("system:node:") => named(None, CredentialKind::X509, "x509"),
        _ => Credential::default(),
    }
}

/// The canonical id of a long-lived token that a Secret holds.
fn secret_id(cluster: &str, namespace: &str, name: &str) -> Text {
    join(&["k8s:", cluster, ":secrets/", namespace, "/", name])
}

/// `aws:<account>:role/<name>` for the ARN that EKS mapped to a user.
fn aws_identity(arn: &str) -> Option<Text> {
    let mut parts = arn.strip_prefix("arn:")?.splitn(5, ':').skip(3);
    let (account, resource) = (parts.next()?, parts.next()?);
    let (kind, rest) = resource.split_once('/')?;
    match kind {
        "assumed-role" => Some(format_compact!("aws:{account}:role/{}", rest.split('/').next()?)),
        _ => Some(format_compact!("aws:{account}:{kind}/{}", rest.rsplit('/').next()?)),
    }
}

/// A token that a request brought into being or took out of it.
pub(super) struct Token {
    pub(super) owner: Identity,
    pub(super) id: Option<Text>,
    pub(super) issued_at: Option<Micros>,
    pub(super) expires_at: Option<Micros>,
    pub(super) revoked: bool,
    /// Who signed it, where the token says so and not only the cluster itself believes it.
    pub(super) issuer: Option<Text>,
}

/// The token that `request` issued to a service account, or revoked.
pub(super) fn token(request: &Request<'_>, redactor: &Redactor) -> Option<Token> {
    match (request.object.resource?, request.object.subresource, request.verb) {
        ("serviceaccounts", Some("token"), "create") => requested(request, redactor),
        ("secrets", None, "create") => held_by_secret(request, [request.response, request.request], false),
        ("secrets", None, "delete") => held_by_secret(request, [request.response, request.request], true),
        _ => None,
    }
}

/// The token of a `TokenRequest`.
fn requested(request: &Request<'_>, redactor: &Redactor) -> Option<Token> {
    let object = &request.object;
    let owner = identity::service_account(&request.cluster, object.namespace?, object.name?);
    let text = request.response.and_then(|response| response.str_at(&["status", "token"]));
    let claims = text.and_then(Claims::read).unwrap_or_default();
    let said = request.annotation("authentication.kubernetes.io/issued-credential-id").map(|id| id.strip_prefix("JTI=").unwrap_or(id).into());
    let id = said.or(claims.id).or_else(|| text.map(|token| redactor.fingerprint(token.as_bytes()).to_string().into()));
    let seconds = || [request.response, request.request].into_iter().flatten().find_map(|o| o.at(&["spec", "expirationSeconds"]).and_then(Value::as_i64));
    let lifetime = || seconds().and_then(|secs| secs.checked_mul(Micros::SECOND)).and_then(|span| Micros(request.time.0.checked_add(span)?).in_range("").ok());
    let expires_at =
        request.response.and_then(|response| response.str_at(&["status", "expirationTimestamp"])).and_then(utc_time).or(claims.expires_at).or_else(lifetime);
    Some(Token { owner, id, issued_at: Some(claims.issued_at.unwrap_or(request.time)), expires_at, revoked: false, issuer: claims.issuer })
}

/// The token that a Secret of type `kubernetes.io/service-account-token` holds, which has no end.
fn held_by_secret(request: &Request<'_>, objects: [Option<Value<'_>>; 2], revoked: bool) -> Option<Token> {
    let secret = objects.into_iter().flatten().find(|o| o.str_at(&["type"]) == Some("kubernetes.io/service-account-token"))?;
    let annotation = |key| secret.str_at(&["metadata", "annotations", key]);
    let namespace = request.object.namespace.or_else(|| secret.str_at(&["metadata", "namespace"]))?;
    let name = request.object.name.or_else(|| secret.str_at(&["metadata", "name"]));
    let owner = identity::service_account(&request.cluster, namespace, annotation("kubernetes.io/service-account.name")?);
    let issued_at = secret.str_at(&["metadata", "creationTimestamp"]).and_then(utc_time).or_else(|| (!revoked).then_some(request.time));
    Some(Token { owner, id: name.map(|name| secret_id(&request.cluster, namespace, name)), issued_at, expires_at: None, revoked, issuer: None })
}

/// What a JWT says of itself; its signature is not checked, for the API server that logged it made it.
#[derive(Default)]
struct Claims {
    id: Option<Text>,
    issued_at: Option<Micros>,
    expires_at: Option<Micros>,
    issuer: Option<Text>,
}

impl Claims {
    fn read(token: &str) -> Option<Self> {
        let payload = base64url(token.split('.').nth(1)?)?;
        let mut reader = Reader::default();
        let doc = reader.parse(&payload).ok()?;
        let time = |key| doc.root().get(key).and_then(Value::as_f64).and_then(|secs| Micros::from_secs_f64(secs).ok());
        // The usual issuer of a cluster that nobody outside believes says nothing of which cluster it is.
        let issuer = doc.root().str_at(&["iss"]).map(|issuer| issuer.trim_start_matches("https://").trim_end_matches('/'));
        let issuer = issuer.filter(|issuer| issuer.contains('.') && !issuer.starts_with("kubernetes.default")).map(Into::into);
        Some(Self { id: doc.root().str_at(&["jti"]).map(Into::into), issued_at: time("iat"), expires_at: time("exp"), issuer })
    }
}

/// Decodes base64url without padding (RFC 4648, section 5).
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_a_token_are_read() {
        // {"alg":"RS256"} . {"jti":"a-b","iat":1700000000,"exp":1700003600}
        let claims = Claims::read("eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiJhLWIiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.c2ln").unwrap();
        assert_eq!(claims.id.as_deref(), Some("a-b"));
        assert_eq!(claims.expires_at.unwrap().0 - claims.issued_at.unwrap().0, Micros::HOUR);
        assert!(Claims::read("not a token").is_none());
        assert!(Claims::read("a.!!.b").is_none());
    }
}
