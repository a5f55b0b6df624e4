//! Who may have sat at the address that a finding is about, where no record names anybody.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt as _;
use keytrail_schemas::{Finding, Micros, Text};

use crate::engine::Engine;
use crate::question::{Call, run};
use crate::{Error, column};

/// Candidates that are told, the one that was near most often first.
const CANDIDATES_MAX: usize = 8;
/// Around the finding's events; a period ends before its last moment.
const AROUND: i64 = 15 * 60 * Micros::SECOND;

/// One row of `candidates`, of the time of the finding.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Candidate {
    /// An account, or a machine (`mac:`) that was given the address.
    pub candidate: Text,
    /// By what it was seen.
    pub protocol: Option<Text>,
    /// In so many spans of a quarter of an hour it was near an act, or the lease held.
    pub together: i64,
    /// Spans in which the identity acted.
    pub acted: i64,
    /// The last time.
    pub last: Micros,
}

/// Those of a finding whose identity is an address; of any other none is asked for.
pub(super) async fn candidates(engine: &std::sync::Arc<Engine>, finding: &Finding) -> Result<Vec<Candidate>, Error> {
    if ![":host/", ":address/"].iter().any(|class| finding.identity.contains(class)) {
        return Ok(Vec::new());
    }
    let bound = |time: Micros, by: i64| Micros(time.0.saturating_add(by)).to_rfc3339();
    let (from, to) = (bound(finding.first_event_time, -AROUND), bound(finding.last_event_time, AROUND + 1));
    let call = Call::new("candidates", [("identity", finding.identity.as_str()), ("from", &from), ("to", &to)])?;
    let batches: Vec<RecordBatch> = run(engine.clone(), call.function, call.values).try_collect().await.map_err(|error| engine.own(error))?;
    let mut found = Vec::new();
    for batch in &batches {
        let count = |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>().clone());
        let last = batch.column_by_name("last").map(|column| column.as_primitive::<TimestampMicrosecondType>().clone());
        let (Some(together), Some(acted), Some(last)) = (count("together"), count("acted"), last) else { continue };
        for ((row, candidate), protocol) in (0..).zip(column::texts(batch, "candidate")).zip(column::texts(batch, "protocol")) {
            let Some(candidate) = candidate else { continue };
            found.push(Candidate {
                candidate: candidate.into(),
                protocol: protocol.map(Text::from),
                together: together.value(row),
                acted: acted.value(row),
                last: Micros(last.value(row)),
            });
        }
    }
    found.retain(|candidate| candidate.together > 0);
    found.truncate(CANDIDATES_MAX);
    Ok(found)
}
