//! `keytrail evaluate`: findings against labels, and simple detectors on the same events beside them.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt as _;
use keytrail_query::{Session, parse_time};
use keytrail_schemas::Micros;
use serde_json::Value;

use crate::cli;
use crate::config::Config;
use crate::evaluate::comparator::{Comparators, NAMES, Seen};
use crate::evaluate::plot::Calibration;
use crate::evaluate::{self, Alert, Decoy, Label, report};
use crate::exit::{Code, Usage};
use crate::output::Writer;

/// Measures, and says what was measured.
pub fn run(config: &Config, output: &Writer, arguments: &cli::Evaluate) -> anyhow::Result<Code> {
    let mut labels = evaluate::label::read(&read(&arguments.labels)?).map_err(|error| Usage(format!("{}: {error}", arguments.labels.display())))?;
    let decoys = decoys(arguments)?;
    let lake = Lake::open(config)?;
    let (start, end) = lake.period(arguments)?;
    lake.look_up(&mut labels)?;
    labels.retain(|label| label.start >= start && label.start <= end);
    if labels.is_empty() {
        return Err(Usage(format!("{}: no label lies between {start} and {end}, the time of the lake's events", arguments.labels.display())).into());
    }
    let alerts = lake.alerts(start)?;
    let score = evaluate::score(&labels, &decoys, &alerts, start, end);
    let mut rows = report::rows("keytrail", &score, &alerts);
    let mut beside = Vec::new();
    let mut windows = 0;
    if arguments.comparators || arguments.plot.is_some() {
        let (found, seen) = lake.comparators()?;
        windows = seen;
        if arguments.comparators {
            beside.extend(NAMES.iter().map(|name| (*name).to_owned()).zip(found));
        }
    }
    for path in &arguments.alerts {
        let name = path.file_stem().map_or_else(|| String::from("alerts"), |stem| stem.to_string_lossy().into_owned());
        let alerts = evaluate::alert::from_lines(&name, &read(path)?).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
        beside.push((name, alerts));
    }
    let compared = compare(&labels, &alerts, beside, end);
    rows.extend(compared.iter().flat_map(|(name, score, alerts)| report::rows(name, score, alerts)));
    if let Some(path) = &arguments.plot {
        let mut p_values: Vec<_> = alerts.iter().zip(&score.tells).filter(|(_, tells)| tells.is_empty()).filter_map(|(alert, _)| alert.p_value).collect();
        p_values.sort_by(f64::total_cmp);
        let svg = Calibration { p_values, windows }.svg().map_err(|error| anyhow::anyhow!("drawing the plot: {error}"))?;
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
        output.note(&format!("the calibration plot is {}", path.display()));
    }
    if !output.is_table() {
        output.records(&rows)?;
        return Ok(Code::Done);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} attacks and {} findings between {start} and {end}\n", labels.len(), alerts.len())?;
    writeln!(out, "{}", report::queue(&score, &labels, &alerts, arguments.queue))?;
    writeln!(out, "{}", report::attacks(&score, &labels, &alerts))?;
    writeln!(out, "{}", report::in_vain(&score, &alerts, 12))?;
    for row in rows.iter().filter(|row| row.detector == "keytrail") {
        writeln!(out, "{:<28} {:>9.3}  {}", row.metric, row.value, row.detail)?;
    }
    if !compared.is_empty() {
        writeln!(
            out,
            "\nfrom the first attack on, and as many alerts as keytrail gives then\n{:<34} {:>7} {:>7} {:>9} {:>12}",
            "", "AP", "recall", "precision", "top 3 a day"
        )?;
    }
    for (name, score, _) in &compared {
        let top = score.recall_in_top.iter().find(|(k, _)| *k == 3).map_or(0.0, |(_, recall)| *recall);
        writeln!(out, "{name:<34} {:>7.3} {:>7.3} {:>9.3} {top:>12.3}", score.average_precision, score.recall(), score.precision())?;
    }
    Ok(Code::Done)
}

type Compared = (String, evaluate::Score, Vec<Alert>);

/// keytrail and the others from a day before the first attack on, so that nobody pays for a beginning in which everything is new; the others
/// with as many alerts, their best, as keytrail gives.
fn compare(labels: &[Label], alerts: &[Alert], others: Vec<(String, Vec<Alert>)>, end: Micros) -> Vec<Compared> {
    if others.is_empty() {
        return Vec::new();
    }
    let from = Micros(labels.iter().map(|label| label.start.0).min().unwrap_or_default() - Micros::DAY);
    let kept: Vec<_> = alerts.iter().filter(|alert| alert.parts.iter().any(|part| part.time >= from)).cloned().collect();
    let budget = kept.len();
    let mut compared = vec![(String::from("keytrail, from the first attack"), evaluate::score(labels, &[], &kept, from, end), kept)];
    for (name, mut alerts) in others {
        alerts.retain(|alert| alert.time >= from);
        // Stable: of one score the earlier comes first.
        alerts.sort_by(|a, b| b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)));
        alerts.truncate(budget);
        let score = evaluate::score(labels, &[], &alerts, from, end);
        compared.push((name, score, alerts));
    }
    compared
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| Usage(format!("{}: {error}", path.display())).into())
}

/// The decoys that were named, else those that lie beside the labels.
fn decoys(arguments: &cli::Evaluate) -> anyhow::Result<Vec<Decoy>> {
    let beside = arguments.labels.with_file_name("decoys.json");
    let path = match &arguments.decoys {
        Some(path) => path,
        None if beside.exists() => &beside,
        None => return Ok(Vec::new()),
    };
    Ok(evaluate::label::read_decoys(&read(path)?).map_err(|error| Usage(format!("{}: {error}", path.display())))?)
}

/// The lake, and the threads that answer.
pub struct Lake {
    runtime: tokio::runtime::Runtime,
    session: Session,
}

impl Lake {
    /// Opens the lake for measuring.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(8 << 20).enable_all().build()?;
        let session = runtime.block_on(crate::place::session(config, config.query.clone()))?;
        Ok(Self { runtime, session })
    }

    fn rows(&self, sql: &str) -> anyhow::Result<Vec<Value>> {
        let batches = self.runtime.block_on(self.session.sql(sql))?;
        json_rows(&batches)
    }

    /// The time of the lake's events, or what was asked for.
    fn period(&self, arguments: &cli::Evaluate) -> anyhow::Result<(Micros, Micros)> {
        let rows = self.rows("SELECT CAST(min(time) AS BIGINT) AS first, CAST(max(time) AS BIGINT) AS last FROM events")?;
        let time = |key: &str| rows.first().and_then(|row| row.get(key)).and_then(Value::as_i64).map(Micros);
        let (Some(first), Some(last)) = (time("first"), time("last")) else { return Err(Usage("the lake holds no events".to_owned()).into()) };
        let asked = |text: &Option<String>| text.as_deref().map(|text| parse_time(text, last)).transpose();
        // What an archive holds from before the period was not watched: the period begins with the first day that has the usual number of events.
        let begin = self.rows("SELECT CAST(min(day) AS BIGINT) AS first FROM (SELECT date_trunc('day', time) AS day, count(*) AS n FROM events GROUP BY 1) WHERE n * 20 > (SELECT max(n) FROM (SELECT count(*) AS n FROM events GROUP BY date_trunc('day', time)))")?;
        let begin = begin.first().and_then(|row| row.get("first")).and_then(Value::as_i64).map_or(first, |time| Micros(time).max(first));
        Ok((asked(&arguments.since)?.unwrap_or(begin), asked(&arguments.until)?.unwrap_or(last)))
    }

    /// keytrail's own ids of the attacks' events, and the time of what is labelled by events alone.
    pub fn look_up(&self, labels: &mut [Label]) -> anyhow::Result<()> {
        for label in labels {
            if label.identities.is_empty() {
                let ids: Vec<_> = label.event_ids.iter().map(|id| quoted(id)).collect();
                let sql =
                    format!("SELECT CAST(min(time) AS BIGINT) AS first, CAST(max(time) AS BIGINT) AS last FROM events WHERE event_id IN ({})", ids.join(","));
                let rows = self.rows(&sql)?;
                let time = |key: &str| rows.first().and_then(|row| row.get(key)).and_then(Value::as_i64).map(Micros);
                (label.start, label.end) = (time("first").unwrap_or(label.start), time("last").unwrap_or(label.end));
            } else if !label.provider_event_ids.is_empty() {
                let sql = format!(
                    "SELECT event_id, raw FROM events WHERE raw IS NOT NULL AND CAST(time AS BIGINT) BETWEEN {} AND {}",
                    label.start.0 - 2 * Micros::SECOND,
                    label.end.0 + 2 * Micros::SECOND
                );
                // Over days the raw records of everyone would be too much to look through.
                let sql = if label.end.0 - label.start.0 > Micros::DAY {
                    let who: Vec<_> = label.identities.iter().map(|id| quoted(id)).collect();
                    format!("{sql} AND identity IN ({})", who.join(","))
                } else {
                    sql
                };
                let own = &label.provider_event_ids;
                for row in self.rows(&sql)? {
                    let (Some(id), Some(raw)) = (row.get("event_id").and_then(Value::as_str), row.get("raw").and_then(Value::as_str)) else { continue };
                    if own.iter().any(|own| raw.contains(own.as_str())) {
                        label.event_ids.insert(id.to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// What a person would have read from `since` on: findings with their detections, where the lake has them.
    pub fn alerts(&self, since: Micros) -> anyhow::Result<Vec<Alert>> {
        let findings = self.rows("SELECT * FROM findings")?;
        // A lake of an earlier version has no detections.
        let detections = self.rows("SELECT * FROM detections WHERE finding_id IS NOT NULL").unwrap_or_default();
        let mut alerts = evaluate::alert::from_rows(&findings, &detections);
        alerts.retain(|alert| alert.time >= since || alert.parts.iter().any(|part| part.time >= since));
        Ok(alerts)
    }

    /// The comparators' alerts, and how many hours of identities there were.
    fn comparators(&self) -> anyhow::Result<([Vec<Alert>; 3], u64)> {
        let sql = "SELECT CAST(time AS BIGINT) AS at, identity, destination, outcome FROM events WHERE identity_kind <> 'human' ORDER BY time, event_id";
        let mut comparators = Comparators::default();
        self.runtime.block_on(async {
            let mut rows = self.session.sql_stream(sql).await?;
            while let Some(batch) = rows.batches.try_next().await? {
                see(&mut comparators, &batch)?;
            }
            anyhow::Ok(())
        })?;
        Ok(comparators.finish())
    }
}

fn see(comparators: &mut Comparators, batch: &RecordBatch) -> anyhow::Result<()> {
    let text = |column: usize| arrow::compute::cast(batch.column(column), &DataType::Utf8);
    let (identities, destinations, outcomes) = (text(1)?, text(2)?, text(3)?);
    let (identities, destinations, outcomes) = (identities.as_string::<i32>(), destinations.as_string::<i32>(), outcomes.as_string::<i32>());
    let times = arrow::compute::cast(batch.column(0), &DataType::Int64)?;
    let times = times.as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        comparators.see(&Seen {
            time: Micros(times.value(row)),
            identity: identities.value(row),
            destination: destinations.is_valid(row).then(|| destinations.value(row)),
            succeeded: !matches!(outcomes.value(row), "failure" | "denied"),
        });
    }
    Ok(())
}

fn json_rows(batches: &[RecordBatch]) -> anyhow::Result<Vec<Value>> {
    let mut lines = Vec::new();
    let mut writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow::json::writer::LineDelimited>(&mut lines);
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    drop(writer);
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| Ok(serde_json::from_slice(line)?)).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
