//! A timeline without a plan: the identity's events are looked up in their files, and findings and the life of its credentials are woven in here. Events
//! stay in columns; only what is woven in, which is little, is made row by row.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat, filter_record_batch, take};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use rustc_hash::{FxHashMap, FxHashSet};

use super::COLUMNS;
use super::life::{self, Row};
use crate::engine::Engine;
use crate::question::function::Period;
use crate::{Error, column};

/// Events of one answer; more are for a plan to stream.
const EVENTS_MAX: usize = 50_000;

/// The answer; `None` where it is too long to be made at once, or what is woven in cannot be looked up.
pub(super) async fn answer(engine: &Engine, identity: &str, period: Period) -> Result<Option<RecordBatch>, Error> {
    let Some(own) = engine.acts(identity, period.from, period.to, EVENTS_MAX).await? else { return Ok(None) };
    let failed = |error: arrow::error::ArrowError| engine.own(error.into());
    let own = within(&own, period).map_err(failed)?;
    let Some(findings) = engine.findings_of(identity).await? else { return Ok(None) };
    let Some(credentials) = engine.credentials_of("name", identity).await? else { return Ok(None) };
    let mut rows: Vec<Row> = findings.iter().flat_map(|batch| life::of_findings(batch, period)).collect();
    if !credentials.is_empty() {
        let said = said(&own);
        rows.extend(credentials.iter().flat_map(|batch| life::of_credentials(batch, identity, period)).filter(|row| {
            let credential = row.credential.as_deref();
            credential.is_none_or(|credential| !said.contains(&(credential, row.time)))
        }));
    }
    let arrays = woven(&own, &rows, &life::evidence(&findings)).map_err(failed)?;
    column::batch(COLUMNS, arrays).map(Some)
}

/// The rows of the period.
fn within(own: &RecordBatch, period: Period) -> Result<RecordBatch, arrow::error::ArrowError> {
    if period == Period::default() {
        return Ok(own.clone());
    }
    let times = own.column(0).as_primitive::<TimestampMicrosecondType>();
    let is_within: BooleanArray = times.values().iter().map(|time| Some(life::is_within(period, *time))).collect();
    if is_within.true_count() == own.num_rows() { Ok(own.clone()) } else { filter_record_batch(own, &is_within) }
}

fn texts<'a>(own: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    own.column_by_name(name).and_then(|column| column.as_string_opt::<i32>())
}

/// Which credentials events speak of, and when.
fn said(own: &RecordBatch) -> FxHashSet<(&str, i64)> {
    let times = own.column(0).as_primitive::<TimestampMicrosecondType>().values();
    let credentials = texts(own, "credential").into_iter().flatten();
    credentials.zip(times.iter()).filter_map(|(credential, time)| Some((credential?, *time))).collect()
}

/// Events and what is woven in between them, in order.
fn woven(own: &RecordBatch, rows: &[Row], evidence: &FxHashMap<String, Vec<String>>) -> Result<Vec<ArrayRef>, arrow::error::ArrowError> {
    let text = |name: &str, of: fn(&Row) -> Option<&str>| -> Result<ArrayRef, arrow::error::ArrowError> {
        let own = own.column_by_name(name).map_or_else(|| arrow::array::new_null_array(&DataType::Utf8, own.num_rows()), Clone::clone);
        if rows.is_empty() { Ok(own) } else { concat(&[&own, &column::text(rows.iter().map(of))]) }
    };
    let count = own.num_rows();
    let time = concat(&[own.column(0), &column::time(rows.iter().map(|row| Some(row.time)))])?;
    let [activity, credential, event_id] =
        [text("activity", |row| Some(row.activity))?, text("credential", |row| row.credential.as_deref())?, text("event_id", |_| None)?];
    let order = {
        let times = time.as_primitive::<TimestampMicrosecondType>().values();
        let [activities, credentials, events] = [&activity, &credential, &event_id].map(|texts| texts.as_string::<i32>());
        let origin = |at: usize| at.checked_sub(count).and_then(|at| rows.get(at)).map_or("event", |row| row.origin);
        let time = |at: usize| times.get(at).copied().unwrap_or_default();
        let mut order: Vec<u32> = (0..u32::try_from(times.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let by_text = |texts: &StringArray| last_empty(texts, a, b);
            time(a)
                .cmp(&time(b))
                .then_with(|| origin(a).cmp(origin(b)))
                .then_with(|| by_text(events))
                .then_with(|| by_text(activities))
                .then_with(|| by_text(credentials))
        });
        order
    };
    let finding_ids = {
        let events = event_id.as_string::<i32>();
        const NONE: &[String] = &[];
        column::lists(order.iter().map(|at| {
            let at = *at as usize;
            match at.checked_sub(count).and_then(|at| rows.get(at)) {
                Some(row) => row.finding_ids.as_slice(),
                None if evidence.is_empty() || events.is_null(at) => NONE,
                None => evidence.get(events.value(at)).map_or(NONE, Vec::as_slice),
            }
        }))
    };
    let origin = column::text(order.iter().map(|at| Some((*at as usize).checked_sub(count).and_then(|at| rows.get(at)).map_or("event", |row| row.origin))));
    let is_in_order = order.is_sorted();
    let order = UInt32Array::from(order);
    let ordered = |array: ArrayRef| if is_in_order { Ok(array) } else { take(&array, &order, None) };
    Ok(vec![
        ordered(time)?,
        ordered(activity)?,
        ordered(text("outcome", |_| None)?)?,
        ordered(text("identity", |row| row.identity.as_deref())?)?,
        ordered(credential)?,
        ordered(text("destination", |row| row.destination.as_deref())?)?,
        ordered(text("protocol", |row| row.protocol.as_deref())?)?,
        ordered(text("action", |row| row.action.as_deref())?)?,
        ordered(text("source_ip", |row| row.source_ip.as_deref())?)?,
        ordered(event_id)?,
        finding_ids,
        origin,
        ordered(text("reason", |row| row.detail.as_deref())?)?,
    ])
}

/// What is empty comes last, as in SQL.
fn last_empty(texts: &StringArray, a: usize, b: usize) -> Ordering {
    match (texts.is_null(a), texts.is_null(b)) {
        (false, false) => texts.value(a).cmp(texts.value(b)),
        (a, b) => a.cmp(&b),
    }
}
