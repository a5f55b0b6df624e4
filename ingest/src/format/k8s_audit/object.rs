//! What a request was about, and its canonical name: `k8s:<cluster>:<resource>/<namespace>[/<name>]`, without the namespace for what has none.

use crate::format::join::join;
use keytrail_schemas::Text;

use crate::json::Value;

/// The object of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Object<'d> {
    pub(super) resource: Option<&'d str>,
    pub(super) subresource: Option<&'d str>,
    pub(super) namespace: Option<&'d str>,
    pub(super) name: Option<&'d str>,
    pub(super) group: Option<&'d str>,
}

impl<'d> Object<'d> {
    pub(super) fn read(value: Value<'d>) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_text);
        Self { resource: text("resource"), subresource: text("subresource"), namespace: text("namespace"), name: text("name"), group: text("apiGroup") }
    }

    /// The canonical id; by the path of the request where it was about no resource.
    pub(super) fn id(&self, cluster: &str, uri: Option<&str>) -> Text {
        let Some(resource) = self.resource else {
            let path = uri.map_or("", |uri| uri.split(['?', '#']).next().unwrap_or(uri)).trim_matches('/');
            return if path.is_empty() { join(&["k8s:", cluster, ":api"]) } else { join(&["k8s:", cluster, ":api/", path]) };
        };
        let mut id = join(&["k8s:", cluster, ":", resource]);
        for part in [self.namespace, self.name.map(|name| lasting(resource, name))].into_iter().flatten() {
            id.push('/');
            id.push_str(part);
        }
        id
    }

    /// What kind of thing it is, in one word.
    pub(super) fn kind(&self) -> Text {
        match self.resource {
            None => Text::const_new("api"),
            Some("secrets") => Text::const_new("secret"),
            Some("serviceaccounts") => Text::const_new("service_account"),
            Some("configmaps") => Text::const_new("config"),
            Some("nodes") => Text::const_new("host"),
            Some(resource) => match (resource.strip_suffix("ies"), resource.strip_suffix("sses")) {
                (Some(stem), _) => join(&[stem, "y"]),
                (_, Some(stem)) => join(&[stem, "ss"]),
                _ => resource.strip_suffix('s').unwrap_or(resource).into(),
            },
        }
    }

    /// The provider's name for what was done: `secrets.get`, `pods/exec.create`, `TokenRequest.create`.
    pub(super) fn action(&self, verb: &str) -> Text {
        match (self.resource, self.subresource) {
            (Some("serviceaccounts"), Some("token")) => join(&["TokenRequest.", verb]),
            (Some(resource), Some(subresource)) => join(&[resource, "/", subresource, ".", verb]),
            (Some(resource), None) => join(&[resource, ".", verb]),
            (None, _) => join(&["nonresource.", verb]),
        }
    }
}

/// The part of a name that outlives the object: pods and the like carry generated suffixes, and a new one each day is nothing new.
fn lasting<'n>(resource: &str, name: &'n str) -> &'n str {
    match resource {
        "pods" => {
            let stem = without_generated(name, 5..=5);
            if stem.len() < name.len() { without_generated(stem, 8..=10) } else { stem }
        }
        "replicasets" | "jobs" | "endpointslices" | "controllerrevisions" => without_generated(name, 5..=10),
        // The object's name, a dot, and the time in hex.
        "events" => name.rsplit_once('.').map_or(name, |(stem, _)| lasting("pods", stem)),
        _ => name,
    }
}

/// `name` without its last hyphenated part, where that part is so long and has no letter that Kubernetes leaves out when it makes up
/// names (vowels and what looks like them: k8s.io/apimachinery `rand.String`), or is all digits.
fn without_generated(name: &str, len: std::ops::RangeInclusive<usize>) -> &str {
    match name.rsplit_once('-') {
        Some((stem, part))
            if !stem.is_empty()
                && len.contains(&part.len())
                && (part.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)) || part.bytes().all(|b| b.is_ascii_digit()) || is_hash(part)) =>
        {
            stem
        }
        _ => name,
    }
}

/// Hashes of pod templates of old clusters are decimal or hexadecimal: letters and digits mixed.
fn is_hash(part: &str) -> bool {
    part.len() >= 8 && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) && part.bytes().filter(u8::is_ascii_digit).count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_singular() {
        for (resource, kind) in [
            ("leases", "lease"),
            ("ingresses", "ingress"),
            ("networkpolicies", "networkpolicy"),
            ("pods", "pod"),
            ("secrets", "secret"),
            ("endpoints", "endpoint"),
        ] {
            assert_eq!(Object { resource: Some(resource), ..Object::default() }.kind(), kind);
        }
    }

    #[test]
    fn names_that_are_made_up_are_left_out() {
        for (resource, name, expected) in [
            ("pods", "nginx-deployment-7998647bdf-phvq7", "nginx-deployment"),
            ("pods", "coredns-57ff979f67-bl27n", "coredns"),
            ("pods", "kube-proxy-x7k2p", "kube-proxy"),
            ("pods", "postgres-0", "postgres-0"),
            ("pods", "my-nginx", "my-nginx"),
            ("replicasets", "web-7998647bdf", "web"),
            ("jobs", "backup-28471230", "backup"),
            ("events", "web-7998647bdf-phvq7.17a2b3c4d5e6f708", "web"),
            ("secrets", "db-password-x7k2p", "db-password-x7k2p"),
        ] {
            assert_eq!(lasting(resource, name), expected, "{name}");
        }
    }
}
