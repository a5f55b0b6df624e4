//! A statement of SQL that is nothing but a named question: `SELECT * FROM touched('…', '-7d')`. It need not be planned.

use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectNamePart, SetExpr, Statement, TableFactor, Value as Literal};

use super::call::Call;
use super::function::{Kind, Value, Values};
use super::{by_name, typed};

impl Call {
    /// The question that `statement` is, if it is one and no more: every column, in its order, no condition, no alias. What has anything else about it,
    /// or an argument that is not of the declared kind, is `None`, and SQL's to answer or refuse.
    #[must_use]
    pub fn of(statement: &Statement) -> Option<Self> {
        let Statement::Query(query) = statement else { return None };
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let [from] = select.from.as_slice() else { return None };
        let TableFactor::Table { name, args: Some(given), .. } = &from.relation else { return None };
        let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return None };
        let function = by_name(&name.value)?;
        let declared = function.arguments();
        let mut values = Vec::with_capacity(declared.len());
        for argument in &given.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(literal))) = argument else { return None };
            values.push(match (&literal.value, declared.get(values.len())?.kind) {
                (Literal::Null, _) => None,
                (Literal::SingleQuotedString(text), Kind::Text | Kind::Time) => Some(Value::Text(text.clone())),
                (Literal::Number(number, _), Kind::Count) => Some(Value::Count(number.parse().ok()?)),
                _ => return None,
            });
        }
        values.resize(declared.len(), None);
        if declared.iter().zip(&values).any(|(argument, value)| argument.required && value.is_none()) {
            return None;
        }
        let call = Self { function, values: Values(values) };
        // Whatever else the statement says would show in its text.
        let plain = typed::sql(call.name(), &call.values);
        (statement.to_string() == plain || is_same_but_for_trailing_nulls(&statement.to_string(), &plain)).then_some(call)
    }
}

/// A call may name the arguments that it leaves out.
fn is_same_but_for_trailing_nulls(said: &str, plain: &str) -> bool {
    let (Some(mut said), Some(plain)) = (said.strip_suffix(')'), plain.strip_suffix(')')) else { return false };
    while let Some(shorter) = said.strip_suffix(", NULL") {
        said = shorter;
    }
    said == plain || (plain.ends_with('(') && said.strip_suffix("NULL") == Some(plain))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn call(sql: &str) -> Option<String> {
        let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
        Call::of(&parsed.remove(0)).map(|call| call.to_sql())
    }

    #[test]
    fn a_question_and_nothing_else_is_known() {
        for (sql, same) in [
            ("SELECT * FROM touched('x')", "SELECT * FROM touched('x')"),
            ("select  *  from touched('o''neill', '-7d')  ;", "SELECT * FROM touched('o''neill', '-7d')"),
            ("SELECT * FROM touched('x', NULL, '2026-01-01')", "SELECT * FROM touched('x', NULL, '2026-01-01')"),
            ("SELECT * FROM touched('x', NULL, NULL)", "SELECT * FROM touched('x')"),
            ("SELECT * FROM blast_radius('x', null, null, 2)", "SELECT * FROM blast_radius('x', NULL, NULL, 2)"),
            ("SELECT * FROM posture()", "SELECT * FROM posture()"),
            ("SELECT * FROM findings(NULL)", "SELECT * FROM findings()"),
        ] {
            assert_eq!(call(sql).as_deref(), Some(same), "{sql}");
        }
        for sql in [
            "SELECT * FROM touched('x') LIMIT 1",
            "SELECT * FROM touched('x') ORDER BY 1",
            "SELECT * FROM touched('x') WHERE count > 1",
            "SELECT * FROM touched('x') AS t",
            "SELECT * FROM touched('x') t(a)",
            "SELECT *, 1 FROM touched('x')",
            "SELECT DISTINCT * FROM touched('x')",
            "SELECT identity FROM touched('x')",
            "SELECT * FROM touched('x'), touched('y')",
            "SELECT * FROM touched('x') UNION ALL SELECT * FROM touched('y')",
            "WITH a AS (SELECT 1) SELECT * FROM touched('x')",
            "SELECT * FROM touched('x') FOR UPDATE",
            "SELECT * FROM touched(1)",
            "SELECT * FROM touched($1)",
            "SELECT * FROM touched('x', from => '-7d')",
            "SELECT * FROM touched('x', '-7d', NULL, NULL)",
            "SELECT * FROM touched()",
            "SELECT * FROM public.touched('x')",
            "SELECT * FROM \"Touched\"('x')",
            "SELECT * FROM events",
            "SELECT * FROM touched(E'x\\'')",
            "SELECT 1",
        ] {
            assert_eq!(call(sql), None, "{sql}");
        }
    }
}
