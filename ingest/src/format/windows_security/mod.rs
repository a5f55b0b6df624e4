//! Windows' Security log: who logged on where and how, Kerberos and NTLM as a domain controller sees them, accounts, groups, directory and shares.
//!
//! Three shapes are read: Winlogbeat's and Elastic Agent's (`winlog.event_data`), NXLog's and other flat ones (`EventID` beside its data), and the event itself as the `evtx` crate and
//! `source` (for `.evtx` and XML) write it (`Event.System`, `Event.EventData`). Events of other channels, and those of the Security log that name no identity or only repeat another event,
//! say nothing here; the list is `meaning`.
//!
//! | column | of |
//! |---|---|
//! | identity | `ad:<DOMAIN>:account/<name>`; the domain is the first label in capitals, so that `CORP` and `corp.example.org` are one; built-in accounts (`NT AUTHORITY`) are the computer's; as the provider sees a name without a domain, it is the computer's domain |
//! | kind | device: a machine account (`name$`); service: SIDs of services (`S-1-5-18`, `-19`, `-20`, `-80`, `-82`), logons of type service and batch, service names by convention; human: logons of type interactive, unlock, remote interactive and cached; else unknown |
//! | credential | the logon's GUID, which a controller's 4769 issues and a host's 4624 uses; a certificate's thumbprint (PKINIT); of a password `<identity>/password` |
//! | lifecycle | 4720, 4741 issue; 4723, 4724 and a new `PasswordLastSet` (4738, 4742) rotate; 4725, 4726, 4743 revoke; 4770 renews |
//! | destination | the host, the Kerberos service, the account, group, object, share or service that was touched |
//! | auth_method | Kerberos' encryption type, NTLM's version, else the package |
//! | outcome, reason | the audit's keyword and the status, by its name where it is known |
//!
//! Times: `TimeCreated`; NXLog writes local time without a zone, of which the zone is told by the time of receipt beside it (`EventReceivedTime`, `@timestamp`), else UTC is assumed.
//!
//! Source: Microsoft, "Advanced security auditing", events 1102 to 5382; MS-KILE; MS-ERREF.

mod account;
mod logon;
mod meaning;
mod object;
mod record;
mod scene;
mod status;
#[cfg(test)]
mod tests;

use keytrail_schemas::Text;

use self::record::Record;
use self::scene::Scene;
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use crate::json::{self, Value};

/// The format `windows_security`.
pub struct WindowsSecurity;

pub(crate) const NAME: &str = "windows_security";

/// The key of a record that says why an event could not be read out of its file.
pub(crate) const DAMAGE_KEY: &str = "keytrail_damage";

impl Format for WindowsSecurity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Json
    }

    fn envelopes(&self) -> &'static [&'static str] {
        &["events"]
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        json::Reader::default().parse(sample).map_or(0, |document| self.sniff_value(document.root()))
    }

    fn sniff_value(&self, value: Value<'_>) -> u8 {
        if value.get(DAMAGE_KEY).is_some() {
            return 90;
        }
        match value.get("events").and_then(|events| events.items().next()) {
            Some(first) if value.get("winlog").is_none() => Record::certainty(first),
            _ => Record::certainty(value),
        }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Events { json: json::Reader::new(context.depth_max), cluster: context.cluster.clone() })
    }
}

/// The parser of one file.
struct Events {
    json: json::Reader,
    cluster: Text,
}

impl Parser for Events {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let document = self.json.parse(record)?;
        let root = document.root();
        if let Some(why) = root.str_at(&[DAMAGE_KEY]) {
            return Err(Reject::malformed("", why));
        }
        let Some(found) = Record::of(root)? else { return Ok(Disposition::Control) };
        let Some(meaning) = meaning::of(found.id) else { return Ok(Disposition::Control) };
        let time = found.time()?;
        let before = out.len();
        (meaning.read)(&found, &mut Scene { record: &found, time, cluster: &self.cluster, action: meaning.action, line, before, out })?;
        let drafts = out.get_mut(before..).unwrap_or_default();
        if drafts.is_empty() {
            return Ok(Disposition::Control);
        }
        let raw = super::text_of(record).into_owned();
        let id = found.provider_id();
        for draft in drafts {
            draft.event.raw = Some(raw.clone());
            draft.provider_id.clone_from(&id);
        }
        Ok(Disposition::Yielded)
    }

    fn shed(&mut self) {
        self.json.shed();
    }
}
