//! A question whose answer is a plan over the placed tables: it is called in SQL as keytrail's own is.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ParamValues, Result, ScalarValue};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::LogicalPlan;
use keytrail_schemas::Micros;

use crate::question::{Function, values};

/// See the module. Names are whole: a fragment is resolved before it is asked about.
#[derive(Debug)]
pub(crate) struct PlacedQuestion {
    pub(crate) function: Arc<dyn Function>,
    /// Its statement, with `$1` for what it is about and `$2`, `$3` for the period.
    pub(crate) plan: LogicalPlan,
    /// What times such as `-7d` count from.
    pub(crate) now: Micros,
}

impl TableFunctionImpl for PlacedQuestion {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let values = values(self.function.as_ref(), args.exprs())?;
        let plan = match self.function.arguments().len() {
            0 => self.plan.clone(),
            _ => {
                let period = values.period_before(self.now, 1)?;
                let time = |time: Option<Micros>| ScalarValue::TimestampMicrosecond(time.map(|time| time.0), Some("UTC".into()));
                let given = vec![ScalarValue::Utf8(values.text(0).map(str::to_owned)), time(period.from), time(period.to)];
                self.plan.clone().with_param_values(ParamValues::from(given))?
            }
        };
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}
