//! What a call did to a credential: the second event of a record, keyed to the identity that the credential belongs to.
//!
//! | call | second event |
//! |---|---|
//! | `AssumeRole*`, `AssumeRoot`, `CreateSession` of Roles Anywhere | issue of a session to the role; parent: the caller's key, or the caller where it has none; for EKS Pod Identity the service account |
//! | `GetSessionToken`, `GetFederationToken` | issue of a session to the user, to the federated user |
//! | `CreateAccessKey` | issue of the key to its user |
//! | `UpdateAccessKey`, `UpdateSSHPublicKey`, `UpdateSigningCertificate`, `UpdateServiceSpecificCredential` | revoke when set inactive; renew when set active, since the same credential lives on |
//! | `DeleteAccessKey` and its like | revoke |
//! | `CreateLoginProfile`, `UpdateLoginProfile` and `ChangePassword`, `DeleteLoginProfile` | issue, rotate, revoke of the password |
//! | `UploadSSHPublicKey`, `UploadSigningCertificate`, `CreateServiceSpecificCredential`, `ResetServiceSpecificCredential` | issue, and rotate for the last |

use compact_str::format_compact;
use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Text};

use super::arn::{Arn, last_segment};
use super::identity::{Principal, identity_of};
use super::record::Record;
use crate::json::Value;

/// The second event of a successful call, made from the first.
pub(super) fn consequence(record: &Record<'_>, caller: &Principal, first: &Event) -> Option<Event> {
    match (record.service(), record.event_name?) {
        ("sts", "AssumeRole" | "AssumeRoleWithWebIdentity" | "AssumeRoleWithSAML") => {
            let role =
                record.response.text_at(&["assumedRoleUser", "arn"]).and_then(Arn::parse).or_else(|| record.parameters.text("roleArn").and_then(Arn::parse))?;
            let mut event = session(record, role_of(role, record.parameters.text("roleSessionName"), caller)?, first, record.response.at(&["credentials"])?)?;
            event.credential_parent = pod_of(record, caller).or(event.credential_parent);
            Some(event)
        }
        ("sts", "AssumeRoot") => {
            let target = record.parameters.text("targetPrincipal")?;
            let account = Arn::parse(target).map_or(target, |arn| arn.account);
            let root =
                Principal { identity: format_compact!("aws:{account}:root"), kind: IdentityKind::Human, account: account.into(), session: None, parent: None };
            session(record, root, first, record.response.at(&["credentials"])?)
        }
        ("sts", "GetSessionToken") => session(record, caller.clone(), first, record.response.at(&["credentials"])?),
        ("sts", "GetFederationToken") => {
            let arn = record.response.text_at(&["federatedUser", "arn"]).and_then(Arn::parse)?;
            let user = Principal {
                identity: identity_of(arn, &caller.account),
                kind: IdentityKind::Service,
                account: arn.account.into(),
                session: None,
                parent: None,
            };
            session(record, user, first, record.response.at(&["credentials"])?)
        }
        ("rolesanywhere", "CreateSession") => {
            let set = record.response.at(&["credentialSet"])?.items().next()?;
            let role = set.str_at(&["assumedRoleUser", "arn"]).and_then(Arn::parse).or_else(|| record.parameters.text("roleArn").and_then(Arn::parse))?;
            session(record, role_of(role, None, caller)?, first, set.get("credentials")?)
        }
        ("iam", name) => of_user(record, name, caller, first),
        _ => None,
    }
}

/// The service account for which EKS takes on a role (Pod Identity), as it tags the session.
fn pod_of(record: &Record<'_>, caller: &Principal) -> Option<Text> {
    if caller.identity != "aws:service/pods.eks.amazonaws.com" {
        return None;
    }
    let tags = record.parameters.at(&["tags"])?;
    let tag = |key: &str| tags.items().find(|tag| tag.str_at(&["key"]) == Some(key))?.str_at(&["value"]);
    let (cluster, namespace, account) = (tag("eks-cluster-name")?, tag("kubernetes-namespace")?, tag("kubernetes-service-account")?);
    Some(format_compact!("k8s:{cluster}:sa/{namespace}/{account}"))
}

fn role_of(arn: Arn<'_>, session: Option<&str>, caller: &Principal) -> Option<Principal> {
    let (role, session) = match arn.typed() {
        ("assumed-role", rest) => rest.split_once('/').map(|(role, name)| (role, Some(name)))?,
        ("role", rest) => (last_segment(rest), session),
        _ => return None,
    };
    let mut principal = Principal::role(arn.account, role, session);
    if caller.kind == IdentityKind::Human {
        principal.kind = IdentityKind::Human;
    }
    Some(principal)
}

fn session(record: &Record<'_>, to: Principal, first: &Event, credentials: Value<'_>) -> Option<Event> {
    let key = credentials.str_at(&["accessKeyId"])?;
    let lifetime = record.parameters.at(&["durationSeconds"]).and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()));
    let expires = credentials
        .get("expiration")
        .and_then(moment)
        .or_else(|| lifetime.and_then(|secs| secs.checked_mul(Micros::SECOND)).and_then(|span| Micros(first.time.0.checked_add(span)?).in_range("").ok()));
    Some(Event {
        session: to.session.clone(),
        credential_issued_at: Some(first.time),
        credential_expires_at: expires,
        issuer: first.issuer.clone().filter(|_| first.credential_kind != CredentialKind::Session).or(Some(Text::const_new("sts.amazonaws.com"))),
        ..issued(Activity::Issue, &to, first, Some(key.into()), CredentialKind::Session)
    })
}

/// An event about `credential` of `to`, with `first`'s circumstances and without what it touched.
fn issued(activity: Activity, to: &Principal, first: &Event, credential: Option<Text>, kind: CredentialKind) -> Event {
    let parent = matches!(activity, Activity::Issue | Activity::Rotate).then(|| first.credential.clone().unwrap_or_else(|| first.identity.clone()));
    let mut event = Event {
        activity,
        credential,
        credential_kind: kind,
        credential_issued_at: None,
        credential_expires_at: None,
        credential_parent: parent,
        issuer: None,
        session: None,
        destination: None,
        destination_kind: None,
        destination_service: None,
        ..first.clone()
    };
    to.name(&mut event);
    event
}

/// Calls on the long-lived credentials of an IAM user.
fn of_user(record: &Record<'_>, name: &str, caller: &Principal, first: &Event) -> Option<Event> {
    let inactive = record.parameters.text("status").is_some_and(|status| status.eq_ignore_ascii_case("inactive"));
    let updated = if inactive { Activity::Revoke } else { Activity::Renew };
    let asked = |key: &str| record.parameters.text(key).map(Text::from);
    let given = |path: &[&str]| record.response.text_at(path).map(Text::from);
    let (activity, kind, credential, created) = match name {
        "CreateAccessKey" => {
            (Activity::Issue, CredentialKind::AccessKey, given(&["accessKey", "accessKeyId"]), record.response.at(&["accessKey", "createDate"]))
        }
        "UpdateAccessKey" => (updated, CredentialKind::AccessKey, asked("accessKeyId"), None),
        "DeleteAccessKey" => (Activity::Revoke, CredentialKind::AccessKey, asked("accessKeyId"), None),
        "UploadSSHPublicKey" => {
            (Activity::Issue, CredentialKind::SshKey, given(&["sSHPublicKey", "sSHPublicKeyId"]), record.response.at(&["sSHPublicKey", "uploadDate"]))
        }
        "UpdateSSHPublicKey" => (updated, CredentialKind::SshKey, asked("sSHPublicKeyId"), None),
        "DeleteSSHPublicKey" => (Activity::Revoke, CredentialKind::SshKey, asked("sSHPublicKeyId"), None),
        "UploadSigningCertificate" => {
            (Activity::Issue, CredentialKind::X509, given(&["certificate", "certificateId"]), record.response.at(&["certificate", "uploadDate"]))
        }
        "UpdateSigningCertificate" => (updated, CredentialKind::X509, asked("certificateId"), None),
        "DeleteSigningCertificate" => (Activity::Revoke, CredentialKind::X509, asked("certificateId"), None),
        "CreateServiceSpecificCredential" => (
            Activity::Issue,
            CredentialKind::Password,
            given(&["serviceSpecificCredential", "serviceSpecificCredentialId"]),
            record.response.at(&["serviceSpecificCredential", "createDate"]),
        ),
        "ResetServiceSpecificCredential" => (Activity::Rotate, CredentialKind::Password, asked("serviceSpecificCredentialId"), None),
        "UpdateServiceSpecificCredential" => (updated, CredentialKind::Password, asked("serviceSpecificCredentialId"), None),
        "DeleteServiceSpecificCredential" => (Activity::Revoke, CredentialKind::Password, asked("serviceSpecificCredentialId"), None),
        "CreateLoginProfile" => (Activity::Issue, CredentialKind::Password, None, record.response.at(&["loginProfile", "createDate"])),
        "UpdateLoginProfile" | "ChangePassword" => (Activity::Rotate, CredentialKind::Password, None, None),
        "DeleteLoginProfile" => (Activity::Revoke, CredentialKind::Password, None, None),
        _ => return None,
    };
    let owner = record
        .parameters
        .text("userName")
        .or_else(|| record.response.text_at(&["accessKey", "userName"]))
        .map(|user| {
            let identity = Principal::user(account_of(record, caller), user, IdentityKind::Service);
            // A person who manages their own credential stays a person.
            if identity.identity == caller.identity { caller.clone() } else { identity }
        })
        .unwrap_or_else(|| caller.clone());
    let credential = credential.or_else(|| (kind == CredentialKind::Password).then(|| format_compact!("{}/login-profile", owner.identity)));
    // Whoever has a console password is a person, or can be one.
    let owner = if name.ends_with("LoginProfile") || name == "ChangePassword" { Principal { kind: IdentityKind::Human, ..owner } } else { owner };
    let begins = matches!(activity, Activity::Issue | Activity::Rotate);
    let issued_at = begins.then(|| created.and_then(moment).unwrap_or(first.time));
    Some(Event { credential_issued_at: issued_at, issuer: Some(Text::const_new("iam.amazonaws.com")), ..issued(activity, &owner, first, credential, kind) })
}

fn account_of<'r>(record: &Record<'r>, caller: &'r Principal) -> &'r str {
    record.recipient_account.unwrap_or(&caller.account)
}

/// A time in a response: RFC 3339, seconds since the epoch, or `Nov 30, 2024, 8:43:17 PM`, which is UTC.
fn moment(value: Value<'_>) -> Option<Micros> {
    if let Some(secs) = value.as_f64() {
        return Micros::from_secs_f64(secs).ok();
    }
    let text = value.as_text()?;
    if let Some(time) = java_moment(text).or_else(|| crate::format::utc_time(text)) {
        return Some(time);
    }
    // Newer Java runtimes put a narrow no-break space before AM and PM.
    let text = text.replace('\u{202f}', " ").replacen(", ", " ", 2);
    let time = chrono::NaiveDateTime::parse_from_str(&text, "%b %d %Y %I:%M:%S %p").ok()?;
    Micros(time.and_utc().timestamp_micros()).in_range(&text).ok()
}

/// `Nov 30, 2024, 8:43:17 PM`, which each record of an assumed role has: read by hand, in a tenth of the time.
fn java_moment(text: &str) -> Option<Micros> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |text: &str, digits_max: usize| -> Option<u32> {
        let plain = (1..=digits_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let (month, rest) = text.split_once(' ')?;
    let (day, rest) = rest.split_once(", ")?;
    let (year, rest) = rest.split_once(", ")?;
    let (clock, half) = rest.split_once([' ', '\u{202f}'])?;
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    let month = MONTHS.iter().position(|name| *name == month).and_then(|at| u32::try_from(at + 1).ok())?;
    let hour = number(hour, 2).filter(|hour| clock.next().is_none() && (1..=12).contains(hour))? % 12;
    let hour = match half {
        "AM" => hour,
        "PM" => hour + 12,
        _ => return None,
    };
    let year = number(year, 4).filter(|_| year.len() == 4).and_then(|year| i32::try_from(year).ok())?;
    let date = chrono::NaiveDate::from_ymd_opt(year, month, number(day, 2)?)?;
    let time = date.and_hms_opt(hour, number(minute, 2)?, number(second, 2)?)?;
    Micros(time.and_utc().timestamp_micros()).in_range(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_java_is_what_chrono_reads() {
        for (month, hour, half) in [(1, 12, "AM"), (2, 12, "PM"), (6, 1, "PM"), (11, 11, "AM"), (12, 9, "PM")] {
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1];
            for (day, space) in [(3, " "), (28, "\u{202f}")] {
                let text = format!("{name} {day}, 2024, {hour}:43:07{space}{half}");
                let plain = text.replace('\u{202f}', " ").replacen(", ", " ", 2);
                let expected = chrono::NaiveDateTime::parse_from_str(&plain, "%b %d %Y %I:%M:%S %p").unwrap();
                assert_eq!(java_moment(&text), Some(Micros(expected.and_utc().timestamp_micros())), "{text}");
            }
        }
        for text in [
            "",
            "Nov 30, 2024, 13:43:17 PM",
            "Nov 31, 2024, 1:43:17 PM",
            "Nov 30, 2024, 1:43:17",
            "Nov 30 2024 1:43:17 PM",
            "Nov 30, 24, 1:43:17 PM",
            "2024-11-30T00:00:00Z",
        ] {
            assert_eq!(java_moment(text), None, "{text}");
        }
    }
}
