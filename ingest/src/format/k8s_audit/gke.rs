//! The Kubernetes audit of GKE, as Cloud Audit Logs write it: a `LogEntry` whose `protoPayload` is an `AuditLog` of the service `k8s.io`.
//!
//! Source: Google Cloud documentation, "`AuditLog`", "GKE audit logs". The method names resource and verb
//! (`io.k8s.core.v1.pods.create`), the resource name all else (`core/v1/namespaces/default/pods/web`).

use keytrail_schemas::{Outcome, Text};

use super::object::Object;
use super::request::{Request, User};
use crate::format::{Reject, utc_time};
use crate::json::Value;

/// Whether this is such an entry.
pub(super) fn is_record(value: Value<'_>) -> bool {
    value
        .get("protoPayload")
        .is_some_and(|payload| payload.str_at(&["serviceName"]) == Some("k8s.io") || payload.str_at(&["methodName"]).is_some_and(|m| m.starts_with("io.k8s.")))
}

pub(super) fn read<'d>(value: Value<'d>, cluster: &Text) -> Result<Request<'d>, Reject> {
    let payload = value.get("protoPayload").ok_or_else(|| Reject::malformed("protoPayload", "no protoPayload"))?;
    let method = payload.str_at(&["methodName"]).ok_or_else(|| Reject::malformed("protoPayload.methodName", "no methodName"))?;
    let user = payload
        .str_at(&["authenticationInfo", "principalEmail"])
        .or_else(|| payload.str_at(&["authenticationInfo", "principalSubject"]))
        .ok_or_else(|| Reject::no_identity("protoPayload.authenticationInfo.principalEmail", "no principalEmail"))?;
    let written = value.str_at(&["timestamp"]).or_else(|| payload.str_at(&["timestamp"])).or_else(|| value.str_at(&["receiveTimestamp"]));
    let time = written.and_then(utc_time).ok_or_else(|| Reject::no_time("timestamp", written))?;
    let (outcome, reason) = outcome(payload);
    Ok(Request {
        id: value.str_at(&["insertId"]),
        cluster: value.str_at(&["resource", "labels", "cluster_name"]).map_or_else(|| cluster.clone(), Into::into),
        time,
        verb: method.rsplit('.').next().unwrap_or(method),
        user: User::new(user),
        impersonated: None,
        source_ip: payload.str_at(&["requestMetadata", "callerIp"]).or_else(|| payload.str_at(&["requestMetadata", "callerIP"])),
        user_agent: payload.str_at(&["requestMetadata", "callerSuppliedUserAgent"]),
        object: object(method, payload.str_at(&["resourceName"])),
        uri: payload.str_at(&["resourceName"]),
        outcome,
        reason,
        request: payload.get("request"),
        response: payload.get("response"),
        annotations: value.get("labels"),
    })
}

fn object<'d>(method: &'d str, resource_name: Option<&'d str>) -> Object<'d> {
    let mut object = Object::default();
    // io.k8s.<group>.<version>.<resource>[.<subresource>].<verb>; the group may hold dots itself.
    let mut words = method.rsplit('.').skip(1);
    let resource_name = resource_name.unwrap_or_default();
    let parts: Vec<&str> = resource_name.split('/').filter(|p| !p.is_empty()).collect();
    // <group>/<version>/[namespaces/<namespace>/]<resource>[/<name>[/<subresource>]]
    let rest = match parts.get(2..) {
        Some(["namespaces", namespace, rest @ ..]) if !rest.is_empty() => {
            object.namespace = Some(namespace);
            rest
        }
        Some(rest) => rest,
        None => &[],
    };
    object.group = parts.first().copied().filter(|group| *group != "core");
    object.resource = rest.first().copied().or_else(|| words.next());
    object.name = rest.get(1).copied();
    object.subresource = rest.get(2).copied();
    object
}

fn outcome(payload: Value<'_>) -> (Outcome, Option<&str>) {
    /// google.rpc.Code
    const PERMISSION_DENIED: i64 = 7;
    const UNAUTHENTICATED: i64 = 16;
    let message = payload.str_at(&["status", "message"]);
    let refused = payload.get("authorizationInfo").is_some_and(|infos| infos.items().any(|info| info.get("granted").and_then(Value::as_bool) == Some(false)));
    match payload.at(&["status", "code"]).and_then(Value::as_i64) {
        Some(PERMISSION_DENIED | UNAUTHENTICATED) => (Outcome::Denied, message.or(Some("PERMISSION_DENIED"))),
        _ if refused => (Outcome::Denied, message.or(Some("PERMISSION_DENIED"))),
        Some(1..) => (Outcome::Failure, message),
        _ => (Outcome::Success, None),
    }
}
