//! `coverage(from, to)`: which sources reported when, where they were silent, how late they were, and what of them could
//! not be understood: what an answer cannot know.

mod cell;
mod line;
mod memo;

pub(crate) use cell::Remembered;
pub(crate) use line::line;
pub(crate) use memo::Memo;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use keytrail_schemas::{Column, ColumnType, Micros};

use crate::Error;
use crate::column::{self, always, batch, maybe};
use crate::engine::Engine;
use crate::question::function::{Answer, Argument, FROM, Function, Period, TO, Values};
use crate::table::TableName;

/// A silence shorter than this is not told.
const GAP_MIN: i64 = Micros::HOUR;

const COLUMNS: &[Column] = &[
    always("source", ColumnType::Utf8, "The collector's configured name."),
    always("formats", ColumnType::Utf8List, "The formats that read its records."),
    maybe("first", ColumnType::Timestamp, "Its first event within the period."),
    maybe("last", ColumnType::Timestamp, "Its last event within the period."),
    always("events", ColumnType::Int64, "Its events within the period."),
    maybe("longest_gap_hours", ColumnType::Float64, "The longest silence within the period, in hours, from one hour up; the time since its last event counts."),
    maybe("longest_gap_from", ColumnType::Timestamp, "When that silence began."),
    maybe("longest_gap_to", ColumnType::Timestamp, "When it ended."),
    always("silent_hours", ColumnType::Int64, "Whole hours of the clock without an event, between the first and the last."),
    maybe("lag_seconds", ColumnType::Float64, "Mean time from an event to its being read, in seconds; history that was loaded later makes it long."),
    maybe("lag_seconds_max", ColumnType::Float64, "The longest such time, in seconds."),
    always("dead_letters", ColumnType::Int64, "Its records that could not be understood, whenever read: their own time is not known."),
    always("dead_letter_reasons", ColumnType::Utf8List, "Why, and how many of each."),
];

/// What is known of one source in a period.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) formats: Vec<String>,
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    pub(crate) events: i64,
    /// The longest silence: when it began and ended.
    pub(crate) gap: Option<(i64, i64)>,
    pub(crate) silent_hours: i64,
    pub(crate) lag_sum: f64,
    pub(crate) lag_max: Option<i64>,
    pub(crate) dead_letters: BTreeMap<String, i64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Coverage;

#[async_trait]
impl Function for Coverage {
    fn name(&self) -> &'static str {
        "coverage"
    }

    fn doc(&self) -> &'static str {
        "Which sources reported when, their gaps and lag, and what of them could not be understood."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[FROM, TO] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let period = values.period(engine, 0).await?;
        let covered = covered(engine, period).await?;
        let Covered { sources, unreadable } = covered.as_ref();
        if let Some(period) = unreadable.first() {
            return Err(Error::Execution(Box::new(DataFusionError::Execution(format!("the events of {period} cannot be read")))));
        }
        #[expect(clippy::cast_precision_loss, reason = "spans and counts are far below 2^52")]
        let arrays = vec![
            column::text(sources.iter().map(|s| Some(&s.name))),
            column::list(sources.iter().map(|s| s.formats.clone())),
            column::time(sources.iter().map(|s| s.first)),
            column::time(sources.iter().map(|s| s.last)),
            column::count(sources.iter().map(|s| Some(s.events))),
            column::number(sources.iter().map(|s| s.gap.map(|(from, to)| (to - from) as f64 / Micros::HOUR as f64))),
            column::time(sources.iter().map(|s| s.gap.map(|(from, _)| from))),
            column::time(sources.iter().map(|s| s.gap.map(|(_, to)| to))),
            column::count(sources.iter().map(|s| Some(s.silent_hours))),
            column::number(sources.iter().map(|s| (s.events > 0).then(|| s.lag_sum / s.events as f64 / Micros::SECOND as f64))),
            column::number(sources.iter().map(|s| s.lag_max.map(|lag| lag as f64 / Micros::SECOND as f64))),
            column::count(sources.iter().map(|s| Some(s.dead_letters.values().sum()))),
            column::list(sources.iter().map(|s| s.dead_letters.iter().map(|(reason, count)| format!("{reason} {count}")).collect())),
        ];
        Ok(Answer::Batch(batch(COLUMNS, arrays)?))
    }
}

/// What is known of a period, and what of it cannot be.
#[derive(Debug, Default)]
pub(crate) struct Covered {
    /// Every source of the period, and those that only dead letters know, by name.
    pub(crate) sources: Vec<Source>,
    /// Periods whose events could not be read.
    pub(crate) unreadable: BTreeSet<String>,
}

/// Every source of the period, and what could not be read.
pub(crate) async fn covered(engine: &Engine, period: Period) -> Result<Arc<Covered>, Error> {
    engine.table(TableName::DeadLetters).ready().await?;
    let newest = || [TableName::Events, TableName::DeadLetters].map(|name| engine.table(name).files().version);
    if let Some(known) = engine.covered_before.covered(period, newest()) {
        return Ok(known);
    }
    // Beside a writer many wait for the same at once.
    let _alone = if period == Period::default() { Some(engine.covered_before.computing.lock().await) } else { None };
    let versions = newest();
    if let Some(known) = engine.covered_before.covered(period, versions) {
        return Ok(known);
    }
    let covered = Arc::new(cover(engine, period, versions).await?);
    // What could not be read may come back.
    if covered.unreadable.is_empty() {
        engine.covered_before.keep(period, versions, &covered);
    }
    Ok(covered)
}

async fn cover(engine: &Engine, period: Period, versions: memo::Versions) -> Result<Covered, Error> {
    let cells = cell::read(engine, period).await?;
    let end = period.to.into_iter().chain(engine.watermark().await?).min();
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for ((name, format), hours) in &cells.by_source {
        let source = sources.entry(name.clone()).or_insert_with(|| Source { name: name.clone(), ..Source::default() });
        source.formats.push(format.clone());
        for cell in hours.values() {
            source.events += cell.events;
            source.lag_sum += cell.lag_sum;
            source.lag_max = source.lag_max.max(Some(cell.lag_max));
        }
    }
    for source in sources.values_mut() {
        let hours = cells.hours(&source.name);
        source.first = hours.values().map(|cell| cell.first).min();
        source.last = hours.values().map(|cell| cell.last).max();
        source.gap = longest_gap(hours.values().map(|cell| (cell.first, cell.last)), end.map(|end| end.0));
        let span = hours.keys().next().zip(hours.keys().next_back()).map_or(0, |(first, last)| last - first + 1);
        source.silent_hours = span - i64::try_from(hours.len()).unwrap_or(span);
    }
    for (name, reason, count) in dead_letters(engine, versions).await?.iter() {
        let source = sources.entry(name.clone()).or_insert_with(|| Source { name: name.clone(), ..Source::default() });
        *source.dead_letters.entry(reason.clone()).or_default() += count;
    }
    Ok(Covered { sources: sources.into_values().collect(), unreadable: cells.unreadable })
}

/// Dead letters by source and reason.
async fn dead_letters(engine: &Engine, versions: memo::Versions) -> Result<Arc<Vec<(String, String, i64)>>, Error> {
    if let Some(known) = engine.covered_before.dead_letters(versions) {
        return Ok(known);
    }
    let mut all = Vec::new();
    for batch in engine.rows("SELECT source, reason, count(*) AS count FROM dead_letters GROUP BY source, reason", Vec::new()).await? {
        let Some(counts) = batch.column_by_name("count").and_then(|counts| counts.as_primitive_opt::<Int64Type>()) else { continue };
        let names = column::texts(&batch, "source").into_iter().zip(column::texts(&batch, "reason"));
        all.extend(names.zip(counts.values()).filter_map(|((source, reason), count)| Some((source?, reason?, *count))));
    }
    let all = Arc::new(all);
    engine.covered_before.keep_dead_letters(versions, &all);
    Ok(all)
}

/// The longest time between the end of one span and the start of the next, or from the last to `end`.
fn longest_gap(spans: impl Iterator<Item = (i64, i64)>, end: Option<i64>) -> Option<(i64, i64)> {
    let mut longest: Option<(i64, i64)> = None;
    let mut until: Option<i64> = None;
    for (first, last) in spans.chain(end.map(|end| (end, end))) {
        if let Some(until) = until
            && first - until >= GAP_MIN
            && longest.is_none_or(|(from, to)| first - until > to - from)
        {
            longest = Some((until, first));
        }
        until = until.max(Some(last));
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_counts_the_end_of_the_period() {
        let hour = Micros::HOUR;
        let spans = [(0, hour), (3 * hour, 3 * hour), (4 * hour - 1, 5 * hour)];
        assert_eq!(longest_gap(spans.into_iter(), None), Some((hour, 3 * hour)));
        assert_eq!(longest_gap(spans.into_iter(), Some(9 * hour)), Some((5 * hour, 9 * hour)));
        assert_eq!(longest_gap([(0, 1), (hour, hour)].into_iter(), Some(hour)), None, "below an hour");
        assert_eq!(longest_gap(std::iter::empty(), Some(hour)), None);
    }
}
