//! The bounds of a period as SQL parameters and as SQL text, and spans of time in SQL.

use datafusion::common::ScalarValue;
use keytrail_schemas::Micros;

use super::function::Period;
use crate::table::TOUCHES_WITHIN;

impl Period {
    /// `from` and `to` as parameters of the type of `time`; NULL where open.
    pub(crate) fn parameters(self) -> [ScalarValue; 2] {
        [self.from, self.to].map(|bound| ScalarValue::TimestampMicrosecond(bound.map(|time| time.0), Some("UTC".into())))
    }

    /// The touches of the period, as a relation of SQL.
    pub(crate) fn touches(self) -> String {
        let bound = |time: Option<Micros>| time.map_or_else(|| "NULL".to_owned(), |time| time.0.to_string());
        format!("{TOUCHES_WITHIN}({}, {})", bound(self.from), bound(self.to))
    }

    /// The condition that `column` lies within, with `from` and `to` as parameters `$first` and the one after it. An open
    /// bound leaves no condition, so that the planner has nothing to fold away.
    pub(crate) fn condition(self, column: &str, first: usize) -> String {
        let from = self.from.map(|_| format!(" AND {column} >= ${first}"));
        let to = self.to.map(|_| format!(" AND {column} < ${}", first + 1));
        format!("TRUE{}{}", from.unwrap_or_default(), to.unwrap_or_default())
    }
}

/// SQL for the days from one timestamp to another, with a fraction.
pub(crate) fn days(from: &str, to: &str) -> String {
    format!("((CAST({to} AS BIGINT) - CAST({from} AS BIGINT)) / 86400000000.0)")
}
