//! One request to the API server, as an audit event tells of it, native or in the form of GKE.

use keytrail_schemas::{Micros, Outcome, Text};

use super::{gke, object::Object};
use crate::format::{Reject, utc_time};
use crate::json::Value;

/// A request.
pub(super) struct Request<'d> {
    pub(super) id: Option<&'d str>,
    pub(super) cluster: Text,
    pub(super) time: Micros,
    pub(super) verb: &'d str,
    pub(super) user: User<'d>,
    pub(super) impersonated: Option<User<'d>>,
    pub(super) source_ip: Option<&'d str>,
    pub(super) user_agent: Option<&'d str>,
    pub(super) object: Object<'d>,
    pub(super) uri: Option<&'d str>,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<&'d str>,
    pub(super) request: Option<Value<'d>>,
    pub(super) response: Option<Value<'d>>,
    pub(super) annotations: Option<Value<'d>>,
}

/// Who a request came from, or whom it was made as.
#[derive(Clone, Copy)]
pub(super) struct User<'d> {
    pub(super) name: &'d str,
    extra: Option<Value<'d>>,
}

impl<'d> User<'d> {
    pub(super) fn new(name: &'d str) -> Self {
        Self { name, extra: None }
    }

    fn read(value: Value<'d>) -> Option<Self> {
        let name = value.str_at(&["username"]).or_else(|| value.str_at(&["userName"])).or_else(|| value.str_at(&["uid"]))?;
        Some(Self { name, extra: value.get("extra") })
    }

    /// The first value of an extra attribute; some stores write `/` and `.` in keys in words.
    pub(super) fn extra(&self, key: &str) -> Option<&'d str> {
        let found = self
            .extra?
            .entries()
            .find(|(k, _)| *k == key || (k.len() > key.len() && k.contains("_slash_") && k.replace("_slash_", "/").replace('_', ".") == key))?
            .1;
        found.as_text().or_else(|| found.items().next()?.as_text())
    }
}

impl<'d> Request<'d> {
    /// Reads an event; `None` when its stage says nothing yet.
    pub(super) fn read(value: Value<'d>, cluster: &Text) -> Result<Option<Self>, Reject> {
        if gke::is_record(value) {
            return gke::read(value, cluster).map(Some);
        }
        if value.get("protoPayload").is_some() {
            return Err(Reject::wrong_kind("a Google Cloud audit entry of another service than the Kubernetes API"));
        }
        if !super::is_record(value) {
            return Err(Reject::wrong_kind("no Kubernetes audit event: kind is not Event, or it has neither auditID nor verb"));
        }
        let text = |key: &str| value.get(key).and_then(Value::as_text);
        let object = value.get("objectRef").map(Object::read).unwrap_or_default();
        let verb = text("verb").unwrap_or("unknown");
        if !stage_yields(text("stage"), verb, &object) {
            return Ok(None);
        }
        let user = value.get("user").and_then(User::read).ok_or_else(|| Reject::no_identity("user.username", "no user.username"))?;
        let annotations = value.get("annotations");
        let status = value.get("responseStatus");
        let (outcome, reason) = outcome(text("stage"), status, annotations);
        Ok(Some(Self {
            id: text("auditID"),
            cluster: cluster.clone(),
            time: time(value)?,
            verb,
            user,
            impersonated: value.get("impersonatedUser").and_then(User::read),
            source_ip: value.get("sourceIPs").and_then(|ips| ips.items().next()).and_then(Value::as_text),
            user_agent: text("userAgent"),
            object,
            uri: text("requestURI"),
            outcome,
            reason,
            request: value.get("requestObject"),
            response: value.get("responseObject"),
            annotations,
        }))
    }

    /// An annotation of the event.
    pub(super) fn annotation(&self, key: &str) -> Option<&'d str> {
        annotation(self.annotations, key)
    }
}

fn annotation<'d>(annotations: Option<Value<'d>>, key: &str) -> Option<&'d str> {
    annotations?.get(key)?.as_text()
}

fn stage_yields(stage: Option<&str>, verb: &str, object: &Object<'_>) -> bool {
    match stage {
        Some("RequestReceived") => false,
        Some("ResponseStarted") => verb != "watch" && object.subresource.is_some(),
        _ => true,
    }
}

/// The time of the stage, for that is the order of the log; else when the request came.
fn time(value: Value<'_>) -> Result<Micros, Reject> {
    let mut met = None;
    for key in ["stageTimestamp", "requestReceivedTimestamp", "timestamp"] {
        if let Some(text) = value.get(key).and_then(Value::as_text) {
            match utc_time(text) {
                Some(time) => return Ok(time),
                None => met = met.or(Some((key, text))),
            }
        }
    }
    Err(met.map_or_else(|| Reject::no_time("stageTimestamp", None), |(key, text)| Reject::no_time(key, Some(text))))
}

fn outcome<'d>(stage: Option<&str>, status: Option<Value<'d>>, annotations: Option<Value<'d>>) -> (Outcome, Option<&'d str>) {
    let text = |key: &str| status.and_then(|s| s.get(key)).and_then(Value::as_text);
    let said = text("reason").or_else(|| text("message"));
    if annotation(annotations, "authorization.k8s.io/decision") == Some("forbid") {
        return (Outcome::Denied, said.or_else(|| annotation(annotations, "authorization.k8s.io/reason")).or(Some("forbid")));
    }
    let code = status.and_then(|s| s.get("code")).and_then(|code| code.as_i64().or_else(|| code.as_str()?.parse().ok()));
    match code {
        _ if stage == Some("Panic") => (Outcome::Failure, said.or(Some("Panic"))),
        Some(401) => (Outcome::Denied, said.or(Some("Unauthorized"))),
        Some(403) => (Outcome::Denied, said.or(Some("Forbidden"))),
        Some(400..) => (Outcome::Failure, said),
        Some(1..) => (Outcome::Success, None),
        _ => (Outcome::Unknown, said),
    }
}
