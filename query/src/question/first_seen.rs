//! `first_seen(dimension, from, to)`: values that an identity had never shown before the period.

use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, FROM, Function, Kind, Period, TO, Values};
use crate::Error;
use crate::column::always;
use crate::engine::Engine;

const COLUMNS: &[Column] = &[
    always("identity", ColumnType::Utf8, "Who."),
    always("dimension", ColumnType::Utf8, "In what."),
    always("value", ColumnType::Utf8, "The new value."),
    always("first", ColumnType::Timestamp, "When it was first seen."),
    always("last", ColumnType::Timestamp, "When it was last seen within the period."),
    always("count", ColumnType::Int64, "Events that show it within the period."),
    always("known_to_others", ColumnType::Boolean, "Whether another identity had shown it before this one."),
];

/// What can be new.
const DIMENSIONS: [&str; 10] =
    ["destination", "credential", "source_ip", "source_host", "source_country", "user_agent", "protocol", "auth_method", "action", "environment"];

/// Which of them the roll-up keeps.
const ROLLED: [&str; 5] = ["destination", "credential", "protocol", "action", "environment"];

/// See the module.
#[derive(Debug)]
pub(crate) struct FirstSeen;

#[async_trait]
impl Function for FirstSeen {
    fn name(&self) -> &'static str {
        "first_seen"
    }

    fn doc(&self) -> &'static str {
        "New edges: destinations, addresses, credentials, … that a machine identity had never shown before the period."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("dimension", Kind::Text), FROM, TO] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let dimension = values.text(0).unwrap_or_default();
        let Some(column) = DIMENSIONS.iter().find(|known| **known == dimension) else {
            return Err(Error::Arguments {
                function: self.name(),
                problem: format!("there is no dimension {dimension:?}: it is one of {}", DIMENSIONS.join(", ")),
                usage: super::function::usage(self),
            });
        };
        let period = values.period(engine, 1).await?;
        let [from, to] = period.parameters();
        // What the roll-up keeps is read from there; both relations have rows that count events, and the time of their first and last.
        let history = Period { from: None, to: period.to };
        let source = if ROLLED.contains(column) {
            history.touches()
        } else {
            format!("(SELECT identity, identity_kind, {column}, time AS first, time AS last, 1 AS count FROM events WHERE {})", history.condition("time", 1))
        };
        let since = Period { from: period.from, to: None }.condition("first", 1);
        let sql = format!(
            "SELECT identity, '{column}' AS dimension, value, first, last, count, first_by_anyone < first AS known_to_others
             FROM (SELECT *, min(first) OVER (PARTITION BY value) AS first_by_anyone
                   FROM (SELECT identity, {column} AS value, min(first) AS first, max(last) AS last, sum(count) AS count, min(identity_kind) AS kind
                         FROM {source} WHERE {column} IS NOT NULL GROUP BY identity, {column}))
             WHERE kind <> 'human' AND {since} ORDER BY first, identity, value"
        );
        Ok(Answer::Stream(engine.sql(&sql, vec![from, to]).await?))
    }
}
