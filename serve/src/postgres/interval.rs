//! An interval so many times, which PostgreSQL knows and the engine does not: Superset's grains below an hour are `INTERVAL '5 minutes' * FLOOR(…)`.

use std::sync::Arc;

use arrow::array::{AsArray as _, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{ColumnarValue, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use keytrail_schemas::Micros;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const DAYS_OF_A_MONTH: f64 = 30.0;
#[expect(clippy::cast_precision_loss, reason = "a day has fewer nanoseconds than a double has whole numbers")]
const NANOS_OF_A_DAY: f64 = (Micros::DAY * 1_000) as f64;

/// Teaches the context.
///
/// # Errors
/// When it takes no planners.
pub fn register(context: &mut SessionContext) -> Result<()> {
    let times = Arc::new(ScalarUDF::new_from_impl(Times { signature: Signature::exact(vec![INTERVAL, DataType::Float64], Volatility::Immutable) }));
    context.register_expr_planner(Arc::new(Planner { times }))
}

#[derive(Debug)]
struct Planner {
    times: Arc<ScalarUDF>,
}

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expr));
        }
        let is_interval = |ty: &DataType| matches!(ty, DataType::Interval(_));
        let (interval, number) = match (expr.left.get_type(schema), expr.right.get_type(schema)) {
            (Ok(left), Ok(right)) if is_interval(&left) && right.is_numeric() => (&expr.left, &expr.right),
            (Ok(left), Ok(right)) if left.is_numeric() && is_interval(&right) => (&expr.right, &expr.left),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let number = number.clone().cast_to(&DataType::Float64, schema)?;
        Ok(PlannerResult::Planned(self.times.call(vec![interval.clone().cast_to(&INTERVAL, schema)?, number])))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Times {
    signature: Signature,
}

impl ScalarUDFImpl for Times {
    fn name(&self) -> &'static str {
        "interval_times"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [intervals, numbers] = <[_; 2]>::try_from(ColumnarValue::values_to_arrays(&args.args)?)
            .map_err(|given| datafusion::error::DataFusionError::Internal(format!("{} arguments", given.len())))?;
        let (intervals, numbers) = (intervals.as_primitive::<IntervalMonthDayNanoType>(), numbers.as_primitive::<Float64Type>());
        let mut product = IntervalMonthDayNanoArray::builder(intervals.len());
        for (interval, number) in intervals.iter().zip(numbers) {
            match interval.zip(number) {
                None => product.append_null(),
                Some((interval, number)) => product.append_value(times(interval, number)?),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(product.finish())))
    }
}

/// What is over of a month goes to the days, and what is over of a day to its time, as in PostgreSQL.
fn times(interval: IntervalMonthDayNano, number: f64) -> Result<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * number;
    let days = f64::from(interval.days) * number + months.fract() * DAYS_OF_A_MONTH;
    #[expect(clippy::cast_precision_loss, reason = "an interval of a hundred days is still exact")]
    let nanos = interval.nanoseconds as f64 * number + days.fract() * NANOS_OF_A_DAY;
    let fits = |number: f64, most: f64| number.is_finite() && number.abs() < most;
    if !(fits(months, f64::from(i32::MAX)) && fits(days, f64::from(i32::MAX)) && fits(nanos, 9.2e18)) {
        return exec_err!("an interval {number} times is too long");
    }
    #[expect(clippy::cast_possible_truncation, reason = "their bounds were looked at, and what is over was given away")]
    Ok(IntervalMonthDayNano::new(months.trunc() as i32, days.trunc() as i32, nanos.round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_of_a_part_goes_to_the_next() {
        let one = IntervalMonthDayNano::new;
        assert_eq!(times(one(0, 0, 300_000_000_000), 3.0).unwrap(), one(0, 0, 900_000_000_000));
        assert_eq!(times(one(1, 0, 0), 1.5).unwrap(), one(1, 15, 0));
        assert_eq!(times(one(0, 1, 0), 2.25).unwrap(), one(0, 2, 21_600_000_000_000));
        assert_eq!(times(one(0, 1, 0), -1.0).unwrap(), one(0, -1, 0));
        assert!(times(one(1, 0, 0), 1e12).is_err() && times(one(0, 0, 1), f64::NAN).is_err());
    }

    #[tokio::test]
    async fn both_ways_round_and_over_columns() {
        let mut context = SessionContext::new();
        register(&mut context).unwrap();
        let asked = "SELECT CAST(TIMESTAMP '2026-10-28T01:00:00' + INTERVAL '5 minutes' * FLOOR(m / 5) AS VARCHAR) AS t, 2 * INTERVAL '1 day' AS d, m * 2 AS n \
                     FROM (VALUES (3), (14), (59)) AS f(m) ORDER BY m";
        let rows = context.sql(asked).await.unwrap().collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        for told in ["01:00:00", "01:10:00", "01:55:00", "2 days", " 118 "] {
            assert!(shown.contains(told), "{told} is not in {shown}");
        }
    }
}
