//! `compare(identity, a_from, a_to, b_from, b_to)`: what changed from one period to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, Function, Kind, Period, Values};
use super::touch::{self, Of, Touch};
use crate::column::{self, always, batch, maybe};
use crate::engine::Engine;
use crate::{Error, resolve};

/// A rate has changed when it is more than twice, or less than half, of what it was.
const CHANGE_FACTOR: f64 = 2.0;

const COLUMNS: &[Column] = &[
    always("identity", ColumnType::Utf8, "Who."),
    always("destination", ColumnType::Utf8, "What was touched."),
    maybe("protocol", ColumnType::Utf8, "Over which protocol."),
    maybe("action", ColumnType::Utf8, "What was done."),
    always("outcome", ColumnType::Utf8, "How it ended."),
    always("change", ColumnType::Utf8, "new, gone, more, less or same; more and less mean that the rate per day at least doubled or halved."),
    always("count_a", ColumnType::Int64, "How often in the first period."),
    always("count_b", ColumnType::Int64, "How often in the second period."),
    maybe("per_day_a", ColumnType::Float64, "Per day in the first period; empty where it is open."),
    maybe("per_day_b", ColumnType::Float64, "Per day in the second period; empty where it is open."),
    maybe("first_b", ColumnType::Timestamp, "The first time in the second period."),
    maybe("last_a", ColumnType::Timestamp, "The last time in the first period."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Compare;

type Key = (String, Option<String>, Option<String>, String);

#[derive(Default, Clone, Copy)]
struct Side {
    count: i64,
    first: Option<i64>,
    last: Option<i64>,
}

#[async_trait]
impl Function for Compare {
    fn name(&self) -> &'static str {
        "compare"
    }

    fn doc(&self) -> &'static str {
        "What an identity touched in one period against another: new, gone, more, less."
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                Argument::required("identity", Kind::Text),
                Argument::optional("a_from", Kind::Time),
                Argument::optional("a_to", Kind::Time),
                Argument::optional("b_from", Kind::Time),
                Argument::optional("b_to", Kind::Time),
            ]
        }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let identity = resolve::resolve(engine, resolve::Kind::Identity, values.text(0).unwrap_or_default()).await?;
        let (a, mut b) = (values.period(engine, 1).await?, values.period(engine, 3).await?);
        if b.from.is_none() {
            b.from = a.to;
        }
        let of = Of::Identity(identity.to_string());
        let mut sides: BTreeMap<Key, [Side; 2]> = BTreeMap::new();
        for (index, period) in [a, b].into_iter().enumerate() {
            for touch in touch::roll_up(engine, &of, period).await? {
                if let Some(side) = sides.entry(key(&touch)).or_default().get_mut(index) {
                    side.count += touch.count;
                    side.first = Some(side.first.map_or(touch.first, |first| first.min(touch.first)));
                    side.last = side.last.max(Some(touch.last));
                }
            }
        }
        // An open end is the watermark; an open beginning has no length to divide by.
        let end = engine.watermark().await?;
        let days = |period: Period| period.from.zip(period.to.or(end)).map(|(from, to)| to.days_since(from)).filter(|days| *days > 0.0);
        let (days_a, days_b) = (days(a), days(b));
        let rate = |side: &Side, days: Option<f64>| days.map(|days| per_day(side.count, days));
        let rows: Vec<_> = sides.iter().map(|(key, [a, b])| (key, a, b)).collect();
        Ok(Answer::Batch(batch(
            COLUMNS,
            vec![
                column::text(rows.iter().map(|_| Some(identity.as_str()))),
                column::text(rows.iter().map(|(key, ..)| Some(&key.0))),
                column::text(rows.iter().map(|(key, ..)| key.1.as_ref())),
                column::text(rows.iter().map(|(key, ..)| key.2.as_ref())),
                column::text(rows.iter().map(|(key, ..)| Some(&key.3))),
                column::text(rows.iter().map(|(_, a, b)| Some(change(a, b, rate(a, days_a), rate(b, days_b))))),
                column::count(rows.iter().map(|(_, a, _)| Some(a.count))),
                column::count(rows.iter().map(|(_, _, b)| Some(b.count))),
                column::number(rows.iter().map(|(_, a, _)| rate(a, days_a))),
                column::number(rows.iter().map(|(_, _, b)| rate(b, days_b))),
                column::time(rows.iter().map(|(_, _, b)| b.first)),
                column::time(rows.iter().map(|(_, a, _)| a.last)),
            ],
        )?))
    }
}

fn key(touch: &Touch) -> Key {
    (touch.destination().to_owned(), touch.protocol().map(str::to_owned), touch.action().map(str::to_owned), touch.outcome().to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_day(count: i64, days: f64) -> f64 {
    count as f64 / days
}

fn change(a: &Side, b: &Side, per_day_a: Option<f64>, per_day_b: Option<f64>) -> &'static str {
    match (a.count, b.count) {
        (0, _) => "new",
        (_, 0) => "gone",
        (count_a, count_b) => {
            let (a, b) = per_day_a.zip(per_day_b).unwrap_or_else(|| (per_day(count_a, 1.0), per_day(count_b, 1.0)));
            if b >= a * CHANGE_FACTOR {
                "more"
            } else if b * CHANGE_FACTOR <= a {
                "less"
            } else {
                "same"
            }
        }
    }
}
