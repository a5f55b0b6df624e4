//! Kubernetes objects: pods and what makes them, roles, bindings.

use serde_json::Value;

use super::{Request, texts};

/// Capabilities that are as good as the node.
const CAPABILITIES: &[&str] = &["ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH", "DAC_OVERRIDE", "SYS_RAWIO", "NET_ADMIN", "BPF"];
/// Paths of the node that lead to it; below `/` each leads there.
const PATHS: &[&str] = &[
    "/",
    "/etc",
    "/root",
    "/proc",
    "/sys",
    "/dev",
    "/home",
    "/var",
    "/var/run",
    "/run",
    "/var/lib",
    "/var/lib/kubelet",
    "/var/log",
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run/containerd",
    "/run/containerd",
    "/run/containerd/containerd.sock",
    "/var/run/crio/crio.sock",
    "/etc/kubernetes",
    "/etc/kubernetes/pki",
    "/etc/kubernetes/manifests",
    "/var/lib/etcd",
    "/etc/shadow",
    "/etc/passwd",
    "/boot",
    "/lib/modules",
];
/// Resources whose use leads further, and the verbs with which it does.
const POWERFUL: &[(&str, &[&str])] = &[
    ("secrets", &["get", "list", "watch", "*"]),
    ("pods/exec", &["create", "get", "*"]),
    ("pods/attach", &["create", "get", "*"]),
    ("pods/ephemeralcontainers", &["update", "patch", "*"]),
    ("pods", &["create", "*"]),
    ("daemonsets", &["create", "*"]),
    ("nodes/proxy", &["get", "create", "*"]),
    ("nodes/*", &["get", "create", "*"]),
    ("serviceaccounts/token", &["create", "*"]),
    ("serviceaccounts", &["impersonate", "*"]),
    ("users", &["impersonate", "*"]),
    ("groups", &["impersonate", "*"]),
    ("clusterroles", &["escalate", "bind", "*"]),
    ("roles", &["escalate", "bind", "*"]),
    ("clusterrolebindings", &["create", "update", "patch", "*"]),
    ("rolebindings", &["create", "update", "patch", "*"]),
    ("certificatesigningrequests/approval", &["update", "patch", "*"]),
    ("mutatingwebhookconfigurations", &["create", "update", "patch", "*"]),
];
/// Cluster roles that give everything in their scope.
const ADMIN_ROLES: &[&str] =
    &["cluster-admin", "admin", "system:masters", "system:kube-controller-manager", "system:controller:clusterrole-aggregation-controller"];

pub(super) fn read(object: &Value, request: &mut Request) {
    for spec in ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"].iter().filter_map(|at| object.pointer(at)) {
        pod(spec, request);
    }
    list(object.get("rules")).for_each(|rule| permission(rule, request));
    if let Some(role) = object.get("roleRef") {
        binding(role, object, request);
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn pod(spec: &Value, request: &mut Request) {
    let yes = |value: &Value, key: &str| value.get(key).and_then(Value::as_bool) == Some(true);
    request.host_access |= ["hostPID", "hostIPC", "hostNetwork"].into_iter().any(|key| yes(spec, key));
    for container in ["containers", "initContainers", "ephemeralContainers"].iter().flat_map(|key| list(spec.get(key))) {
        let Some(context) = container.get("securityContext") else { continue };
        let added = || texts(context.pointer("/capabilities/add")).map(|name| name.trim_start_matches("CAP_"));
        request.host_access |= yes(context, "privileged") || added().any(|name| CAPABILITIES.contains(&name));
    }
    for path in list(spec.get("volumes")).filter_map(|volume| volume.pointer("/hostPath/path")).filter_map(Value::as_str) {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        request.host_access |= PATHS.contains(&path) || path.contains("..");
    }
}

fn permission(rule: &Value, request: &mut Request) {
    let (verbs, resources) = (|| texts(rule.get("verbs")), || texts(rule.get("resources")));
    let any = |mut of: Box<dyn Iterator<Item = &str> + '_>| of.any(|word| word == "*");
    let (all_verbs, all_resources) = (any(Box::new(verbs())), any(Box::new(resources())));
    request.admin |= all_verbs && all_resources;
    request.powerful |= all_resources && verbs().any(|verb| !matches!(verb, "get" | "list" | "watch"))
        || all_resources && verbs().any(|verb| matches!(verb, "get" | "list")) && texts(rule.get("apiGroups")).any(|group| matches!(group, "" | "*"))
        || resources().any(|resource| POWERFUL.iter().any(|(known, with)| *known == resource && verbs().any(|verb| with.contains(&verb))))
        || verbs().any(|verb| matches!(verb, "impersonate" | "escalate" | "bind"));
}

fn binding(role: &Value, object: &Value, request: &mut Request) {
    let name = role.get("name").and_then(Value::as_str).unwrap_or_default();
    request.admin |= ADMIN_ROLES.contains(&name) && role.get("kind").and_then(Value::as_str) != Some("Role");
    request.powerful |= name == "edit" || name.starts_with("system:controller:");
    for subject in list(object.get("subjects")) {
        let who = subject.get("name").and_then(Value::as_str).unwrap_or_default();
        request.public |= matches!(who, "system:anonymous" | "system:unauthenticated" | "system:authenticated" | "system:serviceaccounts");
        request.admin |= who == "system:masters";
    }
}
