//! A finding whole: what was found, the events that are the evidence, the credential behind them and where it came from,
//! and what else was found around it.

mod candidate;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use keytrail_schemas::{CredentialRecord, Detection, Event, Finding, IdentityRecord, Micros, Severity, Table, Text};

pub use self::candidate::Candidate;
use crate::engine::Engine;
use crate::{Error, ledger};

/// How far around a finding others are looked for.
const NEIGHBOURHOOD: i64 = Micros::DAY;
/// Neighbours that are told, the nearest in time first.
const NEIGHBOURS_MAX: usize = 20;

/// One finding with everything that is needed to judge it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ExplainedFinding {
    /// The latest revision.
    pub finding: Finding,
    /// What it tells of, in order of time.
    pub detections: Vec<Detection>,
    /// The events that are its evidence, oldest first; those that the lake no longer holds are missing.
    pub evidence: Vec<Event>,
    /// The credential as the ledger has it now.
    pub credential: Option<CredentialRecord>,
    /// What that credential was obtained with, nearest first, as far as the ledger knows.
    pub lineage: Vec<CredentialRecord>,
    /// The identity as the ledger has it now.
    pub identity: Option<IdentityRecord>,
    /// Who may have sat at the address, where the identity is one; it proves nothing.
    pub candidates: Vec<Candidate>,
    /// Other findings within a day that share the identity, the credential or the source address; the nearest first, at
    /// most 20.
    pub neighbours: Vec<Neighbour>,
}

/// Another finding near by.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Neighbour {
    /// Its id.
    pub finding_id: Text,
    /// Its rule.
    pub rule: Text,
    /// Its title.
    pub title: Text,
    /// How much it matters.
    pub severity: Severity,
    /// Who.
    pub identity: Text,
    /// When it was opened.
    pub time: Micros,
    /// What it shares: identity, credential, source_ip.
    pub shares: Vec<&'static str>,
}

impl ExplainedFinding {
    /// The finding as text for a person, without colour.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::render(self)
    }
}

/// Collects everything around the finding `id`.
pub(crate) async fn explain(engine: &std::sync::Arc<Engine>, id: &str) -> Result<ExplainedFinding, Error> {
    let found: Vec<Finding> = read(&engine.rows("SELECT * FROM findings WHERE finding_id = $1", vec![ScalarValue::from(id)]).await?)?;
    let Some(finding) = found.into_iter().next() else { return Err(Error::Unknown { what: "finding", text: id.to_owned(), nearest: Vec::new() }) };
    let detections = detections(engine, id).await?;
    let (evidence, (credential, lineage), identity, neighbours) = futures::future::try_join4(
        evidence(engine, &finding, &detections),
        lineage(engine, &finding),
        identity(engine, &finding),
        neighbours(engine, &finding),
    )
    .await?;
    let candidates = candidate::candidates(engine, &finding).await?;
    Ok(ExplainedFinding { finding, detections, evidence, credential, lineage, identity, candidates, neighbours })
}

fn read<T: Table>(batches: &[RecordBatch]) -> Result<Vec<T>, Error> {
    let mut rows = Vec::new();
    for batch in batches {
        rows.extend(T::from_batch(batch).map_err(|e| Error::Execution(Box::new(e.into())))?);
    }
    Ok(rows)
}

async fn detections(engine: &Engine, finding: &str) -> Result<Vec<Detection>, Error> {
    let sql = "SELECT * FROM detections WHERE finding_id = $1 ORDER BY first_event_time, log_offset, detection_id";
    read(&engine.rows(sql, vec![ScalarValue::from(finding)]).await?)
}

/// The events that the finding names, and the first one of each of its detections.
async fn evidence(engine: &Engine, finding: &Finding, detections: &[Detection]) -> Result<Vec<Event>, Error> {
    let ids: BTreeSet<&Text> = finding.event_ids.iter().chain(detections.iter().filter_map(|detection| detection.event_ids.first())).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let from = detections.iter().map(|detection| detection.first_event_time).fold(finding.first_event_time, Micros::min);
    let to = detections.iter().map(|detection| detection.last_event_time).fold(finding.last_event_time, Micros::max);
    let mut parameters = vec![moment(from), moment(to)];
    let list: Vec<String> = (0..ids.len()).map(|index| format!("${}", index + 3)).collect();
    parameters.extend(ids.into_iter().map(|id| ScalarValue::from(id.as_str())));
    let sql = format!("SELECT * FROM events WHERE time >= $1 AND time <= $2 AND event_id IN ({}) ORDER BY time, event_id", list.join(", "));
    read(&engine.rows(&sql, parameters).await?)
}

async fn lineage(engine: &Engine, finding: &Finding) -> Result<(Option<CredentialRecord>, Vec<CredentialRecord>), Error> {
    let names: Vec<String> = finding.credential.iter().chain(&finding.credential_lineage).map(ToString::to_string).collect();
    let mut records: BTreeMap<String, CredentialRecord> = ledger::records(engine, names.iter()).await?;
    let credential = finding.credential.as_ref().and_then(|credential| records.remove(credential.as_str()));
    let lineage = finding.credential_lineage.iter().filter_map(|name| records.remove(name.as_str())).collect();
    Ok((credential, lineage))
}

async fn identity(engine: &Engine, finding: &Finding) -> Result<Option<IdentityRecord>, Error> {
    let sql = "SELECT * FROM identities WHERE identity = $1 ORDER BY last_seen DESC NULLS LAST LIMIT 1";
    Ok(read(&engine.rows(sql, vec![ScalarValue::from(finding.identity.as_str())]).await?)?.into_iter().next())
}

async fn neighbours(engine: &Engine, finding: &Finding) -> Result<Vec<Neighbour>, Error> {
    let text = |text: &Option<Text>| ScalarValue::Utf8(text.as_ref().map(ToString::to_string));
    let parameters = vec![
        ScalarValue::from(finding.finding_id.as_str()),
        ScalarValue::from(finding.identity.as_str()),
        text(&finding.credential),
        text(&finding.source_ip),
        moment(Micros(finding.first_event_time.0.saturating_sub(NEIGHBOURHOOD))),
        moment(Micros(finding.last_event_time.0.saturating_add(NEIGHBOURHOOD))),
    ];
    let sql = "SELECT * FROM findings WHERE finding_id <> $1 AND (identity = $2 OR credential = $3 OR source_ip = $4) AND last_event_time >= $5 AND first_event_time <= $6";
    let mut found: Vec<Finding> = read(&engine.rows(sql, parameters).await?)?;
    found.sort_by(|a, b| a.time.0.abs_diff(finding.time.0).cmp(&b.time.0.abs_diff(finding.time.0)).then_with(|| a.finding_id.cmp(&b.finding_id)));
    found.truncate(NEIGHBOURS_MAX);
    Ok(found
        .into_iter()
        .map(|other| {
            let shared = [
                ("identity", other.identity == finding.identity),
                ("credential", other.credential.is_some() && other.credential == finding.credential),
                ("source_ip", other.source_ip.is_some() && other.source_ip == finding.source_ip),
            ];
            let shares = shared.into_iter().filter_map(|(what, shared)| shared.then_some(what)).collect();
            Neighbour {
                finding_id: other.finding_id,
                rule: other.rule,
                title: other.title,
                severity: other.severity,
                identity: other.identity,
                time: other.time,
                shares,
            }
        })
        .collect())
}

fn moment(time: Micros) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(time.0), Some("UTC".into()))
}
