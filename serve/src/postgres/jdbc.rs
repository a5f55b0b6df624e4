//! What pgJDBC (and so DBeaver, Superset's and every Java program's driver) asks of the catalogue to fill `DatabaseMetaData`, where the library cannot plan its texts.
//!
//! A lake has no keys, no indexes and no types of its own; what it has to be listed are the questions. Source of the texts: `PgDatabaseMetaData` of pgJDBC 42.7.

use std::fmt::Write as _;

use super::catalogue::{Shape, column, without_rows};

/// What is known to be asked by these marks, all of which stand in the text, and the columns of an answer without rows.
const NOTHING: [Shape; 6] = [
    (&["_pg_expandarray", "AS \"PK_NAME\"", "IS_NOT_NULL"], &["TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "COLUMN_NAME", "KEY_SEQ#", "PK_NAME", "IS_NOT_NULL"]),
    (&["_pg_expandarray", "AS \"PK_NAME\""], &["TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "COLUMN_NAME", "KEY_SEQ#", "PK_NAME"]),
    (
        &["_pg_expandarray", "AS \"INDEX_NAME\""],
        &[
            "TABLE_CAT",
            "TABLE_SCHEM",
            "TABLE_NAME",
            "NON_UNIQUE",
            "INDEX_QUALIFIER",
            "INDEX_NAME",
            "TYPE#",
            "ORDINAL_POSITION#",
            "COLUMN_NAME",
            "ASC_OR_DESC",
            "CARDINALITY#",
            "PAGES#",
            "FILTER_CONDITION",
            "REMARKS",
        ],
    ),
    (&["_pg_expandarray", "a.atttypid"], &["attname", "atttypid#", "atttypmod#"]),
    (
        &["AS \"PKTABLE_CAT\"", "pg_constraint"],
        &[
            "PKTABLE_CAT",
            "PKTABLE_SCHEM",
            "PKTABLE_NAME",
            "PKCOLUMN_NAME",
            "FKTABLE_CAT",
            "FKTABLE_SCHEM",
            "FKTABLE_NAME",
            "FKCOLUMN_NAME",
            "KEY_SEQ#",
            "UPDATE_RULE#",
            "DELETE_RULE#",
            "FK_NAME",
            "PK_NAME",
            "DEFERRABILITY#",
        ],
    ),
    (&["as \"TYPE_CAT\"", "as \"BASE_TYPE\""], &["TYPE_CAT", "TYPE_SCHEM", "TYPE_NAME", "CLASS_NAME", "DATA_TYPE#", "REMARKS", "BASE_TYPE#"]),
];

/// Texts that have one answer.
const SETTINGS: [(&str, &str); 3] = [
    ("pg_settings WHERE name='max_index_keys'", "SELECT '32' AS setting"),
    ("pg_settings WHERE name='default_transaction_isolation'", "SELECT 'read committed' AS setting"),
    ("pg_catalog.pg_get_keywords()", "SELECT '' AS string_agg"),
];

/// How pgJDBC asks whether a type is an array.
const ARRAYS: &str = "'pg_catalog.array_in'::regproc";

/// The statement in words that can be planned, where it is one of pgJDBC's.
pub fn understood(query: &str) -> Option<String> {
    const COMPOSITE: &str = "(t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))";
    if query.contains(COMPOSITE) {
        return Some(query.replace(COMPOSITE, "t.typrelid = 0"));
    }
    // Functions of types are names here.
    if query.contains(ARRAYS) {
        return Some(query.replace(ARRAYS, "'array_in'"));
    }
    if let Some((_, answer)) = SETTINGS.iter().find(|(mark, _)| query.contains(mark)) {
        return Some((*answer).to_owned());
    }
    if let Some(nothing) = without_rows(query, &NOTHING) {
        return Some(nothing);
    }
    if query.contains("AS \"FUNCTION_CAT\"") && query.contains("pg_catalog.pg_proc p") {
        return Some(listed(query, ["FUNCTION_CAT", "FUNCTION_SCHEM", "FUNCTION_NAME", "REMARKS", "FUNCTION_TYPE", "SPECIFIC_NAME"], 2));
    }
    // What gives rows is a function to JDBC, and no procedure.
    if query.contains("AS \"PROCEDURE_CAT\"") && query.contains("pg_catalog.pg_proc p") {
        let empty = ["PROCEDURE_CAT", "PROCEDURE_SCHEM", "PROCEDURE_NAME", "NULL1", "NULL2", "NULL3", "REMARKS"].map(|name| column("VARCHAR", name)).join(", ");
        return Some(format!("SELECT {empty}, {}, {} WHERE false", column("INT", "PROCEDURE_TYPE"), column("VARCHAR", "SPECIFIC_NAME")));
    }
    None
}

/// The questions, one a row, held against the patterns that were given.
fn listed(query: &str, columns: [&str; 6], kind: u8) -> String {
    let mut text = format!("SELECT * FROM (VALUES {}) AS f(", rows(kind));
    let _ = write!(text, "{}) WHERE true", columns.map(|name| format!("\"{name}\"")).join(", "));
    for (field, column) in [("n.nspname LIKE ", columns[1]), ("p.proname LIKE ", columns[2])] {
        if let Some(pattern) = query.split_once(field).and_then(|(_, rest)| literal(rest)) {
            let _ = write!(text, " AND \"{column}\" LIKE {pattern}");
        }
    }
    text + " ORDER BY 2, 3"
}

fn rows(kind: u8) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let row = |function: &keytrail_query::Description| {
        format!("('keytrail', 'public', {0}, {1}, {kind}, {0})", quoted(function.name), quoted(function.usage().as_str()))
    };
    keytrail_query::functions().iter().map(row).collect::<Vec<_>>().join(", ")
}

/// The quoted text at the beginning, as it stands, its quotes included; or the parameter there.
fn literal(text: &str) -> Option<&str> {
    if let Some(number) = text.strip_prefix('$') {
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        return text.get(..=digits).filter(|_| digits > 0);
    }
    let text = text.strip_prefix('E').unwrap_or(text);
    let mut letters = text.char_indices().skip(1).peekable();
    if !text.starts_with('\'') {
        return None;
    }
    while let Some((at, letter)) = letters.next() {
        if letter == '\'' {
            if letters.peek().is_some_and(|(_, next)| *next == '\'') {
                letters.next();
            } else {
                return text.get(..=at);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_with_their_quotes_and_end_where_they_end() {
        assert_eq!(literal("'touch%' ORDER BY 1"), Some("'touch%'"));
        assert_eq!(literal("E'a''b' x"), Some("'a''b'"));
        assert_eq!(literal("'open"), None);
        assert_eq!(literal("x"), None);
        assert_eq!((literal("$12 ORDER"), literal("$"), literal("$x")), (Some("$12"), None, None));
        let functions = understood(
            "SELECT current_database() AS \"FUNCTION_CAT\" FROM pg_catalog.pg_proc p WHERE true AND n.nspname LIKE 'public' AND p.proname LIKE 'touch%' ORDER BY",
        );
        let functions = functions.unwrap();
        assert!(functions.contains("\"FUNCTION_SCHEM\" LIKE 'public' AND \"FUNCTION_NAME\" LIKE 'touch%' ORDER BY 2, 3"), "{functions}");
    }

    #[test]
    fn what_a_lake_has_not_is_answered_without_rows_and_other_statements_are_left() {
        let keys = understood("SELECT result.PK_NAME AS \"PK_NAME\" FROM (SELECT (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ)").unwrap();
        assert!(keys.ends_with("CAST(NULL AS VARCHAR) AS \"PK_NAME\" WHERE false") && keys.contains("CAST(NULL AS INT) AS \"KEY_SEQ\""), "{keys}");
        assert_eq!(understood("SELECT typinput='pg_catalog.array_in'::regproc as is_array FROM t").unwrap(), "SELECT typinput='array_in' as is_array FROM t");
        assert_eq!(understood("SELECT * FROM touched('svc-deploy')"), None);
    }
}
