//! The lake for an engine that plans in this process and reads in others: its tables as files at their own places, and the questions as SQL over them.
//!
//! A plan over these tables holds nothing of this process: where each file is, how long it is, its day. What the log's statistics leave out is left out when
//! it is planned, and the files of one version are read, whatever is compacted meanwhile.

mod question;
mod table;

use std::sync::Arc;

use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{LogicalPlan, Statement};

use self::question::PlacedQuestion;
use self::table::PlacedTable;
use crate::Error;
use crate::engine::{Engine, LATEST_DETECTIONS, LATEST_FINDINGS};
use crate::question::by_name;
use crate::table::TableName;
use crate::views;

/// Tables under the names that SQL has for them, and those under which the questions of other engines read them.
const TABLES: [(TableName, &[&str]); 6] = [
    (TableName::Events, &["events", "keytrail_events"]),
    (TableName::Findings, &["findings_log", "keytrail_findings"]),
    (TableName::Detections, &["detections_log"]),
    (TableName::DeadLetters, &["dead_letters"]),
    (TableName::Credentials, &["credentials", "keytrail_credentials"]),
    (TableName::Identities, &["identities", "keytrail_identities"]),
];

/// Registers tables and questions in `context`, at the versions that are known now.
pub(crate) async fn place(engine: &Arc<Engine>, context: &SessionContext) -> Result<(), Error> {
    engine.ready(&TableName::ALL).await?;
    let own = |error: DataFusionError| engine.own(error);
    for (name, called) in TABLES {
        let table = Arc::new(PlacedTable::new(engine.table(name))?);
        for name in called {
            context.register_table(*name, table.clone()).map_err(own)?;
        }
    }
    for (name, sql) in [("findings", LATEST_FINDINGS), ("detections", LATEST_DETECTIONS)] {
        let latest = context.state().create_logical_plan(sql).await.map_err(own)?;
        context.register_table(name, Arc::new(ViewTable::new(latest, None))).map_err(own)?;
    }
    let now = engine.watermark().await?.unwrap_or_default();
    for (name, sql) in views::portable()? {
        let Some(function) = by_name(name) else { continue };
        let plan = match context.state().create_logical_plan(&sql).await.map_err(own)? {
            LogicalPlan::Statement(Statement::Prepare(prepared)) => Arc::unwrap_or_clone(prepared.input),
            other => other,
        };
        context.register_udtf(name, Arc::new(PlacedQuestion { function, plan, now }));
    }
    Ok(())
}
