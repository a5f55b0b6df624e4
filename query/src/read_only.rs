//! The guard before SQL from outside: statements that read pass, everything else is refused by name before it is planned.

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;

use crate::Error;

/// Parses `sql` as one statement that only reads.
///
/// # Errors
/// [`Error::Sql`] when it does not parse or is not exactly one statement, [`Error::ReadOnly`] when it would do more than read.
pub(crate) fn parse(sql: &str) -> Result<Statement, Error> {
    let mut statements = DFParser::parse_sql(sql).map_err(|e| Error::Sql(e.strip_backtrace()))?;
    let Some(statement) = statements.pop_front() else {
        return Err(Error::Sql("there is no statement: write one, such as SELECT * FROM events LIMIT 10".to_owned()));
    };
    if !statements.is_empty() {
        return Err(Error::Sql(format!("{} statements were given: write one at a time", statements.len() + 1)));
    }
    check(&statement)?;
    Ok(statement)
}

/// Refuses a parsed statement that would do more than read, by name.
///
/// # Errors
/// [`Error::ReadOnly`].
pub fn reads_only(statement: &Sql) -> Result<(), Error> {
    check_sql(statement)
}

fn check(statement: &Statement) -> Result<(), Error> {
    match statement {
        Statement::Statement(sql) => check_sql(sql),
        Statement::Explain(explain) => check(&explain.statement),
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

fn check_sql(sql: &Sql) -> Result<(), Error> {
    match sql {
        // A query may hold a write as its body (`WITH … INSERT`): the planned statement is verified as well.
        Sql::Query(_) | Sql::ExplainTable { .. } | Sql::ShowTables { .. } | Sql::ShowColumns { .. } | Sql::ShowFunctions { .. } | Sql::ShowVariable { .. } => {
            Ok(())
        }
        Sql::Explain { statement, .. } => check_sql(statement),
        other => Err(refused(&first_words(&other.to_string()))),
    }
}

fn refused(statement: &str) -> Error {
    Error::ReadOnly { statement: statement.to_owned() }
}

/// The statement's own name: its leading words that are written in capitals, at most three.
fn first_words(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().take(3).take_while(|word| word.chars().all(|c| c.is_ascii_uppercase())).collect();
    if words.is_empty() { "this statement".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_passes() {
        for sql in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "DESCRIBE events",
            "VALUES (1)",
            "SELECT * FROM touched('x', '-7d', NULL);",
        ] {
            assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
        }
    }

    #[test]
    fn what_writes_or_sets_is_refused_by_name() {
        for (sql, name) in [
            ("INSERT INTO events VALUES (1)", "INSERT INTO"),
            ("DELETE FROM events", "DELETE FROM"),
            ("UPDATE events SET time = NULL", "UPDATE"),
            ("DROP TABLE events", "DROP TABLE"),
            ("CREATE TABLE t AS SELECT 1", "CREATE TABLE"),
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
            ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'", "CREATE EXTERNAL TABLE"),
            ("COPY (SELECT 1) TO '/tmp/x.csv'", "COPY"),
            ("SET datafusion.execution.batch_size = 1", "SET"),
            ("EXPLAIN ANALYZE INSERT INTO events VALUES (1)", "INSERT INTO"),
            ("EXPLAIN COPY (SELECT 1) TO '/tmp/x.csv'", "COPY"),
            ("TRUNCATE TABLE events", "TRUNCATE TABLE"),
            ("PREPARE p AS SELECT 1", "PREPARE"),
            ("BEGIN", "BEGIN"),
        ] {
            match parse(sql) {
                Err(Error::ReadOnly { statement }) => assert!(statement.starts_with(name), "{sql}: {statement}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    #[test]
    fn one_statement_at_a_time() {
        assert!(parse("SELECT 1; DROP TABLE events").unwrap_err().to_string().contains("one at a time"));
        assert!(parse("").unwrap_err().to_string().contains("no statement"));
    }
}
