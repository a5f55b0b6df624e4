//! Kubernetes API server audit events (`audit.k8s.io/v1`), one JSON object a line at stage `ResponseComplete`, with the
//! credential ids of KEP-4193 (`jti` of bound service-account tokens) as they are since 1.32.

use super::cloudtrail::{Failure, put};
use crate::chance::Chance;
use crate::clock::{self, SECOND};
use crate::roster::{
    actor::Pod,
    place::{Place, VERBS},
};

/// Who calls.
pub enum User<'a> {
    /// A service account (namespace/name, UID) through a pod's token.
    ServiceAccount(&'a str, &'a str, &'a Pod),
    /// A person through single sign-on.
    Person(&'a str),
    /// A kubelet.
    Node(&'a str),
}

/// What every event has in common.
pub struct Call<'a> {
    /// When the request came.
    pub time: i64,
    /// Who.
    pub user: User<'a>,
    /// From where.
    pub address: &'a str,
    /// With which client.
    pub agent: &'a str,
    /// How it failed.
    pub failure: Option<Failure>,
}

fn push_user(out: &mut String, user: &User<'_>, nodes: &[(String, String)]) {
    match user {
        User::ServiceAccount(account, uid, pod) => {
            let (namespace, name) = account.split_once('/').unwrap_or(("default", account));
            put!(
                out,
                r#"{"username":"system:serviceaccount:"#,
                namespace,
                ":",
                name,
                r#"","uid":""#,
                uid,
                r#"","groups":["system:serviceaccounts","system:serviceaccounts:"#,
                namespace,
                r#"","system:authenticated"]"#
            );
            put!(
                out,
                r#","extra":{"authentication.kubernetes.io/credential-id":["JTI="#,
                &pod.jti,
                r#""],"authentication.kubernetes.io/node-name":[""#,
                nodes.get(pod.node).map_or("", |n| n.0.as_str())
            );
            put!(out, r#""],"authentication.kubernetes.io/pod-name":[""#, &pod.name, r#""],"authentication.kubernetes.io/pod-uid":[""#, &pod.uid, r#""]}}"#);
        }
        User::Person(name) => put!(out, r#"{"username":""#, name, r#"","groups":["oidc:platform","system:authenticated"]}"#),
        User::Node(name) => put!(out, r#"{"username":"system:node:"#, name, r#"","groups":["system:nodes","system:authenticated"]}"#),
    }
}

/// The event; `object` appends the object reference.
#[expect(clippy::too_many_arguments, reason = "one argument per part of the event")]
fn event(
    out: &mut String,
    call: &Call<'_>,
    nodes: &[(String, String)],
    level: &str,
    verb: &str,
    uri: &str,
    code: &str,
    object: impl FnOnce(&mut String),
    chance: &mut Chance,
) -> String {
    let id = chance.uuid();
    put!(
        out,
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":""#,
        level,
        r#"","auditID":""#,
        &id,
        r#"","stage":"ResponseComplete","requestURI":""#,
        uri,
        r#"","verb":""#,
        verb,
        r#"","user":"#
    );
    push_user(out, &call.user, nodes);
    put!(out, r#","sourceIPs":[""#, call.address, r#""],"userAgent":""#, call.agent, r#"","objectRef":"#);
    object(out);
    match call.failure {
        None => put!(out, r#","responseStatus":{"metadata":{},"code":"#, code, "}"),
        Some(Failure::Unavailable) => {
            put!(out, r#","responseStatus":{"metadata":{},"status":"Failure","message":"etcdserver: request timed out","reason":"InternalError","code":500}"#)
        }
        Some(_) => put!(
            out,
            r#","responseStatus":{"metadata":{},"status":"Failure","message":"forbidden: not allowed at this scope","reason":"Forbidden","code":403}"#
        ),
    }
    put!(out, r#","requestReceivedTimestamp":""#);
    clock::push_micros(out, call.time);
    put!(out, r#"","stageTimestamp":""#);
    clock::push_micros(out, call.time + chance.range(900, 24_000));
    let allowed = !matches!(call.failure, Some(Failure::Denied | Failure::Withdrawn));
    put!(
        out,
        r#"","annotations":{"authorization.k8s.io/decision":""#,
        if allowed { "allow" } else { "forbid" },
        r#"","authorization.k8s.io/reason":""#,
        if allowed { "RBAC: allowed by RoleBinding" } else { "" },
        r#""}}"#
    );
    id
}

/// A request for an object or a collection; gives the audit id.
pub fn call(out: &mut String, call: &Call<'_>, nodes: &[(String, String)], place: &Place, act: u8, chance: &mut Chance) -> String {
    let verb = VERBS[usize::from(act) % VERBS.len()];
    let (resource, name) = place.name.split_once('/').map_or((place.name.as_str(), None), |(r, n)| (r, Some(n)));
    let (resource, group) = resource.split_once('.').map_or((resource, ""), |(r, g)| (r, g));
    let (resource, subresource) = if resource == "exec" { ("pods", "exec") } else { (resource, "") };
    let namespace = place.at.as_str();
    let mut uri = String::with_capacity(96);
    if group.is_empty() {
        uri.push_str("/api/v1/namespaces/")
    } else {
        put!(uri, "/apis/", group, "/v1/namespaces/")
    }
    put!(uri, namespace, "/", resource);
    if let Some(name) = name {
        put!(uri, "/", name);
    }
    if !subresource.is_empty() {
        put!(uri, "/", subresource, "?command=%2Fbin%2Fsh&container=app&stdin=true&stdout=true&tty=true");
    }
    let object = |out: &mut String| {
        put!(out, r#"{"resource":""#, resource, r#"","namespace":""#, namespace, "\"");
        if let Some(name) = name {
            put!(out, r#","name":""#, name, "\"");
        }
        if !group.is_empty() {
            put!(out, r#","apiGroup":""#, group, "\"");
        }
        put!(out, r#","apiVersion":"v1""#);
        if !subresource.is_empty() {
            put!(out, r#","subresource":""#, subresource, "\"");
        }
        put!(out, "}");
    };
    let code = if !subresource.is_empty() {
        "101"
    } else if verb == "create" {
        "201"
    } else {
        "200"
    };
    event(out, call, nodes, "Metadata", verb, &uri, code, object, chance)
}

/// A request that is not everyday work: its object reference, and what was sent.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `create`, `list`, …
    pub verb: &'static str,
    /// API group; empty for the core one.
    pub group: &'static str,
    /// Resource, plural.
    pub resource: &'static str,
    /// Empty for what belongs to no namespace, or for all of them.
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
    /// `exec`, `token`, …
    pub subresource: &'static str,
    /// `requestObject`, where the audit policy keeps it.
    pub body: Option<String>,
}

/// A request as it says; gives the audit id.
pub fn request(out: &mut String, call: &Call<'_>, nodes: &[(String, String)], request: &Request, chance: &mut Chance) -> String {
    let Request { verb, group, resource, namespace, name, subresource, body } = request;
    let mut uri = if group.is_empty() { String::from("/api/v1") } else { format!("/apis/{group}/v1") };
    if !namespace.is_empty() {
        put!(uri, "/namespaces/", namespace);
    }
    put!(uri, "/", resource);
    for part in [name.as_str(), subresource] {
        if !part.is_empty() {
            put!(uri, "/", part);
        }
    }
    if *subresource == "exec" {
        uri.push_str("?command=%2Fbin%2Fsh&container=app&stdin=true&stdout=true&tty=true");
    }
    let object = |out: &mut String| {
        put!(out, r#"{"resource":""#, resource, "\"");
        for (key, value) in [("namespace", namespace.as_str()), ("name", name), ("apiGroup", group), ("apiVersion", "v1"), ("subresource", subresource)] {
            if !value.is_empty() {
                put!(out, ",\"", key, "\":\"", value, "\"");
            }
        }
        put!(out, "}");
        if let Some(body) = body {
            put!(out, r#","requestObject":"#, body);
        }
    };
    let code = match (*verb, *subresource) {
        (_, "exec") => "101",
        ("create", _) => "201",
        _ => "200",
    };
    event(out, call, nodes, if body.is_some() { "Request" } else { "Metadata" }, verb, &uri, code, object, chance)
}

/// Somebody asks for a token of a service account, bound to nothing (`kubectl create token`); gives the audit id and the token's `jti`.
pub fn token_for(out: &mut String, call: &Call<'_>, nodes: &[(String, String)], account: &str, chance: &mut Chance) -> (String, String) {
    let (namespace, name) = account.split_once('/').unwrap_or(("default", account));
    let jti = chance.uuid();
    let mut line = String::new();
    let id = request(
        &mut line,
        call,
        nodes,
        &Request {
            verb: "create",
            resource: "serviceaccounts",
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: "token",
            body: Some(String::from(
                r#"{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"audiences":["https://kubernetes.default.svc"],"expirationSeconds":86400,"boundObjectRef":null},"status":{"token":"","expirationTimestamp":null}}"#,
            )),
            ..Request::default()
        },
        chance,
    );
    put!(out, &line.replace(r#""annotations":{"#, &format!(r#""annotations":{{"authentication.kubernetes.io/issued-credential-id":"JTI={jti}","#)));
    (id, jti)
}

/// A kubelet asks for a pod's token (`TokenRequest`); gives the new token's `jti`.
pub fn token_request(out: &mut String, time: i64, nodes: &[(String, String)], account: &str, uid: &str, pod: &Pod, lasts: i64, chance: &mut Chance) -> String {
    let (node, address) = nodes.get(pod.node).map_or(("", ""), |n| (n.0.as_str(), n.1.as_str()));
    let (namespace, name) = account.split_once('/').unwrap_or(("default", account));
    let jti = chance.uuid();
    let id = chance.uuid();
    put!(
        out,
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":""#,
        &id,
        r#"","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/"#,
        namespace,
        "/serviceaccounts/",
        name,
        r#"/token","verb":"create","user":"#
    );
    push_user(out, &User::Node(node), nodes);
    put!(
        out,
        r#","sourceIPs":[""#,
        address,
        r#""],"userAgent":"kubelet/v1.34.1 (linux/amd64) kubernetes/66452049","objectRef":{"resource":"serviceaccounts","namespace":""#,
        namespace,
        r#"","name":""#,
        name,
        r#"","uid":""#,
        uid,
        r#"","apiVersion":"v1","subresource":"token"},"responseStatus":{"metadata":{},"code":201}"#
    );
    let mut seconds = String::new();
    clock::push_number(&mut seconds, lasts / SECOND);
    for (key, status) in [("requestObject", false), ("responseObject", true)] {
        put!(out, r#",""#, key, r#"":{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{"#);
        if status {
            put!(out, r#""name":""#, name, r#"","namespace":""#, namespace, r#"","creationTimestamp":""#);
            clock::push_seconds(out, time);
            put!(out, "\"");
        }
        put!(
            out,
            r#"},"spec":{"audiences":["https://kubernetes.default.svc"],"expirationSeconds":"#,
            &seconds,
            r#","boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":""#,
            &pod.name,
            r#"","uid":""#,
            &pod.uid,
            r#""}},"status":{"token":""#
        );
        if status {
            push_jwt(out, chance);
        }
        put!(out, r#"","expirationTimestamp":"#);
        if status {
            put!(out, "\"");
            clock::push_seconds(out, time + lasts);
            put!(out, "\"");
        } else {
            put!(out, "null");
        }
        put!(out, "}}");
    }
    put!(out, r#","requestReceivedTimestamp":""#);
    clock::push_micros(out, time);
    put!(out, r#"","stageTimestamp":""#);
    clock::push_micros(out, time + chance.range(2_000, 9_000));
    put!(
        out,
        r#"","annotations":{"authentication.kubernetes.io/issued-credential-id":"JTI="#,
        &jti,
        r#"","authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}"#
    );
    jti
}

/// Something with the shape of a token: what an audit policy that is too talkative writes down, and redaction must take out.
fn push_jwt(out: &mut String, chance: &mut Chance) {
    out.push_str("eyJhbGciOiJSUzI1NiIsImtpZCI6ImRlbW8ifQ.eyJ");
    chance.push_letters(out, crate::chance::BASE62, 80);
    out.push('.');
    chance.push_letters(out, crate::chance::BASE62, 86);
}
