//! Who a principal of Google Cloud is: `gcp:<project>:sa/<address>`, `gcp:<domain>:user/<address>`, `gcp:<project>:pool/<pool>/<subject>`.

use keytrail_schemas::{Event, IdentityKind, Text};

use crate::format::join::join;
use crate::format::kit::by;

/// A principal.
pub(super) enum Who<'a> {
    /// A service account, by its address.
    Account(&'a str),
    /// A person, by the address.
    Person(&'a str),
    /// A workload of another provider: project number, pool, subject.
    Federated(&'a str, &'a str, &'a str),
    /// Of another kind: a Kubernetes name, a domain-wide set.
    Other(&'a str),
    /// Nobody is named: public access.
    Anonymous(&'a str),
}

impl<'a> Who<'a> {
    /// Whom a record names, by address or by subject; `project` is where it acted.
    pub(super) fn of(email: Option<&'a str>, subject: Option<&'a str>, project: &'a str) -> Self {
        let named =
            email.or_else(|| subject.map(|subject| subject.strip_prefix("serviceAccount:").or_else(|| subject.strip_prefix("user:")).unwrap_or(subject)));
        match named {
            None => Self::Anonymous(project),
            Some(name) if name.starts_with("principal:") || name.starts_with("principalSet:") => federated(name).unwrap_or(Self::Other(name)),
            Some(name) if name.ends_with("gserviceaccount.com") => Self::Account(name),
            Some(name) if subject.is_some_and(|subject| subject.starts_with("serviceAccount:")) => Self::Account(name),
            Some(name) if name.contains('@') => Self::Person(name),
            Some(name) => Self::Other(name),
        }
    }

    /// Makes `event` one of this principal.
    pub(super) fn name(&self, event: &mut Event) {
        match self {
            Self::Account(address) => by(event, "gcp", account(address), "sa", address, IdentityKind::Service),
            Self::Person(address) => {
                let address = address.to_lowercase();
                by(event, "gcp", address.rsplit('@').next().unwrap_or_default(), "user", &address, IdentityKind::Human);
            }
            Self::Federated(project, pool, subject) => by(event, "gcp", project, "pool", &join(&[pool, "/", subject]), IdentityKind::Workload),
            Self::Other(name) => {
                event.identity = join(&["gcp:", name]);
                event.identity_kind = IdentityKind::Unknown;
                event.identity_provider = Text::const_new("gcp");
            }
            Self::Anonymous(project) => by(event, "gcp", project, "principal", "anonymous", IdentityKind::Unknown),
        }
    }
}

/// `principal://iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/subject/SUBJECT`.
fn federated(name: &str) -> Option<Who<'_>> {
    let rest = name.split_once("/projects/").or_else(|| name.split_once("/locations/"))?.1;
    let (project, _) = rest.split_once('/')?;
    let (pool, subject) = rest.split_once("Pools/")?.1.split_once('/')?;
    Some(Who::Federated(project, pool, subject))
}

/// The project that an account belongs to, by its address: `name@PROJECT.iam.gserviceaccount.com`, `PROJECT@appspot.…`, `NUMBER-compute@developer.…`.
fn account(address: &str) -> &str {
    // PROJECT.svc.id.goog[namespace/name]: a service account of Kubernetes.
    if let Some((project, _)) = address.split_once(".svc.id.goog[") {
        return project;
    }
    let (name, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    match domain.strip_suffix(".gserviceaccount.com").unwrap_or(domain) {
        "appspot" | "cloudservices" | "cloudbuild" => name,
        "developer" => name.strip_suffix("-compute").unwrap_or(name),
        other => other.strip_suffix(".iam").unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_named_by_where_they_belong() {
        let named = |email, subject| {
            let mut event = Event::default();
            Who::of(email, subject, "here").name(&mut event);
            (event.identity.to_string(), event.identity_kind)
        };
        let pool = "principal://iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/github/subject/repo:acme/app:ref:refs/heads/main";
        for (email, subject, identity, kind) in [
            (Some("ci@acme.iam.gserviceaccount.com"), None, "gcp:acme:sa/ci@acme.iam.gserviceaccount.com", IdentityKind::Service),
            (Some("12-compute@developer.gserviceaccount.com"), None, "gcp:12:sa/12-compute@developer.gserviceaccount.com", IdentityKind::Service),
            (Some("Ann@example.com"), Some("user:Ann@example.com"), "gcp:example.com:user/ann@example.com", IdentityKind::Human),
            (None, Some("serviceAccount:x@y.iam.gserviceaccount.com"), "gcp:y:sa/x@y.iam.gserviceaccount.com", IdentityKind::Service),
            (None, Some(pool), "gcp:12:pool/github/subject/repo:acme/app:ref:refs/heads/main", IdentityKind::Workload),
            (None, Some("serviceAccount:acme.svc.id.goog[pay/api]"), "gcp:acme:sa/acme.svc.id.goog[pay/api]", IdentityKind::Service),
            (None, None, "gcp:here:principal/anonymous", IdentityKind::Unknown),
        ] {
            assert_eq!(named(email, subject), (identity.to_owned(), kind));
        }
    }
}
