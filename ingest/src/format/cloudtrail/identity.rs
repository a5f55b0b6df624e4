//! Who acted: the canonical identity behind a `userIdentity` element.
//!
//! | type | identity |
//! |---|---|
//! | `IAMUser` | `aws:<account>:user/<name>` |
//! | `AssumedRole`, `Role` | `aws:<account>:role/<name>`, the session's name in `session` |
//! | `Root` | `aws:<account>:root` |
//! | `FederatedUser` | `aws:<account>:federated-user/<name>` |
//! | `WebIdentityUser`, `SAMLUser` | `aws:<account>:web-identity/<provider>/<user>`, `aws:<account>:saml/<provider>/<user>` |
//! | `IdentityCenterUser` | `aws:<account>:identity-center/<user id>` |
//! | `AWSAccount` | `aws:<account>:principal/<unique id>`, `aws:<account>:account` without one, `aws:anonymous` for nobody |
//! | `AWSService` | `aws:service/<host name>` |
//!
//! IAM paths are left out: a name is unique in its account without them, and requests carry the name alone.

use compact_str::format_compact;
use keytrail_schemas::{CredentialKind, Event, IdentityKind, Text};

use super::arn::{Arn, last_segment};
use super::record::Record;
use crate::format::Reject;
use crate::format::join::join;

/// The account where none is known.
const ACCOUNT_UNKNOWN: &str = "unknown";

/// Who acted.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    pub(super) identity: Text,
    pub(super) kind: IdentityKind,
    pub(super) account: Text,
    pub(super) session: Option<Text>,
    /// Who or what the session was obtained with, where the record says so.
    pub(super) parent: Option<Text>,
}

impl Principal {
    pub(super) fn of(record: &Record<'_>) -> Result<Self, Reject> {
        let user = &record.user;
        let arn = user.arn.and_then(Arn::parse);
        let account = user
            .account
            .or_else(|| arn.map(|a| a.account).filter(|a| !a.is_empty()))
            .or(user.issuer_account)
            .or(record.recipient_account)
            .unwrap_or(ACCOUNT_UNKNOWN);
        let named = |identity: Text, kind| Self { identity, kind, account: account.into(), session: None, parent: None };
        let person_or = |kind| if record.is_from_console() { IdentityKind::Human } else { kind };
        let name = user.name.or_else(|| arn.map(|a| last_segment(a.resource)));
        let session_of_id = user.principal_id.and_then(|id| id.split_once(':')).map(|(_, session)| session).filter(|s| !s.is_empty());
        let found = match user.kind.unwrap_or_else(|| kind_of_arn(arn)) {
            "IAMUser" => name.or(user.principal_id).map(|name| named(join(&["aws:", account, ":user/", name]), person_or(IdentityKind::Service))),
            "AssumedRole" | "Role" => {
                let assumed = arn.and_then(|a| a.resource.strip_prefix("assumed-role/")).and_then(|rest| rest.split_once('/'));
                let role = user
                    .issuer_name
                    .or_else(|| user.issuer_arn.and_then(Arn::parse).map(|a| last_segment(a.resource)))
                    .or_else(|| assumed.map(|(role, _)| role))
                    .or_else(|| arn.filter(|a| a.service == "iam").map(|a| last_segment(a.resource)))
                    .or(user.name)
                    .or_else(|| user.principal_id.map(|id| id.split(':').next().unwrap_or(id)))
                    .or(user.arn);
                role.map(|role| {
                    let session = assumed.map(|(_, session)| session).or(session_of_id);
                    let mut principal = Self::role(account, role, session);
                    if record.is_from_console() {
                        principal.kind = IdentityKind::Human;
                    }
                    principal.parent = user.federated_provider.map(Into::into);
                    principal
                })
            }
            "Root" => Some(named(format_compact!("aws:{account}:root"), IdentityKind::Human)),
            "FederatedUser" => name.or(session_of_id).map(|name| {
                let parent = user.issuer_arn.and_then(Arn::parse).map(|issuer| identity_of(issuer, account));
                Self { parent, ..named(format_compact!("aws:{account}:federated-user/{name}"), person_or(IdentityKind::Service)) }
            }),
            "WebIdentityUser" => external(record)
                .map(|(provider, user)| named(format_compact!("aws:{account}:web-identity/{provider}/{user}"), web_identity_kind(provider, user))),
            "SAMLUser" => external(record).map(|(provider, user)| named(format_compact!("aws:{account}:saml/{provider}/{user}"), IdentityKind::Human)),
            "IdentityCenterUser" => user
                .on_behalf_of
                .or(user.principal_id)
                .or(user.name)
                .map(|id| named(format_compact!("aws:{account}:identity-center/{id}"), IdentityKind::Human)),
            "AWSService" => user.invoked_by.or(record.event_source).map(service),
            "AWSAccount" if account == "ANONYMOUS_PRINCIPAL" || account.eq_ignore_ascii_case("anonymous") => Some(Self {
                identity: Text::const_new("aws:anonymous"),
                kind: IdentityKind::Unknown,
                account: Text::const_new("anonymous"),
                session: None,
                parent: None,
            }),
            "AWSAccount" => Some(match user.principal_id.map(|id| id.split(':').next().unwrap_or(id)) {
                Some(id) if id != account && !id.is_empty() => {
                    let kind = if id.starts_with("AROA") { IdentityKind::Workload } else { IdentityKind::Unknown };
                    Self { session: session_of_id.map(Into::into), ..named(format_compact!("aws:{account}:principal/{id}"), kind) }
                }
                _ => named(format_compact!("aws:{account}:account"), IdentityKind::Unknown),
            }),
            _ => None,
        };
        let fallback = || {
            if record.is_roles_anywhere_session() {
                return Some(named(format_compact!("aws:{account}:x509/{}", x509_subject(record)), IdentityKind::Workload));
            }
            if let Some(name) = name.or(user.principal_id).or(user.arn).or(user.on_behalf_of) {
                return Some(named(format_compact!("aws:{account}:principal/{name}"), person_or(IdentityKind::Unknown)));
            }
            // A service acts of its own accord, and an event of a VPC endpoint names the account at least.
            user.invoked_by
                .or_else(|| (record.event_type == Some("AwsServiceEvent")).then_some(record.event_source).flatten())
                .map(service)
                .or_else(|| user.account.map(|_| named(format_compact!("aws:{account}:account"), IdentityKind::Unknown)))
        };
        found.or_else(fallback).ok_or_else(|| {
            let message = if user.present { "userIdentity names no user, role, service or account" } else { "no userIdentity" };
            Reject::no_identity("userIdentity", message)
        })
    }

    /// A role, and its session if one is meant.
    pub(super) fn role(account: &str, role: &str, session: Option<&str>) -> Self {
        Self {
            identity: join(&["aws:", account, ":role/", role]),
            kind: role_kind(role, session),
            account: account.into(),
            session: session.map(Into::into),
            parent: None,
        }
    }

    /// An IAM user.
    pub(super) fn user(account: &str, name: &str, kind: IdentityKind) -> Self {
        Self { identity: join(&["aws:", account, ":user/", name]), kind, account: account.into(), session: None, parent: None }
    }

    /// Writes who acted, and with which credential, into `event`.
    pub(super) fn describe(&self, record: &Record<'_>, event: &mut Event) {
        self.name(event);
        event.session.clone_from(&self.session);
        let user = &record.user;
        event.credential = user.access_key.map(Into::into);
        event.credential_kind = match user.access_key {
            Some(key) => key_kind(key, record),
            None => match user.kind {
                _ if record.event_name == Some("ConsoleLogin") && matches!(user.kind, Some("IAMUser" | "Root")) => CredentialKind::Password,
                Some("AssumedRole" | "FederatedUser") => CredentialKind::Session,
                Some("SAMLUser") => CredentialKind::SamlAssertion,
                Some("WebIdentityUser") => CredentialKind::Jwt,
                _ => CredentialKind::Unknown,
            },
        };
        if event.credential_kind == CredentialKind::Session {
            event.credential_issued_at = user.created.and_then(crate::format::utc_time);
            event.credential_parent.clone_from(&self.parent);
            event.issuer = Some(Text::const_new("sts.amazonaws.com"));
        }
        if matches!(user.kind, Some("WebIdentityUser" | "SAMLUser")) {
            event.issuer = external(record).map(|(provider, _)| provider.into());
        }
        if record.is_roles_anywhere_session() {
            event.credential = super::certificate::of(record);
            event.credential_kind = CredentialKind::X509;
            event.issuer = record.parameters.text("trustAnchorArn").map(Into::into);
        }
    }

    /// Writes who acted into `event`.
    pub(super) fn name(&self, event: &mut Event) {
        event.identity.clone_from(&self.identity);
        event.identity_kind = self.kind;
        event.identity_provider = Text::const_new("aws");
        event.identity_account.clone_from(&self.account);
    }
}

impl Record<'_> {
    /// IAM Roles Anywhere exchanges a certificate for a session, and names nobody as the caller.
    pub(super) fn is_roles_anywhere_session(&self) -> bool {
        self.event_name == Some("CreateSession") && self.service() == "rolesanywhere"
    }
}

/// The identity that an ARN of IAM or STS names.
pub(super) fn identity_of(arn: Arn<'_>, account_else: &str) -> Text {
    let account = if arn.account.is_empty() { account_else } else { arn.account };
    match arn.typed() {
        ("user", name) => format_compact!("aws:{account}:user/{}", last_segment(name)),
        ("role", name) => format_compact!("aws:{account}:role/{}", last_segment(name)),
        ("assumed-role", rest) => format_compact!("aws:{account}:role/{}", rest.split('/').next().unwrap_or(rest)),
        ("", "root") => format_compact!("aws:{account}:root"),
        _ => format_compact!("aws:{account}:{}", arn.resource),
    }
}

fn service(host: &str) -> Principal {
    Principal { identity: format_compact!("aws:service/{host}"), kind: IdentityKind::Service, account: Text::const_new("aws"), session: None, parent: None }
}

fn kind_of_arn(arn: Option<Arn<'_>>) -> &'static str {
    match arn.map(|a| (a.service, a.typed().0, a.resource)) {
        Some(("iam", "user", _)) => "IAMUser",
        Some(("iam", "role", _) | ("sts", "assumed-role", _)) => "AssumedRole",
        Some(("sts", "federated-user", _)) => "FederatedUser",
        Some(("iam", _, "root")) => "Root",
        _ => "",
    }
}

/// What a role session is: a person for the roles of IAM Identity Center and for sessions named by a mail address, AWS itself
/// for service-linked roles, running code otherwise.
fn role_kind(role: &str, session: Option<&str>) -> IdentityKind {
    if role.starts_with("AWSReservedSSO_") || session.is_some_and(|s| s.contains('@')) {
        IdentityKind::Human
    } else if role.starts_with("AWSServiceRoleFor") {
        IdentityKind::Service
    } else {
        IdentityKind::Workload
    }
}

/// Provider and user of a federated caller: `identityProvider` and `userName`, or the parts of `principalId`
/// (`<provider>:<audience>:<subject>`).
fn external<'d>(record: &Record<'d>) -> Option<(&'d str, &'d str)> {
    let user = &record.user;
    let parts = user.principal_id.and_then(|id| match id.strip_prefix("arn:") {
        // arn:aws:iam::<account>:oidc-provider/<host>:<audience>:<subject>
        Some(_) => id
            .splitn(6, ':')
            .nth(5)
            .and_then(|rest| rest.split_once(':'))
            .map(|(provider, rest)| (provider, rest.split_once(':').map_or(rest, |(_, subject)| subject))),
        None => id.split_once(':').map(|(provider, rest)| (provider, rest.split_once(':').map_or(rest, |(_, subject)| subject))),
    });
    let provider = user.identity_provider.or(parts.map(|(provider, _)| provider)).unwrap_or("unknown");
    let provider = Arn::parse(provider).map_or(provider, |arn| arn.resource);
    let provider = provider.strip_prefix("oidc-provider/").or_else(|| provider.strip_prefix("saml-provider/")).unwrap_or(provider);
    user.name.or(parts.map(|(_, subject)| subject)).or(user.principal_id).map(|user| (provider, user))
}

/// Subjects of clusters and pipelines are code; of the public identity providers, people.
fn web_identity_kind(provider: &str, subject: &str) -> IdentityKind {
    const PEOPLE: &[&str] = &["accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com", "appleid.apple.com"];
    if subject.starts_with("system:serviceaccount:") || subject.starts_with("system:node:") || provider.contains("oidc.eks.") {
        IdentityKind::Workload
    } else if PEOPLE.contains(&provider) {
        IdentityKind::Human
    } else {
        IdentityKind::Service
    }
}

/// The subject of the certificate that Roles Anywhere took.
fn x509_subject(record: &Record<'_>) -> Text {
    let first = record.response.at(&["credentialSet"]).and_then(|set| set.items().next());
    first
        .and_then(|credentials| credentials.str_at(&["sourceIdentity"]))
        .or_else(|| record.additional.text("x509Subject"))
        .map(Text::from)
        .or_else(|| record.response.text("subjectArn").and_then(Arn::parse).map(|arn| last_segment(arn.resource).into()))
        .or_else(|| super::certificate::of(record))
        .unwrap_or_else(|| Text::const_new("unknown"))
}

/// `AKIA` keys are long-lived, `ASIA` keys belong to sessions; anything else by whether the record speaks of a session.
fn key_kind(key: &str, record: &Record<'_>) -> CredentialKind {
    if key.starts_with("AKIA") {
        CredentialKind::AccessKey
    } else if key.starts_with("ASIA") || matches!(record.user.kind, Some("AssumedRole" | "FederatedUser")) || record.user.created.is_some() {
        CredentialKind::Session
    } else {
        CredentialKind::AccessKey
    }
}
