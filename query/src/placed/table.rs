//! One table at one version, as files at their own places.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::Expr;
use object_store::path::Path;
use url::Position;

use crate::Error;
use crate::table::{FileScan, FileSet, LiveTable, Placed, placed_plan};

/// See the module.
#[derive(Debug)]
pub(crate) struct PlacedTable {
    set: Arc<FileSet>,
    at: Placed,
    schema: SchemaRef,
}

impl PlacedTable {
    pub(crate) fn new(table: &LiveTable) -> Result<Self, Error> {
        let refused = |reason: String| Error::Location { location: table.url().to_string(), reason };
        let store = ObjectStoreUrl::parse(&table.url()[..Position::BeforePath]).map_err(|e| refused(e.to_string()))?;
        let folder = Path::from_url_path(table.url().path()).map_err(|e| refused(e.to_string()))?;
        Ok(Self { set: table.files(), at: Placed { store, folder }, schema: table.name.schema() })
    }
}

#[async_trait]
impl TableProvider for PlacedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(&self, session: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        placed_plan(&self.at, &self.set, FileScan::asked(session, &self.schema, projection, filters, limit)?)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
