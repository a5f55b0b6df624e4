//! What a name says of who stands behind it: providers that believe one another name the same machine after what the other vouched for, so the name
//! itself, which came from a verified record, is the proof.
//!
//! | name | stands for |
//! |---|---|
//! | `k8s:<cluster>:sa/<namespace>/<name>` | the service account, in its own cluster |
//! | `…/system:serviceaccount:<namespace>:<name>` (AWS web identity, Google pool, Entra federated credential, Vault JWT) | the service account |
//! | `…svc.id.goog[<namespace>/<name>]` (Google's workload identity for GKE) | the service account |
//! | `vault:<cluster>:kubernetes…/<namespace>/<name>` | the service account |
//! | `…/repo:<owner>/<repository>:…` (GitHub's and GitLab's tokens for jobs, wherever they are taken) | the repository's pipeline |
//! | `vault:<cluster>:aws/arn:aws:…:assumed-role/<role>`, `gcp:<project>:pool/<pool>/subject/arn:aws:…` (Google's pools that believe an AWS account) | `aws:<account>:role/<role>` |
//! | `vault:<cluster>:gcp/<address>` | `gcp:<project>:sa/<address>` |

/// Who stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// A Kubernetes service account: namespace and name.
    ServiceAccount(String, String),
    /// A forge's pipeline: owner and repository.
    Pipeline(String),
    /// A role or user of AWS, by its own name here.
    Aws(String),
    /// A service account of Google's, by its address.
    Google(String),
}

/// Where a name comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    /// The machine's own provider, and which one of its kind (the cluster).
    Home(String),
    /// A provider that believed this issuer's token.
    Issuer(String),
    /// A provider that believed somebody it does not name.
    Elsewhere,
}

impl Subject {
    /// Of a name, if it says so.
    pub(crate) fn of(name: &str) -> Option<(Self, From)> {
        let (provider, rest) = name.split_once(':')?;
        if let Some((head, who)) = name.split_once("/system:serviceaccount:") {
            let (namespace, account) = who.split_once(':')?;
            return Some((Self::ServiceAccount(namespace.into(), account.into()), issuer(head)));
        }
        if let Some((_, who)) = name.split_once(".svc.id.goog[") {
            let (namespace, account) = who.strip_suffix(']')?.split_once('/')?;
            return Some((Self::ServiceAccount(namespace.into(), account.into()), From::Elsewhere));
        }
        if let Some((head, job)) = name.split_once("/repo:").or_else(|| name.split_once("/project_path:")) {
            let repository = job.split(':').next().filter(|repository| repository.contains('/'))?;
            return Some((Self::Pipeline(repository.to_lowercase()), issuer(head)));
        }
        match provider {
            "k8s" => {
                let (cluster, who) = rest.split_once(":sa/")?;
                let (namespace, account) = who.split_once('/')?;
                Some((Self::ServiceAccount(namespace.into(), account.into()), From::Home(cluster.into())))
            }
            "aws" => {
                let (_, resource) = rest.split_once(':')?;
                let is_named = resource.starts_with("role/") || resource.starts_with("user/");
                is_named.then(|| (Self::Aws(name.into()), From::Home(String::new())))
            }
            "gcp" if rest.contains("/subject/arn:") => {
                rest.split_once("/subject/").and_then(|(_, who)| arn(who)).map(|name| (Self::Aws(name), From::Elsewhere))
            }
            "gcp" => rest.split_once(":sa/").map(|(_, address)| (Self::Google(address.into()), From::Home(String::new()))),
            "vault" => {
                let (mount, who) = rest.split_once(':')?.1.split_once('/')?;
                match mount {
                    "aws" => arn(who).map(|name| (Self::Aws(name), From::Elsewhere)),
                    "gcp" if who.ends_with("gserviceaccount.com") => Some((Self::Google(who.into()), From::Elsewhere)),
                    _ if mount.contains("kube") || mount.contains("k8s") => {
                        let (namespace, account) = who.split_once('/')?;
                        Some((Self::ServiceAccount(namespace.into(), account.into()), From::Elsewhere))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The issuer that stands last in the beginning of a federated name: `aws:1:web-identity/<issuer>`, `federated:<issuer>`.
fn issuer(head: &str) -> From {
    let named = head.split_once(":web-identity/").map(|(_, issuer)| issuer).or_else(|| head.strip_prefix("federated:"));
    named.map_or(From::Elsewhere, |issuer| From::Issuer(plain(issuer)))
}

/// An issuer without its scheme and a slash at its end.
pub(crate) fn plain(issuer: &str) -> String {
    issuer.trim_start_matches("https://").trim_end_matches('/').to_lowercase()
}

/// The name here of an ARN's role or user.
fn arn(text: &str) -> Option<String> {
    let mut parts = text.splitn(6, ':').skip(4);
    let (account, resource) = (parts.next()?, parts.next()?);
    let (kind, name) = resource.split_once('/')?;
    let name = match kind {
        "assumed-role" => name.split('/').next()?,
        "role" | "user" => name.rsplit('/').next()?,
        _ => return None,
    };
    Some(format!("aws:{account}:{}/{name}", if kind == "user" { "user" } else { "role" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_stands_behind_them() {
        let account = || Subject::ServiceAccount("payments".into(), "api".into());
        let oidc = "oidc.eks.eu-west-1.amazonaws.com/id/ab12";
        for (name, subject, from) in [
            ("k8s:prod:sa/payments/api", account(), From::Home("prod".into())),
            ("aws:1:web-identity/oidc.eks.eu-west-1.amazonaws.com/id/AB12/system:serviceaccount:payments:api", account(), From::Issuer(oidc.into())),
            ("federated:https://oidc.eks.eu-west-1.amazonaws.com/id/AB12/system:serviceaccount:payments:api", account(), From::Issuer(oidc.into())),
            ("gcp:12:pool/eks/subject/system:serviceaccount:payments:api", account(), From::Elsewhere),
            ("gcp:acme:sa/acme.svc.id.goog[payments/api]", account(), From::Elsewhere),
            ("vault:works:kubernetes-prod/payments/api", account(), From::Elsewhere),
            (
                "aws:1:web-identity/token.actions.githubusercontent.com/repo:Acme/App:ref:refs/heads/main",
                Subject::Pipeline("acme/app".into()),
                From::Issuer("token.actions.githubusercontent.com".into()),
            ),
            ("gcp:12:pool/github/subject/repo:acme/app:environment:prod", Subject::Pipeline("acme/app".into()), From::Elsewhere),
            ("vault:works:aws/arn:aws:sts::111:assumed-role/build", Subject::Aws("aws:111:role/build".into()), From::Elsewhere),
            ("vault:works:aws/arn:aws:iam::111:role/team/build", Subject::Aws("aws:111:role/build".into()), From::Elsewhere),
            ("gcp:12:pool/aws/subject/arn:aws:sts::111:assumed-role/build/i-0ab", Subject::Aws("aws:111:role/build".into()), From::Elsewhere),
            ("aws:111:role/build", Subject::Aws("aws:111:role/build".into()), From::Home(String::new())),
            ("vault:works:gcp/ci@acme.iam.gserviceaccount.com", Subject::Google("ci@acme.iam.gserviceaccount.com".into()), From::Elsewhere),
        ] {
            assert_eq!(Subject::of(name), Some((subject, from)), "{name}");
        }
        for name in [
            "gcp:12:pool/aws/subject/arn:aws:iam::111:root",
            "vault:works:approle/ci",
            "vault:works:cert/web/api",
            "aws:1:root",
            "zeek:lab:host/10.0.0.1",
            "k8s:prod:user/ann",
            "x",
            "",
        ] {
            assert_eq!(Subject::of(name), None, "{name}");
        }
    }
}
