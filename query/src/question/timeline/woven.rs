//! A timeline without a plan: the identity's events are looked up in their files, and findings and the life of its credentials are woven in here.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::ScalarValue;
use datafusion::prelude::{col, lit};
use rustc_hash::FxHashSet;

use super::COLUMNS;
use crate::engine::Engine;
use crate::question::function::Period;
use crate::table::TableName;
use crate::{Error, column};

/// Events of one answer; more are for a plan to stream.
const EVENTS_MAX: usize = 50_000;
const EVENT: [&str; 11] = ["time", "activity", "outcome", "identity", "credential", "destination", "protocol", "action", "source_ip", "event_id", "reason"];
const LIFE: [&str; 8] = ["credential", "issued_at", "issued_is_exact", "superseded_at", "successor", "revoked_at", "expires_at", "as_of"];
const FINDINGS: &str = "SELECT finding_id, event_ids, time, identity, credential, destination, protocol, rule, source_ip, severity, title FROM findings WHERE identity = $1 OR array_has(members, $1)";

type Cell = Option<String>;

#[derive(Default)]
struct Row {
    time: i64,
    origin: &'static str,
    event_id: Cell,
    activity: Cell,
    credential: Cell,
    outcome: Cell,
    identity: Cell,
    destination: Cell,
    protocol: Cell,
    action: Cell,
    source_ip: Cell,
    finding_ids: Vec<String>,
    detail: Cell,
}

/// The answer; `None` where it is too long to be made at once.
pub(super) async fn answer(engine: &Engine, identity: &str, period: Period) -> Result<Option<RecordBatch>, Error> {
    let Some(own) = engine.events_of(identity, (period.from, period.to), &EVENT, EVENTS_MAX).await? else { return Ok(None) };
    let findings = if engine.table(TableName::Findings).exists() { engine.rows(FINDINGS, vec![ScalarValue::from(identity)]).await? } else { Vec::new() };
    let evidence = evidence(&findings);
    let mut rows = Vec::with_capacity(own.num_rows());
    add_events(&mut rows, &own, period, &evidence);
    findings.iter().for_each(|batch| add_findings(&mut rows, batch, period));
    add_life(&mut rows, engine, identity, period).await?;
    // What is empty comes last, as in SQL.
    let last = |cell: &Cell| (cell.is_none(), cell.clone());
    rows.sort_by_cached_key(|row| (row.time, row.origin, last(&row.event_id), last(&row.activity), last(&row.credential)));
    let text = |of: fn(&Row) -> &Cell| column::text(rows.iter().map(|row| of(row).as_ref()));
    let arrays = vec![
        column::time(rows.iter().map(|row| Some(row.time))),
        text(|row| &row.activity),
        text(|row| &row.outcome),
        text(|row| &row.identity),
        text(|row| &row.credential),
        text(|row| &row.destination),
        text(|row| &row.protocol),
        text(|row| &row.action),
        text(|row| &row.source_ip),
        text(|row| &row.event_id),
        column::list(rows.iter().map(|row| row.finding_ids.clone())),
        column::text(rows.iter().map(|row| Some(row.origin))),
        text(|row| &row.detail),
    ];
    column::batch(COLUMNS, arrays).map(Some)
}

/// Findings by the events that are evidence of them.
fn evidence(findings: &[RecordBatch]) -> BTreeMap<String, Vec<String>> {
    let mut evidence: BTreeMap<String, Vec<String>> = BTreeMap::new();
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

fn add_events(rows: &mut Vec<Row>, own: &RecordBatch, period: Period, evidence: &BTreeMap<String, Vec<String>>) {
    let [mut activity, mut outcome, mut identity, mut credential, mut destination, mut protocol, mut action, mut source_ip, mut event_id, mut reason] =
        ["activity", "outcome", "identity", "credential", "destination", "protocol", "action", "source_ip", "event_id", "reason"].map(|name| cells(own, name));
    for time in times(own, "time") {
        let event_id = event_id.next().flatten();
        let row = Row {
            time: time.unwrap_or_default(),
            origin: "event",
            activity: activity.next().flatten(),
            outcome: outcome.next().flatten(),
            identity: identity.next().flatten(),
            credential: credential.next().flatten(),
            destination: destination.next().flatten(),
            protocol: protocol.next().flatten(),
            action: action.next().flatten(),
            source_ip: source_ip.next().flatten(),
            finding_ids: event_id.as_ref().and_then(|event| evidence.get(event)).cloned().unwrap_or_default(),
            event_id,
            detail: reason.next().flatten(),
        };
        rows.extend(is_within(period, row.time).then_some(row));
    }
}

fn is_within(period: Period, time: i64) -> bool {
    period.from.is_none_or(|from| from.0 <= time) && period.to.is_none_or(|to| time < to.0)
}

fn add_findings(rows: &mut Vec<Row>, batch: &RecordBatch, period: Period) {
    let [mut finding, mut identity, mut credential, mut destination, mut protocol, mut rule, mut source_ip, mut severity, mut title] =
        ["finding_id", "identity", "credential", "destination", "protocol", "rule", "source_ip", "severity", "title"].map(|name| cells(batch, name));
    for time in times(batch, "time") {
        let [finding, identity, credential, destination, protocol, rule, source_ip, severity, title] =
            [&mut finding, &mut identity, &mut credential, &mut destination, &mut protocol, &mut rule, &mut source_ip, &mut severity, &mut title]
                .map(|cells| cells.next().flatten());
        if let Some(time) = time.filter(|time| is_within(period, *time)) {
            rows.push(Row {
                time,
                origin: "finding",
                activity: Some("finding".to_owned()),
                identity,
                credential,
                destination,
                protocol,
                action: rule,
                source_ip,
                finding_ids: finding.into_iter().collect(),
                detail: severity.zip(title).map(|(severity, title)| format!("[{severity}] {title}")),
                ..Row::default()
            });
        }
    }
}

/// What the ledger knows is shown where no record of that moment says it: inferred succession, expiry, and lifecycle facts that a use revealed.
async fn add_life(rows: &mut Vec<Row>, engine: &Engine, identity: &str, period: Period) -> Result<(), Error> {
    let said: FxHashSet<(String, i64)> = rows.iter().filter(|row| row.origin == "event").filter_map(|row| Some((row.credential.clone()?, row.time))).collect();
    let plan = engine.scan(TableName::Credentials, &LIFE, vec![col("identity").eq(lit(identity))], None)?;
    let parts = engine.fold(plan, Vec::new, |batches: &mut Vec<RecordBatch>, batch| {
        batches.push(batch.clone());
        Ok(())
    });
    for batch in parts.await?.iter().flatten() {
        let moments = ["issued_at", "superseded_at", "revoked_at", "expires_at", "as_of"].map(|name| times(batch, name));
        let exact = batch.column_by_name("issued_is_exact").and_then(|exact| exact.as_boolean_opt());
        for (row, (credential, successor)) in cells(batch, "credential").zip(cells(batch, "successor")).enumerate() {
            let [issued, superseded, revoked, expires, as_of] =
                std::array::from_fn(|which| moments.get(which).and_then(|times| times.get(row)).copied().flatten());
            let is_exact = exact.is_some_and(|exact| exact.is_valid(row) && exact.value(row));
            let life = [
                (issued, "issue", if is_exact { "issued" } else { "first seen; issued at this time or before" }.to_owned()),
                (superseded, "rotate", format!("superseded by {}", successor.as_deref().unwrap_or("a successor"))),
                (revoked, "revoke", "revoked".to_owned()),
                (expires.filter(|expires| as_of.is_some_and(|as_of| *expires <= as_of)), "expire", "expired".to_owned()),
            ];
            for (moment, activity, detail) in life {
                let Some(time) = moment.filter(|moment| is_within(period, *moment)) else { continue };
                if credential.as_ref().is_some_and(|credential| said.contains(&(credential.clone(), time))) {
                    continue;
                }
                rows.push(Row {
                    time,
                    origin: "ledger",
                    activity: Some(activity.to_owned()),
                    identity: Some(identity.to_owned()),
                    credential: credential.clone(),
                    detail: Some(detail),
                    ..Row::default()
                });
            }
        }
    }
    Ok(())
}
