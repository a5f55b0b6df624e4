//! Who an event names, and where its drafts go.

use keytrail_schemas::{Activity, Event, IdentityKind, Micros, Outcome, Text};

use super::NAME;
use super::record::Record;
use super::status;
use crate::format::Draft;
use crate::format::join::join;
use crate::format::service_name;

/// The surroundings of one event.
pub(super) struct Scene<'s, 'd> {
    pub(super) record: &'s Record<'d>,
    pub(super) time: Micros,
    pub(super) cluster: &'s str,
    pub(super) action: &'static str,
    pub(super) line: u64,
    pub(super) before: usize,
    pub(super) out: &'s mut Vec<Draft>,
}

/// An account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) identity: Text,
    pub(super) domain: Text,
    pub(super) kind: IdentityKind,
}

impl Account {
    /// The canonical id of its password.
    pub(super) fn password(&self) -> Text {
        join(&[&self.identity, "/password"])
    }
}

impl Scene<'_, '_> {
    /// The computer's name without its domain, in capitals.
    pub(super) fn host(&self) -> Text {
        let computer = self.record.computer().unwrap_or(self.cluster);
        Text::from(computer.split('.').next().unwrap_or(computer).to_ascii_uppercase())
    }

    /// `host:<computer>`, as it is written.
    pub(super) fn computer(&self) -> Text {
        join(&["host:", &self.record.computer().unwrap_or(self.cluster).to_ascii_lowercase()])
    }

    /// The account in the fields `<role>UserName`, `<role>DomainName` and `<role>UserSid` or `<role>Sid`.
    pub(super) fn account(&self, role: &str) -> Option<Account> {
        let field = |suffix: &str| self.record.text(&[role, suffix].concat());
        self.named(field("UserName")?.as_ref(), field("DomainName").as_deref(), field("UserSid").or_else(|| field("Sid")).as_deref())
    }

    /// The account of this name, which may bear its domain before or behind it.
    pub(super) fn named(&self, name: &str, domain: Option<&str>, sid: Option<&str>) -> Option<Account> {
        // What is no name at all is not taken apart: of a URL the half with the password would look like a name.
        let (name, within) = match (name.split_once('\\'), name.rsplit_once('@').filter(|_| !name.contains("://"))) {
            (Some((domain, name)), _) => (name, Some(domain)),
            (None, Some((name, realm))) => (name, Some(realm)),
            (None, None) => (name, None),
        };
        if name.is_empty() || name == "-" {
            return None;
        }
        // The computer's own domain, where a provider leaves it out.
        let own = || self.record.computer().and_then(|computer| computer.split('.').nth(1));
        let domain = domain.or(within).or_else(own).unwrap_or_default();
        let built_in = ["NT AUTHORITY", "NT SERVICE", "NT VIRTUAL MACHINE", "WINDOW MANAGER", "FONT DRIVER HOST", "IIS APPPOOL", "BUILTIN", "WORKGROUP"];
        let domain = if domain.is_empty() || built_in.iter().any(|known| domain.eq_ignore_ascii_case(known)) {
            self.host()
        } else {
            Text::from(domain.split('.').next().unwrap_or(domain).to_ascii_uppercase())
        };
        let name_low = name.to_lowercase();
        let of_service = sid.is_some_and(|sid| {
            matches!(sid, "S-1-5-18" | "S-1-5-19" | "S-1-5-20")
                || ["S-1-5-80-", "S-1-5-82-", "S-1-5-90-", "S-1-5-96-"].iter().any(|begin| sid.starts_with(begin))
        });
        let kind = if name.ends_with('$') {
            IdentityKind::Device
        } else if of_service || name.contains('/') || name_low == "krbtgt" || service_name::is_service(&name_low) {
            IdentityKind::Service
        } else {
            IdentityKind::Unknown
        };
        Some(Account { identity: join(&["ad:", &domain, ":account/", &name_low]), domain, kind })
    }

    /// An event of an account.
    pub(super) fn event(&self, activity: Activity, who: &Account) -> Event {
        let failed = self.record.failed();
        let mut event = Event {
            time: self.time,
            activity,
            outcome: match failed {
                Some(true) => Outcome::Failure,
                Some(false) => Outcome::Success,
                None => Outcome::Unknown,
            },
            action: Some(Text::const_new(self.action)),
            identity: who.identity.clone(),
            identity_kind: who.kind,
            identity_provider: Text::const_new("ad"),
            identity_account: who.domain.clone(),
            format: Text::const_new(NAME),
            ..Event::default()
        };
        event.source_ip = ["IpAddress", "ClientAddress"].iter().find_map(|field| self.record.text(field)).and_then(|text| address(&text));
        event.source_host = ["WorkstationName", "Workstation", "ClientName"]
            .iter()
            .find_map(|field| self.record.text(field))
            .map(|name| Text::from(name.trim_start_matches('\\').to_ascii_lowercase()));
        let logon = ["TargetLogonId", "SubjectLogonId", "LogonID"].iter().find_map(|field| self.record.text(field));
        event.session = logon.filter(|id| id != "0x0").map(|id| join(&[&self.host(), "/", &id]));
        event
    }

    /// What the event says of why it failed.
    pub(super) fn refuse(&self, event: &mut Event) {
        let field = |name: &str| self.record.text(name).filter(|code| status::code(code).is_some_and(|code| code != 0));
        let code = field("SubStatus").or_else(|| field("Status")).or_else(|| field("FailureCode"));
        let kerberos = event.action.as_deref().is_some_and(|action| action.starts_with("kerberos"));
        if let Some(code) = code.as_deref() {
            if event.outcome == Outcome::Success || event.outcome == Outcome::Unknown {
                event.outcome = Outcome::Failure;
            }
            let (name, denied) = status::of(code, kerberos);
            event.reason = Some(name.map_or_else(|| Text::from(code.to_ascii_lowercase()), Text::const_new));
            if denied {
                event.outcome = Outcome::Denied;
            }
        } else if event.outcome == Outcome::Failure {
            event.reason = self.record.text("FailureReason").map(|text| Text::from(text.as_ref()));
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        let part = u32::try_from(self.out.len() - self.before).unwrap_or(u32::MAX);
        self.out.push(Draft { event: Box::new(event), provider_id: None, part, line: self.line });
    }
}

/// An address; IPv4 as IPv6 writes it becomes IPv4 again.
fn address(text: &str) -> Option<Text> {
    crate::format::ip_address(text.strip_prefix("::ffff:").unwrap_or(text))
}
