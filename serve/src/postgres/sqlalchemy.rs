//! What SQLAlchemy (and so Superset, pandas and every Python program over it) asks of the catalogue to reflect a table, where the library cannot plan its texts.
//!
//! A lake has no keys and no indexes. Source of the texts: `dialects/postgresql/base.py` of SQLAlchemy 1.4 and 2.1.

use super::catalogue::{Shape, without_rows};

const KEYS: &[&str] = &["conrelid#", "cols", "conname", "description", "indnkeyatts#", "indnullsnotdistinct", "extra"];

/// What is known to be asked by these marks, all of which stand in the text, and the columns of an answer without rows.
const NOTHING: [Shape; 5] = [
    // 1.4: the columns of the primary key, the indexes, what is unique.
    (&["unnest(ix.indkey) attnum", "ix.indisprimary"], &["attname"]),
    (
        &["ix.indkey::varchar", "ix.indoption::varchar", "pg_index ix"],
        &[
            "relname",
            "indisunique",
            "indexprs",
            "attname",
            "attnum#",
            "conrelid#",
            "indkey",
            "indoption",
            "reloptions",
            "amname",
            "pg_get_expr",
            "indnkeyatts#",
        ],
    ),
    (&["cons.conkey as key", "a.attnum = ANY(cons.conkey)"], &["name", "key", "col_num#", "col_name"]),
    // 2: keys, and indexes.
    (&["SELECT attr.conrelid, array_agg(", "generate_subscripts(pg_catalog.pg_index.indkey"], KEYS),
    (
        &["SELECT pg_catalog.pg_index.indrelid", "generate_subscripts(pg_catalog.pg_index.indkey"],
        &[
            "indrelid#",
            "relname",
            "indisunique",
            "indisvalid",
            "has_constraint",
            "indoption",
            "reloptions",
            "relam#",
            "amname",
            "filter_definition",
            "indnkeyatts#",
            "indnullsnotdistinct",
            "elements",
            "elements_is_expr",
            "elements_opclass",
        ],
    ),
];

/// How version 2 asks for schemas: with an escape that the engine does not know.
const ESCAPED: (&str, &str) = ("pg_namespace.nspname NOT LIKE ", " || '%' ESCAPE '/'");

/// What version 2 asks of a table and its columns besides, and none has: from where to where it stands, and what stands for it.
const BESIDES: [(&str, &str, &str); 5] = [
    ("pg_catalog.pg_class.reloptions, NULL", " AS relhasoids", "NULL AS reloptions, NULL AS relhasoids"),
    ("CASE WHEN (pg_catalog.pg_am.amname IS NOT NULL AND ", " END AS access_method_name", "NULL AS access_method_name"),
    ("CASE WHEN pg_catalog.pg_attribute.atthasdef THEN ", " END AS \"default\"", "NULL AS \"default\""),
    ("CASE WHEN (pg_catalog.pg_attribute.attidentity != ", " END AS identity_options", "NULL AS identity_options"),
    ("CASE WHEN (pg_catalog.pg_attribute.attcollation != ", " END AS collation", "NULL AS collation"),
];

/// The statement in words that can be planned, where it is one of SQLAlchemy's.
pub fn understood(query: &str) -> Option<String> {
    if let Some(nothing) = without_rows(query, &NOTHING) {
        return Some(nothing);
    }
    let mut columns = None;
    for (from, to, own) in BESIDES {
        let text = columns.as_deref().unwrap_or(query);
        if let Some((before, rest)) = text.split_once(from)
            && let Some((_, after)) = rest.split_once(to)
        {
            columns = Some(format!("{before}{own}{after}"));
        }
    }
    if columns.is_some() {
        return columns;
    }
    let (before, rest) = query.split_once(ESCAPED.0)?;
    let (prefix, after) = rest.split_once(ESCAPED.1)?;
    Some(format!("{before}{}replace({prefix}, '/', '\\') || '%'{after}", ESCAPED.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lake_has_not_is_answered_without_rows_and_other_statements_are_left() {
        let key = "SELECT a.attname FROM pg_attribute a JOIN (SELECT unnest(ix.indkey) attnum, generate_subscripts(ix.indkey, 1) ord \
                   FROM pg_index ix WHERE ix.indrelid = 16460 AND ix.indisprimary) k ON a.attnum=k.attnum";
        assert_eq!(understood(key).unwrap(), "SELECT CAST(NULL AS VARCHAR) AS \"attname\" WHERE false");
        let schemas = "SELECT n FROM pg_catalog.pg_namespace WHERE (pg_catalog.pg_namespace.nspname NOT LIKE 'pg/_' || '%' ESCAPE '/') ORDER BY n";
        let own = "SELECT n FROM pg_catalog.pg_namespace WHERE (pg_catalog.pg_namespace.nspname NOT LIKE replace('pg/_', '/', '\\') || '%') ORDER BY n";
        assert_eq!(understood(schemas).unwrap(), own);
        let columns = "SELECT a, CASE WHEN (pg_catalog.pg_attribute.attidentity != '') THEN (SELECT json_build_object('x', 1)) ELSE NULL END AS identity_options, \
                       CASE WHEN (pg_catalog.pg_attribute.attcollation != 0 AND b) THEN (SELECT json_build_object('y', 2)) ELSE NULL END AS collation FROM c";
        let table = "SELECT pg_catalog.pg_class.reloptions, NULL AS relhasoids, CASE WHEN (pg_catalog.pg_am.amname IS NOT NULL AND x) THEN y ELSE NULL END AS access_method_name FROM z";
        assert_eq!(understood(table).unwrap(), "SELECT NULL AS reloptions, NULL AS relhasoids, NULL AS access_method_name FROM z");
        assert_eq!(understood(columns).unwrap(), "SELECT a, NULL AS identity_options, NULL AS collation FROM c");
        assert_eq!(understood("SELECT * FROM touched('svc-deploy')"), None);
    }
}
