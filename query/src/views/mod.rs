//! The questions in the dialects of other engines, over the same files: for whoever reads the lake without keytrail. Text alone; nothing is run.
//!
//! They read `events` and `credentials` and never the roll-up, whose files hold only as long as keytrail says so.

mod dialect;

pub use dialect::Dialect;

use crate::Error;

/// Where an engine finds a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The Delta table, by the engine's own reader of Delta.
    Delta(String),
    /// These Parquet files: the table as it stands now.
    Files(Vec<String>),
}

/// The statements that make views and macros for `touched` and `who_touched`.
///
/// # Errors
/// [`Error::Arguments`] where the engine reads Delta tables alone, or files alone.
pub(crate) fn views(dialect: Dialect, events: &Place, credentials: &Place) -> Result<String, Error> {
    let mut text = format!("-- keytrail's questions for {}. {}\n", dialect.name(), dialect.usage());
    text += &dialect.relation("keytrail_events", events)?;
    text += &dialect.relation("keytrail_credentials", credentials)?;
    for (name, column, other) in [("touched", "identity", "destination"), ("who_touched", "destination", "identity")] {
        text += &dialect.question(name, column, &body(dialect, column, other));
    }
    Ok(text)
}

/// What [`crate::Question::Touched`] and [`crate::Question::WhoTouched`] answer.
fn body(dialect: Dialect, column: &str, other: &str) -> String {
    let [value, since, until] = dialect.arguments(column);
    let time = dialect.quoted("time");
    let (count, first, last) = (dialect.quoted("count"), dialect.quoted("first"), dialect.quoted("last"));
    let latest = dialect.latest_issue();
    let seconds = dialect.seconds_between("t.issued", "t.last_seen");
    let ledger = dialect.ledger();
    let never = dialect.never_before(other, column, &value, &since);
    let within = format!("({since} IS NULL OR {time} >= {since}) AND ({until} IS NULL OR {time} < {until})");
    format!(
        "SELECT t.identity AS identity, t.destination AS destination, t.credential AS credential,
       CASE WHEN t.issued IS NULL THEN NULL WHEN {seconds} < 0 THEN 0 ELSE {seconds} / 86400.0 END AS credential_age_days,
       CASE WHEN t.issued IS NULL THEN NULL ELSE t.issued_is_exact END AS credential_age_is_exact,
       t.protocol AS protocol, t.action AS action, t.outcome AS outcome, t.events AS {count}, t.failures AS failures, t.first_seen AS {first}, t.last_seen AS {last},
       t.first_ever AS first_ever, t.identity_kind AS identity_kind
FROM (
  SELECT g.identity AS identity, g.destination AS destination, g.credential AS credential, g.protocol AS protocol, g.action AS action, g.outcome AS outcome,
         g.identity_kind AS identity_kind, g.events AS events, g.failures AS failures, g.first_seen AS first_seen, g.last_seen AS last_seen,
         coalesce(g.issued, l.issued_at) AS issued, CASE WHEN g.issued IS NOT NULL THEN true ELSE l.issued_is_exact END AS issued_is_exact, {never} AS first_ever
  FROM (
    SELECT identity, destination, credential, protocol, action, outcome, identity_kind, count(*) AS events,
           sum(CASE WHEN outcome IN ('failure', 'denied') THEN 1 ELSE 0 END) AS failures, min({time}) AS first_seen, max({time}) AS last_seen, {latest} AS issued
    FROM keytrail_events WHERE {column} = {value} AND destination IS NOT NULL AND {within}
    GROUP BY identity, destination, credential, protocol, action, outcome, identity_kind
  ) g LEFT JOIN ({ledger}) l ON l.credential = g.credential
) t"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_both_questions_and_its_own_form() {
        let delta = |table: &str| Place::Delta(format!("/lake/o'neill/{table}"));
        for (dialect, form) in [
            (Dialect::DuckDb, "CREATE OR REPLACE MACRO who_touched(value, since := NULL, until := NULL) AS TABLE"),
            (Dialect::ClickHouse, "CREATE OR REPLACE VIEW who_touched AS"),
            (Dialect::Spark, "CREATE OR REPLACE TEMPORARY FUNCTION who_touched("),
            (Dialect::Trino, "PREPARE who_touched FROM"),
        ] {
            let text = views(dialect, &delta("events"), &delta("credentials")).unwrap();
            assert!(text.contains(form), "{text}");
            assert!(text.contains("o''neill") || dialect == Dialect::Trino || text.contains("o\\'neill"), "{text}");
        }
        let files = Place::Files(vec!["/lake/events/a.parquet".to_owned()]);
        assert!(views(Dialect::DuckDb, &files, &files).unwrap().contains("read_parquet(['/lake/events/a.parquet']"));
        assert!(views(Dialect::Trino, &files, &files).unwrap_err().to_string().contains("--files"));
        assert_eq!("clickhouse".parse::<Dialect>().unwrap(), Dialect::ClickHouse);
        assert!("oracle".parse::<Dialect>().unwrap_err().to_string().contains("duckdb"));
    }
}
