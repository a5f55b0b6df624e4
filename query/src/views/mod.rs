//! The questions in the dialects of other engines, over the same files: for whoever reads the lake without keytrail. Text alone; nothing is run.
//!
//! They read `events`, `credentials`, `identities` and `findings` and never the roll-up, whose files hold only as long as keytrail says so. One identity is
//! one name here: what keytrail's own answers say of a machine's other names is asked for by those names.

mod dialect;
mod posture;
mod timeline;
mod touch;

pub use dialect::Dialect;
use keytrail_schemas::ColumnType;

use crate::Error;

/// Where an engine finds a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The Delta table, by the engine's own reader of Delta.
    Delta(String),
    /// These Parquet files: the table as it stands now.
    Files(Vec<String>),
    /// Nowhere: nothing was written yet. Its columns.
    Empty(Vec<(&'static str, ColumnType)>),
}

/// Where the tables are that the questions read.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) events: Place,
    pub(crate) credentials: Place,
    pub(crate) identities: Place,
    pub(crate) findings: Place,
}

/// The statements that make views and macros for `touched`, `who_touched`, `timeline` and `posture`.
///
/// # Errors
/// [`Error::Arguments`] where the engine reads Delta tables alone, or files alone.
pub(crate) fn views(dialect: Dialect, places: &Places) -> Result<String, Error> {
    let relations = [
        ("keytrail_events", &places.events),
        ("keytrail_credentials", &places.credentials),
        ("keytrail_identities", &places.identities),
        ("keytrail_findings", &places.findings),
    ];
    let mut text = format!("-- keytrail's questions for {}. {}\n", dialect.name(), dialect.usage());
    for (name, place) in relations {
        text += &dialect.relation(name, place)?;
    }
    for (name, column, body) in bodies(dialect) {
        text += &dialect.question(name, column, &body, &relations)?;
    }
    Ok(text)
}

/// Each question's name, the column that it is asked about, and its statement.
fn bodies(dialect: Dialect) -> [(&'static str, Option<&'static str>, String); 4] {
    [
        ("touched", Some("identity"), touch::body(dialect, "identity", "destination")),
        ("who_touched", Some("destination"), touch::body(dialect, "destination", "identity")),
        ("timeline", Some("identity"), timeline::body(dialect)),
        ("posture", None, posture::body(dialect)),
    ]
}

/// Each question and its statement as DataFusion takes them, over tables `keytrail_events` and so on that are there.
pub(crate) fn portable() -> Result<Vec<(&'static str, String)>, Error> {
    let dialect = Dialect::DataFusion;
    bodies(dialect)
        .into_iter()
        .map(|(name, column, body)| match column {
            Some(_) => Ok((name, dialect.question(name, column, &body, &[])?)),
            None => Ok((name, body)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(of: impl Fn(&str) -> Place) -> Places {
        Places { events: of("events"), credentials: of("credentials"), identities: of("identities"), findings: of("findings") }
    }

    #[test]
    fn each_dialect_has_every_question_and_its_own_form() {
        let delta = places(|table| Place::Delta(format!("/lake/o'neill/{table}")));
        for (dialect, form) in [
            (Dialect::DuckDb, "CREATE OR REPLACE MACRO who_touched(value, since := NULL, until := NULL) AS TABLE"),
            (Dialect::ClickHouse, "CREATE OR REPLACE VIEW who_touched AS"),
            (Dialect::Spark, "CREATE OR REPLACE TEMPORARY FUNCTION who_touched("),
            (Dialect::Trino, "PREPARE who_touched FROM"),
        ] {
            let text = views(dialect, &delta).unwrap();
            for question in ["touched", "timeline", "posture"] {
                let begins = form.replace("who_touched", question);
                assert!(text.contains(begins.split('(').next().unwrap()), "{question} in {text}");
            }
            assert!(text.contains(form), "{text}");
            assert!(text.contains("o''neill") || text.contains("o\\'neill"), "{text}");
        }
        let files = places(|_| Place::Files(vec!["/lake/events/a.parquet".to_owned()]));
        assert!(views(Dialect::DuckDb, &files).unwrap().contains("read_parquet(['/lake/events/a.parquet']"));
        assert!(views(Dialect::Trino, &files).unwrap_err().to_string().contains("--files"));
        let text = views(Dialect::DataFusion, &files).unwrap();
        assert!(text.contains("EXTERNAL TABLE keytrail_events STORED AS PARQUET LOCATION ('/lake/events/a.parquet')"), "{text}");
        assert!(views(Dialect::DataFusion, &delta).unwrap_err().to_string().contains("add --files"));
        assert_eq!("clickhouse".parse::<Dialect>().unwrap(), Dialect::ClickHouse);
        assert!("oracle".parse::<Dialect>().unwrap_err().to_string().contains("duckdb"));
    }
}
