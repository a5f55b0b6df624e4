//! What is woven into a timeline besides events: findings, and the life of credentials as the ledger has it.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use rustc_hash::FxHashMap;

use crate::column;
use crate::question::function::Period;

type Cell = Option<String>;

/// One row that is no event.
#[derive(Default)]
pub(super) struct Row {
    pub(super) time: i64,
    pub(super) origin: &'static str,
    pub(super) activity: &'static str,
    pub(super) credential: Cell,
    pub(super) identity: Cell,
    pub(super) destination: Cell,
    pub(super) protocol: Cell,
    pub(super) action: Cell,
    pub(super) source_ip: Cell,
    pub(super) finding_ids: Vec<String>,
    pub(super) detail: Cell,
}

pub(super) fn is_within(period: Period, time: i64) -> bool {
    period.from.is_none_or(|from| from.0 <= time) && period.to.is_none_or(|to| time < to.0)
}

/// Findings by the events that are evidence of them.
pub(super) fn evidence(findings: &[RecordBatch]) -> FxHashMap<String, Vec<String>> {
    let mut evidence: FxHashMap<String, Vec<String>> = FxHashMap::default();
    for batch in findings {
        let Some(lists) = batch.column_by_name("event_ids").and_then(|lists| lists.as_list_opt::<i32>()) else { continue };
        for (row, finding) in column::texts(batch, "finding_id").into_iter().enumerate().filter(|(row, _)| lists.is_valid(*row)) {
            for event in lists.value(row).as_string_opt::<i32>().into_iter().flatten().flatten() {
                evidence.entry(event.to_owned()).or_default().extend(finding.clone());
            }
        }
    }
    evidence.values_mut().for_each(|findings| findings.sort());
    evidence
}

fn times(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let times = batch.column_by_name(name).and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    times.map_or_else(|| vec![None; batch.num_rows()], |times| times.iter().collect())
}

/// A column's cells, each to be taken once.
fn cells(batch: &RecordBatch, name: &str) -> std::vec::IntoIter<Cell> {
    column::texts(batch, name).into_iter()
}

/// The findings of a period.
pub(super) fn of_findings(batch: &RecordBatch, period: Period) -> Vec<Row> {
    let [mut finding, mut identity, mut credential, mut destination, mut protocol, mut rule, mut source_ip, mut severity, mut title] =
        ["finding_id", "identity", "credential", "destination", "protocol", "rule", "source_ip", "severity", "title"].map(|name| cells(batch, name));
    let mut rows = Vec::new();
    for time in times(batch, "time") {
        let [finding, identity, credential, destination, protocol, rule, source_ip, severity, title] =
            [&mut finding, &mut identity, &mut credential, &mut destination, &mut protocol, &mut rule, &mut source_ip, &mut severity, &mut title]
                .map(|cells| cells.next().flatten());
        if let Some(time) = time.filter(|time| is_within(period, *time)) {
            rows.push(Row {
                time,
                origin: "finding",
                activity: "finding",
                identity,
                credential,
                destination,
                protocol,
                action: rule,
                source_ip,
                finding_ids: finding.into_iter().collect(),
                detail: severity.zip(title).map(|(severity, title)| format!("[{severity}] {title}")),
            });
        }
    }
    rows
}

/// What the ledger knows of credentials within a period. It is shown where no record of that moment says it: inferred succession, expiry, and lifecycle
/// facts that a use revealed.
pub(super) fn of_credentials(batch: &RecordBatch, identity: &str, period: Period) -> Vec<Row> {
    let moments = ["issued_at", "superseded_at", "revoked_at", "expires_at", "as_of"].map(|name| times(batch, name));
    let exact = batch.column_by_name("issued_is_exact").and_then(|exact| exact.as_boolean_opt());
    let mut rows = Vec::new();
    for (row, (credential, successor)) in cells(batch, "credential").zip(cells(batch, "successor")).enumerate() {
        let [issued, superseded, revoked, expires, as_of] = std::array::from_fn(|which| moments.get(which).and_then(|times| times.get(row)).copied().flatten());
        let is_exact = exact.is_some_and(|exact| exact.is_valid(row) && exact.value(row));
        let life = [
            (issued, "issue", if is_exact { "issued" } else { "first seen; issued at this time or before" }.to_owned()),
            (superseded, "rotate", format!("superseded by {}", successor.as_deref().unwrap_or("a successor"))),
            (revoked, "revoke", "revoked".to_owned()),
            (expires.filter(|expires| as_of.is_some_and(|as_of| *expires <= as_of)), "expire", "expired".to_owned()),
        ];
        for (moment, activity, detail) in life {
            if let Some(time) = moment.filter(|moment| is_within(period, *moment)) {
                rows.push(Row {
                    time,
                    origin: "ledger",
                    activity,
                    identity: Some(identity.to_owned()),
                    credential: credential.clone(),
                    detail: Some(detail),
                    ..Row::default()
                });
            }
        }
    }
    rows
}
