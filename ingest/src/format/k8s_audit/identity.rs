//! Who a user name of Kubernetes stands for.

use crate::format::join::join;
use keytrail_schemas::{IdentityKind, Text};

/// An identity of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: Text,
    pub(super) kind: IdentityKind,
}

/// The identity behind a user name: `sa/<namespace>/<name>`, `node/<name>`, or `user/<name>`.
pub(super) fn of(cluster: &str, user: &str) -> Identity {
    if let Some((namespace, name)) = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        return service_account(cluster, namespace, name);
    }
    if let Some(node) = user.strip_prefix("system:node:") {
        return Identity { id: join(&["k8s:", cluster, ":node/", node]), kind: IdentityKind::Device };
    }
    Identity { id: join(&["k8s:", cluster, ":user/", user]), kind: user_kind(user) }
}

/// A service account.
pub(super) fn service_account(cluster: &str, namespace: &str, name: &str) -> Identity {
    Identity { id: join(&["k8s:", cluster, ":sa/", namespace, "/", name]), kind: IdentityKind::Service }
}

/// Components of the control plane and cloud service accounts are services, mail addresses are people; of other names nothing is known.
fn user_kind(user: &str) -> IdentityKind {
    const SERVICES: &[&str] = &["system:", "eks:", "aks", "gke-", "kube-", "gcp:"];
    if user == "system:anonymous" {
        IdentityKind::Unknown
    } else if user.ends_with(".gserviceaccount.com") || SERVICES.iter().any(|prefix| user.starts_with(prefix)) || matches!(user, "kubelet" | "masterclient") {
        IdentityKind::Service
    } else if user.contains('@') {
        IdentityKind::Human
    } else {
        IdentityKind::Unknown
    }
}
