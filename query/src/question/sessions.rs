//! `sessions(identity, from, to)`: activity cut by session id, and where there is none, at gaps of half an hour.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, FROM, Function, Kind, TO, Values};
use super::period::days;
use crate::column::{always, maybe};
use crate::engine::Engine;
use crate::{Error, resolve};

const COLUMNS: &[Column] = &[
    always("identity", ColumnType::Utf8, "Who."),
    maybe("session", ColumnType::Utf8, "The session id, where the source has one."),
    always("first", ColumnType::Timestamp, "Its first event."),
    always("last", ColumnType::Timestamp, "Its last event."),
    always("minutes", ColumnType::Float64, "From first to last, in minutes."),
    always("events", ColumnType::Int64, "Events."),
    always("failures", ColumnType::Int64, "Failed or denied ones."),
    always("credentials", ColumnType::Int64, "Distinct credentials."),
    always("destinations", ColumnType::Int64, "Distinct destinations."),
    always("source_ips", ColumnType::Int64, "Distinct source addresses."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions;

#[async_trait]
impl Function for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn doc(&self) -> &'static str {
        "An identity's activity, cut by session id or at gaps of half an hour."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("identity", Kind::Text), FROM, TO] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let identity = resolve::resolve(engine, resolve::Kind::Identity, values.text(0).unwrap_or_default()).await?;
        let period = values.period(engine, 1).await?;
        let [from, to] = period.parameters();
        let sql = format!(
            "SELECT identity, session, min(time) AS first, max(time) AS last, {} * 1440 AS minutes, count(*) AS events,
                    sum(CASE WHEN outcome IN ('failure', 'denied') THEN 1 ELSE 0 END) AS failures,
                    count(DISTINCT credential) AS credentials, count(DISTINCT destination) AS destinations, count(DISTINCT source_ip) AS source_ips
             FROM (SELECT *, sum(starts) OVER (PARTITION BY session ORDER BY time, event_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS part
                   FROM (SELECT identity, session, time, event_id, outcome, credential, destination, source_ip,
                                CASE WHEN session IS NULL AND time - lag(time) OVER (PARTITION BY session ORDER BY time, event_id) > INTERVAL '30 minutes' THEN 1 ELSE 0 END AS starts
                         FROM events WHERE identity = $1 AND {}))
             GROUP BY identity, session, part ORDER BY first, session",
            days("min(time)", "max(time)"),
            period.condition("time", 2)
        );
        Ok(Answer::Stream(engine.sql(&sql, vec![ScalarValue::from(identity.as_str()), from, to]).await?))
    }
}
