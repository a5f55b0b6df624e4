//! Parameters of a prepared statement that stand as arguments of a question: `SELECT * FROM touched($1, '-7d')`.
//!
//! A table function is planned with its arguments, so such a statement cannot be planned before they are known. It is planned with stand-ins when it is
//! prepared, which tells its columns, and once more with the values, as literals of the parsed statement and not of its text, when it runs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::ParamValues;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{self, Statement, TableFactor, Value, VisitMut, VisitorMut, visit_expressions_mut};

use crate::Error;

/// What stands in for an argument: it is text, a number, and no name or time is looked up before the question is asked.
const STAND_IN: &str = "1";

/// The parameters that stand as arguments of questions, such as `$1`.
pub fn of(statement: &Statement) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut copy = statement.clone();
    replace(&mut copy, |id| {
        found.insert(id.to_owned());
        None
    });
    found
}

/// The statement with stand-ins.
pub fn with_stand_ins(statement: &Statement) -> Statement {
    let mut copy = statement.clone();
    replace(&mut copy, |_| Some(Value::SingleQuotedString(STAND_IN.to_owned())));
    copy
}

/// The statement with the values.
///
/// # Errors
/// [`Error::Request`] for a value that is missing.
pub fn with_values(statement: &Statement, values: &ParamValues) -> Result<Statement, Error> {
    let mut copy = statement.clone();
    let mut missing = None;
    replace(&mut copy, |id| match values.get_placeholders_with_values(id) {
        Ok(value) if value.value().is_null() => Some(Value::Null),
        Ok(value) => Some(Value::SingleQuotedString(text(value.value()))),
        Err(_) => {
            missing = Some(id.to_owned());
            None
        }
    });
    match missing {
        Some(id) => Err(Error::Request(format!("parameter {id} has no value"))),
        None => Ok(copy),
    }
}

/// A plan that asks for these parameters as text, and does what `plan` does otherwise.
///
/// # Errors
/// None that is known.
pub fn asking_for(plan: LogicalPlan, ids: &BTreeSet<String>) -> Result<LogicalPlan, datafusion::error::DataFusionError> {
    let text = Arc::new(Field::new("", DataType::Utf8, true));
    let always = ids.iter().fold(lit(true), |always, id| always.or(Expr::Placeholder(Placeholder::new_with_field(id.clone(), Some(text.clone()))).is_null()));
    LogicalPlanBuilder::from(plan).filter(always)?.build()
}

/// A value as a question's argument is written.
fn text(value: &datafusion::common::ScalarValue) -> String {
    match value.try_as_str() {
        Some(Some(text)) => text.to_owned(),
        _ => value.to_string(),
    }
}

/// Offers each parameter within a table function's arguments to `with`, and puts in what it gives.
fn replace(statement: &mut Statement, with: impl FnMut(&str) -> Option<Value>) {
    struct Arguments<F>(F);
    impl<F: FnMut(&str) -> Option<Value>> VisitorMut for Arguments<F> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            let with = &mut self.0;
            let mut put = |expression: &mut ast::Expr| {
                if let ast::Expr::Value(value) = expression
                    && let Value::Placeholder(id) = &value.value
                    && let Some(new) = with(id)
                {
                    value.value = new;
                }
                ControlFlow::<()>::Continue(())
            };
            match factor {
                TableFactor::Table { args: Some(arguments), .. } => visit_expressions_mut(arguments, &mut put),
                TableFactor::Function { args: arguments, .. } => visit_expressions_mut(arguments, &mut put),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let _ = VisitMut::visit(statement, &mut Arguments(with));
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(sql: &str) -> Statement {
        Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0)
    }

    #[test]
    fn a_value_becomes_a_literal_whatever_is_in_it() {
        let statement = parsed("SELECT $2 FROM touched($1, $3::text) WHERE count > $2");
        assert_eq!(of(&statement).into_iter().collect::<Vec<_>>(), ["$1", "$3"]);
        let values = ParamValues::from(vec![ScalarValue::from("x'); DROP TABLE events; --"), ScalarValue::from(1_i64), ScalarValue::Utf8(None)]);
        let with = with_values(&statement, &values).unwrap();
        assert_eq!(with.to_string(), "SELECT $2 FROM touched('x''); DROP TABLE events; --', NULL::TEXT) WHERE count > $2");
        assert_eq!(parsed(&with.to_string()), with, "it reads back as the same single statement");
    }

    #[test]
    fn a_statement_without_such_parameters_has_none() {
        assert!(of(&parsed("SELECT * FROM touched('a') WHERE identity = $1")).is_empty());
    }
}
