//! A lake table as DataFusion's planner sees it: every scan reads the newest version known, prunes files by the log's
//! statistics, and leaves row groups, pages and rows to the Parquet reader.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::Expr;

use super::{FileScan, LiveTable, scan_plan};

/// A table of the lake. It cannot be written.
#[derive(Debug)]
pub(crate) struct LakeTable {
    table: Arc<LiveTable>,
    schema: SchemaRef,
}

impl LakeTable {
    pub(crate) fn new(table: Arc<LiveTable>) -> Self {
        let schema = table.name.schema();
        Self { table, schema }
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(&self, session: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        self.table.ready().await?;
        let scan = FileScan::asked(session, &self.schema, projection, filters, limit)?;
        scan_plan(&self.table, &self.table.files(), session.runtime_env(), scan)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
