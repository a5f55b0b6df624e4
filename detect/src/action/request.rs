//! What a request asked for, of the kinds that matter to who gives permissions away: read from the record of the few acts that change permissions,
//! credentials, shares and workloads. Facts only; rules decide.
//!
//! Sources: AWS IAM User Guide (policy grammar, global condition keys), Kubernetes documentation (RBAC good practices, Pod Security Standards).

mod policy;
mod workload;

use keytrail_schemas::Event;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::Class;

/// Longest record that is looked into, in bytes: a longer one tells nothing.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// How deep texts of JSON within JSON are followed.
const NESTING_MAX: u8 = 3;

/// What the request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Request {
    /// It opens something to everyone: a principal `*` without a condition that narrows it, a public list, all addresses.
    pub public: bool,
    /// It names another account than the caller's.
    pub foreign_account: bool,
    /// It gives everything: an administrator's policy, all actions on all resources, `cluster-admin`.
    pub admin: bool,
    /// It gives what leads to everything: passing roles, changing policies, reading secrets, `exec`, impersonation, `nodes/proxy`.
    pub powerful: bool,
    /// The workload reaches the node that it runs on: privileged, a namespace or path of the host, a capability that is as good.
    pub host_access: bool,
    /// It opens a port of administration: SSH, RDP, or all.
    pub admin_port: bool,
    /// The identity does it to itself.
    pub on_itself: bool,
}

/// Looks into an event's record, if its class is one for which that tells something.
#[must_use]
pub fn read(event: &Event, class: Class) -> Option<Request> {
    let (cloudtrail, k8s) = (event.format == "cloudtrail", event.format == "k8s_audit");
    let worth = match class {
        Class::Permission | Class::Share => cloudtrail || k8s,
        Class::Credential => cloudtrail,
        Class::Execution => k8s || event.action.as_deref().is_some_and(|action| action.starts_with("lambda:") && !action.starts_with("lambda:Invoke")),
        _ => false,
    };
    if !worth {
        return None;
    }
    let mut request = Request { on_itself: on_itself(event), ..Request::default() };
    let Some(raw) = event.raw.as_deref().filter(|raw| raw.len() <= RECORD_BYTES_MAX) else { return Some(request) };
    let Ok(Parts(record)) = serde_json::from_str::<Parts>(raw) else { return Some(request) };
    if cloudtrail {
        // What is read from within an envelope is the whole of it.
        let parameters = record.get("requestParameters").or_else(|| record.get("detail")?.get("requestParameters")).or_else(|| record.get("requestparameters"));
        if let Some(parameters) = parameters {
            policy::read(parameters, &event.identity_account, &mut request);
        }
    } else {
        let of_cloud = |name| record.get("protoPayload").and_then(|payload| payload.get(name));
        let object = record.get("requestObject").or_else(|| of_cloud("request")).or_else(|| record.get("responseObject")).or_else(|| of_cloud("response"));
        if let Some(object) = object {
            workload::read(object, &mut request);
        }
    }
    Some(request)
}

/// Keys of a record under which a request stands: nothing else of it is built.
const PARTS: [&str; 6] = ["requestParameters", "detail", "requestparameters", "requestObject", "protoPayload", "responseObject"];

/// A key, if it is one of [`PARTS`].
struct Part(Option<&'static str>);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Part;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<Part, E> {
                Ok(Part(PARTS.into_iter().find(|part| *part == key)))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// What a record holds under [`PARTS`].
struct Parts(Map<String, Value>);

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Parts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
                let mut parts = Map::new();
                while let Some(Part(part)) = map.next_key()? {
                    match part {
                        Some(part) => drop(parts.insert(part.to_owned(), map.next_value()?)),
                        None => drop(map.next_value::<de::IgnoredAny>()?),
                    }
                }
                Ok(Parts(parts))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

/// Whether the destination is the identity itself: `aws:1:user/a` on `aws:iam/user/a`.
fn on_itself(event: &Event) -> bool {
    let Some(name) = event.destination.as_deref().and_then(|destination| destination.strip_prefix("aws:iam/")) else { return false };
    event.identity.rsplit_once(':').is_some_and(|(_, own)| own == name)
}

/// A text that is JSON itself, as policies are written into requests.
fn within(text: &str) -> Option<Value> {
    let text = text.trim_start();
    if text.starts_with(['{', '[']) {
        return serde_json::from_str(text).ok();
    }
    text.starts_with("%7B").then(|| unescaped(text)).and_then(|text| serde_json::from_str(&text).ok())
}

/// Percent-decoding (RFC 3986), as IAM answers with policies.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The texts of a value that is a text or a list of them.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    value.and_then(Value::as_str).into_iter().chain(list.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests;
