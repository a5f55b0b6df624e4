//! What clients ask of PostgreSQL's own catalogue and the library does not know: the texts of their questions that it cannot plan.

use std::borrow::Cow;

use super::{jdbc, sqlalchemy};

/// Marks, all of which stand in a text, and the columns that are asked for: text, unless a name ends in `#`.
pub type Shape = (&'static [&'static str], &'static [&'static str]);

/// The statement, in words that can be planned.
pub fn understood(query: &str) -> Cow<'_, str> {
    // ADBC compares the names of functions with a number.
    const ADBC: &str = "(typreceive != 0 OR typsend != 0)";
    if query.contains(ADBC) {
        return query.replace(ADBC, "(typreceive <> '-' OR typsend <> '-')").into();
    }
    if let Some(text) = jdbc::understood(query).or_else(|| sqlalchemy::understood(query)) {
        return text.into();
    }
    // psql's \df. The questions are no rows of pg_proc; they are what there is to be listed.
    if query.contains("pg_catalog.pg_function_is_visible(") && query.contains("FROM pg_catalog.pg_proc p") {
        return questions().into();
    }
    query.into()
}

/// An answer without rows to a text that has one of these shapes.
pub fn without_rows(query: &str, shapes: &[Shape]) -> Option<String> {
    let (_, columns) = shapes.iter().find(|(marks, _)| marks.iter().all(|mark| query.contains(mark)))?;
    let columns = columns.iter().map(|name| name.strip_suffix('#').map_or_else(|| column("VARCHAR", name), |name| column("INT", name)));
    Some(format!("SELECT {} WHERE false", columns.collect::<Vec<_>>().join(", ")))
}

/// A column of such an answer.
pub fn column(kind: &str, name: &str) -> String {
    format!("CAST(NULL AS {kind}) AS \"{name}\"")
}

/// The questions as \df lists functions.
fn questions() -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let row = |function: &keytrail_query::Description| {
        let usage = function.usage();
        let arguments = usage.split_once('(').map_or("", |(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
        format!("('public', {}, 'SETOF record', {}, 'func')", quoted(function.name), quoted(arguments))
    };
    let rows: Vec<String> = keytrail_query::functions().iter().map(row).collect();
    format!("SELECT * FROM (VALUES {}) AS f(\"Schema\", \"Name\", \"Result data type\", \"Argument data types\", \"Type\") ORDER BY 1, 2", rows.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_ask_is_put_so_that_it_can_be_planned_and_the_rest_is_left() {
        let df = "SELECT n.nspname FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE pg_catalog.pg_function_is_visible(p.oid)";
        assert!(understood(df).contains("('public', 'touched', 'SETOF record', 'identity[, from][, to]', 'func')"), "{}", understood(df));
        assert_eq!(understood("SELECT 1"), "SELECT 1");
    }
}
