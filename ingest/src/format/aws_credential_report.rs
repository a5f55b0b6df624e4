//! AWS IAM's credential report (CSV): how old each user's password, access keys and certificates are, and when they were last used.
//!
//! A row is a state and not an act: of each credential it gives when it was made or last replaced (`issue`), and when and on what it was last used (`use`). Ids are made of the credential
//! and that time, so that the next report adds only what has changed.
//!
//! | column | of |
//! |---|---|
//! | identity | `aws:<account>:user/<name>`, as in `cloudtrail`; of the root user `aws:<account>:root` |
//! | kind | human: has a password to the console; else service |
//! | credential | `<ARN>/access_key_1`, `…/access_key_2`, `…/cert_1`, `…/cert_2`, `…/password`: the report does not say the keys' ids |
//! | destination | `aws:<service>` that an access key was last used on |
//!
//! Source: AWS IAM User Guide, "Generate credential reports for your AWS account".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::join::join;
use super::{Columns, Context, Disposition, Draft, Format, Framing, Parser, Reject, utc_time};

const NAME: &str = "aws_credential_report";

/// What the header begins with.
const HEADER: &str = "user,arn,user_creation_time,";

/// A row has no more columns than this.
const COLUMNS_MAX: usize = 64;

/// The format.
pub struct AwsCredentialReport;

impl Format for AwsCredentialReport {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        if sample.starts_with(HEADER.as_bytes()) { 100 } else { 0 }
    }

    fn parser(&self, _: &Context) -> Box<dyn Parser> {
        Box::new(Rows { names: Vec::new(), header: 0 })
    }
}

struct Rows {
    names: Vec<Text>,
    /// How many headers there were.
    header: u32,
}

impl Parser for Rows {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let text = super::text(record, "a name of a user that is none")?.trim_end();
        if text.is_empty() {
            return Ok(Disposition::Control);
        }
        if text.starts_with(HEADER) {
            self.names = text.split(',').take(COLUMNS_MAX).map(Text::from).collect();
            self.header = self.header.wrapping_add(1);
            return Ok(Disposition::Control);
        }
        if self.names.is_empty() {
            return Err(Reject::wrong_kind(format!("a row before its header: a credential report begins with {HEADER}…")));
        }
        let cells: Vec<&str> = text.split(',').take(COLUMNS_MAX + 1).collect();
        if cells.len() != self.names.len() {
            return Err(Reject::malformed("", format!("{} cells, where the header has {} columns: a row that is cut?", cells.len(), self.names.len())));
        }
        let before = out.len();
        let row = Row { names: &self.names, cells };
        for (mut event, id) in row.events()? {
            event.raw = Some(text.to_owned());
            let part = u32::try_from(out.len() - before).unwrap_or(u32::MAX);
            out.push(Draft { event: Box::new(event), provider_id: Some(id), part, line });
        }
        Ok(if out.len() > before { Disposition::Yielded } else { Disposition::Control })
    }

    fn columns(&self) -> Option<Columns<'_>> {
        (!self.names.is_empty()).then_some(Columns { names: &self.names, separator: b',', header: self.header })
    }
}

struct Row<'r> {
    names: &'r [Text],
    cells: Vec<&'r str>,
}

impl<'r> Row<'r> {
    /// A cell; what the report writes for nothing is none.
    fn cell(&self, name: &str) -> Option<&'r str> {
        let at = self.names.iter().position(|own| own == name)?;
        self.cells.get(at).copied().filter(|cell| !matches!(*cell, "" | "N/A" | "no_information" | "not_supported"))
    }

    fn events(&self) -> Result<Vec<(Event, Text)>, Reject> {
        const KEYS: &[(&str, CredentialKind, &str, Option<&str>)] = &[
            ("access_key_1", CredentialKind::AccessKey, "access_key_1_last_rotated", Some("access_key_1_last_used_date")),
            ("access_key_2", CredentialKind::AccessKey, "access_key_2_last_rotated", Some("access_key_2_last_used_date")),
            ("cert_1", CredentialKind::X509, "cert_1_last_rotated", None),
            ("cert_2", CredentialKind::X509, "cert_2_last_rotated", None),
            ("password", CredentialKind::Password, "password_last_changed", Some("password_last_used")),
        ];
        let arn = self.cell("arn").ok_or_else(|| Reject::no_identity("arn", "a row without an ARN"))?;
        let (account, name) = arn
            .strip_prefix("arn:")
            .and_then(|arn| {
                let mut parts = arn.splitn(5, ':').skip(3);
                Some((parts.next()?, parts.next()?))
            })
            .ok_or_else(|| Reject::malformed("arn", "no ARN of IAM"))?;
        let is_human = self.cell("password_enabled") == Some("true") || name == "root";
        let mut events = Vec::new();
        for (key, kind, issued, used) in KEYS {
            let time = |column: &str| -> Result<Option<Micros>, Reject> {
                let Some(cell) = self.cell(column) else { return Ok(None) };
                utc_time(cell).map(Some).ok_or_else(|| Reject::malformed(column, format!("{column} holds {}, which is no time", super::described(cell))))
            };
            // A console's password that is disabled keeps its dates.
            let issued = time(issued)?;
            let base = Event {
                outcome: Outcome::Success,
                identity: join(&["aws:", account, ":", name]),
                identity_kind: if is_human { IdentityKind::Human } else { IdentityKind::Service },
                identity_provider: Text::const_new("aws"),
                identity_account: Text::from(account),
                credential: Some(join(&[arn, "/", key])),
                credential_kind: *kind,
                credential_issued_at: issued,
                issuer: Some(Text::const_new("aws:iam")),
                protocol: Some(Text::const_new("https")),
                format: Text::const_new(NAME),
                ..Event::default()
            };
            let id = |what: &str, at: Micros| join(&[arn, "/", key, "/", what, "/", &at.0.to_string()]);
            if let Some(at) = issued {
                events
                    .push((Event { time: at, activity: Activity::Issue, action: Some(join(&["credential_report.", key])), ..base.clone() }, id("issued", at)));
            }
            if let Some(at) = used.map(time).transpose()?.flatten() {
                let service = self.cell(&[key, "_last_used_service"].concat());
                let used = Event {
                    time: at,
                    activity: if *kind == CredentialKind::Password { Activity::Authenticate } else { Activity::Use },
                    action: Some(join(&["credential_report.", key, "_used"])),
                    destination: service.map(|service| join(&["aws:", service])),
                    destination_kind: service.map(|_| Text::const_new("api")),
                    destination_service: service.map(Text::from),
                    ..base
                };
                events.push((used, id("used", at)));
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::guarded;
    use crate::redact::{Level, Redactor};

    const REPORT: &str = include_str!("../../fixtures/aws_credential_report/report.csv");

    fn read(log: &str) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
        let context =
            Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "lab".into(), depth_max: 32, file_name: "report.csv".to_owned() };
        let mut parser = guarded(&AwsCredentialReport, &context);
        let mut out = Vec::new();
        let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
        (out, answers)
    }

    #[test]
    fn rows_become_what_is_known_of_each_credential() {
        assert_eq!(AwsCredentialReport.sniff(REPORT.as_bytes()), 100);
        let (drafts, answers) = read(REPORT);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        insta::assert_json_snapshot!(drafts.iter().map(crate::format::shown::shown).collect::<Vec<_>>());
        let ids: std::collections::BTreeSet<_> = drafts.iter().map(|draft| draft.provider_id.clone()).collect();
        assert_eq!(ids.len(), drafts.len());
    }

    #[test]
    fn a_torn_row_is_refused() {
        let cut = REPORT.rsplit_once(',').unwrap().0;
        let (_, answers) = read(cut);
        assert!(answers.last().unwrap().is_err());
        assert!(read("svc,arn:aws:iam::1:user/svc,x").1[0].is_err());
        assert!(read(&REPORT.replace("2026-01-05T", "soon")).1.iter().any(Result::is_err));
    }
}
