//! SQL from outside, planned and not yet started: a door looks at what it would read before it lets it run.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use crate::Error;
use crate::engine::Engine;

/// A statement that only reads, planned.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) plan: LogicalPlan,
}

impl Statement {
    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> Reads {
        Reads::of(&self.plan)
    }
}

/// The tables and the questions that a plan reads, wherever in it they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Tables by name: views count as what they are made of (`findings_log` for `findings`).
    pub tables: BTreeSet<String>,
    /// Table functions by name.
    pub functions: BTreeSet<String>,
}

impl Reads {
    /// What `plan` reads; catalogues (`information_schema`, `pg_catalog`) are left out.
    #[must_use]
    pub fn of(plan: &LogicalPlan) -> Self {
        let mut reads = Self::default();
        let visited = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && !matches!(scan.table_name.schema(), Some("information_schema" | "pg_catalog"))
            {
                let name = scan.table_name.table();
                match name.strip_suffix("()") {
                    Some(function) => reads.functions.insert(function.to_ascii_lowercase()),
                    None => reads.tables.insert(name.to_owned()),
                };
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(visited.is_ok(), "the visitor never fails");
        reads
    }
}

/// Refuses a plan that would do more than read.
///
/// # Errors
/// [`Error::Sql`] that names what it would do.
pub(crate) fn verify(engine: &Engine, plan: &LogicalPlan) -> Result<(), Error> {
    let only_reads = datafusion::execution::context::SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_reads.verify_plan(plan).map_err(|error| engine.own(error))
}
