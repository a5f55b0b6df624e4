//! Touches: the events, counted per day and key. Where the roll-up holds a day of which the whole is wanted, it is read from there; elsewhere,
//! and where a period begins or ends within a day, events are read and stand for themselves. So rows may be of one event or of many, and whoever
//! counts sums them up.
//!
//! A day of the roll-up holds when the files that it says it was computed from are the day's files of `events` at the version that is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::config::ParquetOptions;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::datasource::TableType;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Operator, TableProviderFilterPushDown, cast, when};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::{Expr, col, lit};
use keytrail_schemas::{Micros, Table as _, Touch};

use super::{DAY, FileScan, FileSet, LiveTable, LookUps, TableName, scan_plan};

/// The columns that touches and events have in common: filters on them hold for both.
pub(crate) const SHARED: [&str; 9] =
    ["identity", "identity_kind", "destination", "environment", "credential", "credential_parent", "protocol", "action", "outcome"];

/// Which copy of the roll-up is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    /// Sorted by identity.
    Identity,
    /// Sorted by destination.
    Destination,
}

impl Order {
    /// The column that it is sorted by.
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Destination => "destination",
        }
    }
}

/// The tables that touches are read from.
#[derive(Debug, Clone)]
pub(crate) struct Touches {
    pub(crate) events: Arc<LiveTable>,
    pub(crate) by_identity: Arc<LiveTable>,
    pub(crate) by_destination: Arc<LiveTable>,
    /// Whether the roll-up is read at all.
    pub(crate) rolled: bool,
    /// The versions at which it could not be read: it is not tried again before they change.
    pub(crate) distrusted: Arc<Mutex<Option<Versions>>>,
    /// What is looked up by name, and kept.
    pub(crate) look_ups: Arc<LookUps>,
}

/// The versions of the two tables.
type Versions = (Option<u64>, Option<u64>);

/// What is wanted of touches.
pub(crate) struct Wanted<'a> {
    pub(crate) order: Order,
    /// `[from, to)`; `None` is open.
    pub(crate) from: Option<Micros>,
    pub(crate) to: Option<Micros>,
    /// Columns of [`Touch`].
    pub(crate) columns: Vec<&'a str>,
    /// Conditions on columns of [`SHARED`].
    pub(crate) filters: Vec<Expr>,
    /// Whether rows that fail the filters are left out by the reader; else an operator above does it.
    pub(crate) exact: bool,
    /// Whether the roll-up is read, where it is at all.
    pub(crate) rolled: bool,
}

/// How it is read.
pub(crate) struct Means<'a> {
    pub(crate) runtime: &'a RuntimeEnv,
    pub(crate) partitions: usize,
    pub(crate) parquet: ParquetOptions,
}

impl Touches {
    /// Reads events from here on, until the roll-up changes. False where it was not read anyway.
    pub(crate) fn distrust(&self) -> bool {
        let versions = self.versions();
        let mut distrusted = self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        let was_read = self.rolled && versions != (None, None) && *distrusted != Some(versions);
        *distrusted = Some(versions);
        was_read
    }

    /// It was not the roll-up's fault.
    pub(crate) fn trust(&self) {
        *self.distrusted.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_trusted(&self) -> bool {
        *self.distrusted.lock().unwrap_or_else(PoisonError::into_inner) != Some(self.versions())
    }

    fn versions(&self) -> Versions {
        (self.by_identity.files().version, self.by_destination.files().version)
    }

    /// Whether whole days are read from the roll-up, by somebody who would have it so.
    pub(super) fn is_read(&self, rolled: bool) -> bool {
        self.rolled && rolled && self.is_trusted()
    }

    /// The copy of the roll-up that is sorted so.
    pub(crate) fn in_order(&self, order: Order) -> &Arc<LiveTable> {
        match order {
            Order::Identity => &self.by_identity,
            Order::Destination => &self.by_destination,
        }
    }

    /// Plans the reading.
    pub(crate) fn plan(&self, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let events = self.events.files();
        let rolled_table = self.in_order(wanted.order);
        let rolled = rolled_table.files();
        let holding = if self.is_read(wanted.rolled) { holding(&events, &rolled, wanted.from, wanted.to) } else { BTreeMap::new() };
        let mut plans = Vec::new();
        for (days, files) in scans(&rolled, &holding) {
            plans.push(rolled_plan(rolled_table, &rolled, wanted, means, days, files)?);
        }
        let is_open = |index: &usize| events.files.get(*index).is_some_and(|file| file.day.is_none_or(|day| !holding.contains_key(&i64::from(day))));
        let open: Vec<usize> = events.within("time", wanted.from, wanted.to).into_iter().filter(is_open).collect();
        if !open.is_empty() {
            plans.push(self.events_plan(&events, wanted, means, open)?);
        }
        if plans.is_empty() {
            return Ok(Arc::new(EmptyExec::new(projected(&wanted.columns)?)));
        }
        UnionExec::try_new(plans)
    }

    /// Events as touches of one each.
    fn events_plan(&self, set: &Arc<FileSet>, wanted: &Wanted<'_>, means: &Means<'_>, files: Vec<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = TableName::Events.schema();
        let mut filters = wanted.filters.clone();
        filters.extend(wanted.from.map(|from| col("time").gt_eq(moment(from))));
        filters.extend(wanted.to.map(|to| col("time").lt(moment(to))));
        let predicate = physical(filters, &schema)?;
        let needed: Vec<&str> = wanted.columns.iter().flat_map(|column| sources(column)).copied().collect();
        let mut projection = needed.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        projection.sort_unstable();
        projection.dedup();
        let read = Arc::new(schema.project(&projection)?);
        let scan = scan_plan(
            &self.events,
            set,
            means.runtime,
            // The period is no column of touches: nobody above can hold it.
            FileScan {
                projection: Some(projection),
                predicate,
                exact: true,
                limit: None,
                partitions: means.partitions,
                parquet: means.parquet.clone(),
                files: Some(files),
            },
        )?;
        let read = DFSchema::try_from(read)?;
        let columns = wanted
            .columns
            .iter()
            .map(|column| Ok((create_physical_expr(&as_touch(column)?, &read, &Default::default(), &Default::default())?, (*column).to_owned())));
        Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Result<Vec<_>>>()?, scan)?))
    }
}

/// Some days of the roll-up.
fn rolled_plan(table: &LiveTable, set: &Arc<FileSet>, wanted: &Wanted<'_>, means: &Means<'_>, days: Days, files: Vec<usize>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = Touch::arrow_schema();
    let mut filters = wanted.filters.clone();
    let day = |day: i64| moment(Micros(day.saturating_mul(Micros::DAY)));
    match &days {
        Days::All => {}
        Days::Between(first, last) => filters.extend([col("day").gt_eq(day(*first)), col("day").lt_eq(day(*last))]),
        Days::These(these) => filters.push(col("day").in_list(these.iter().map(|this| day(*this)).collect(), false)),
    }
    let projection = wanted.columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?;
    scan_plan(
        table,
        set,
        means.runtime,
        FileScan {
            projection: Some(projection),
            predicate: physical(filters, &schema)?,
            // Which days hold is known here alone.
            exact: wanted.exact || days != Days::All,
            limit: None,
            partitions: means.partitions,
            parquet: means.parquet.clone(),
            files: Some(files),
        },
    )
}

/// The days of a file that are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Days {
    All,
    Between(i64, i64),
    These(Vec<i64>),
}

impl Days {
    /// Whether the day is one of them.
    pub(super) fn has(&self, day: i64) -> bool {
        match self {
            Self::All => true,
            Self::Between(first, last) => (*first..=*last).contains(&day),
            Self::These(these) => these.binary_search(&day).is_ok(),
        }
    }
}

/// Per whole day within the period that holds, the file that is read for it.
pub(super) fn holding(events: &FileSet, rolled: &FileSet, from: Option<Micros>, to: Option<Micros>) -> BTreeMap<i64, usize> {
    let whole = |day: i64| {
        let begin = day.saturating_mul(Micros::DAY);
        from.is_none_or(|from| from.0 <= begin) && to.is_none_or(|to| begin.saturating_add(Micros::DAY) <= to.0)
    };
    let mut holding = BTreeMap::new();
    for (index, days) in rolled.rolled.iter().enumerate() {
        for (day, of) in &days.0 {
            if whole(*day) && events.days.get(day) == Some(of) {
                holding.entry(*day).or_insert(index);
            }
        }
    }
    holding
}

/// Files that are read alike together.
pub(super) fn scans(rolled: &FileSet, holding: &BTreeMap<i64, usize>) -> BTreeMap<Days, Vec<usize>> {
    let mut of_file: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for (day, index) in holding {
        of_file.entry(*index).or_default().push(*day);
    }
    let mut scans: BTreeMap<Days, Vec<usize>> = BTreeMap::new();
    for (index, days) in of_file {
        let Some((all, first, last)) =
            rolled.rolled.get(index).zip(days.first().copied()).zip(days.last().copied()).map(|((all, first), last)| (all, first, last))
        else {
            continue;
        };
        let days = if days.len() == all.0.len() {
            Days::All
        } else if days.len() == all.0.range(first..=last).count() {
            Days::Between(first, last)
        } else {
            Days::These(days)
        };
        scans.entry(days).or_default().push(index);
    }
    scans
}

/// The columns of events that a column of touches is made of.
fn sources(column: &str) -> &'static [&'static str] {
    match column {
        "day" => &[DAY],
        "count" | "first" | "last" => &["time"],
        "issued_at" => &["credential_issued_at"],
        "issued_seen" => &["time", "credential_issued_at"],
        shared => SHARED.iter().position(|known| *known == shared).and_then(|at| SHARED.get(at..=at)).unwrap_or(&[]),
    }
}

/// A column of touches, of one event.
fn as_touch(column: &str) -> Result<Expr> {
    Ok(match column {
        "day" => cast(col(DAY), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        "count" => lit(1_i64),
        "first" | "last" => col("time"),
        "issued_at" => col("credential_issued_at"),
        "issued_seen" => when(col("credential_issued_at").is_not_null(), col("time")).end()?,
        shared => col(shared),
    })
}

/// A literal of the type of `time`.
pub(crate) fn moment(time: Micros) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(time.0), Some("UTC".into())))
}

fn physical(filters: Vec<Expr>, schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(filter) = conjunction(filters) else { return Ok(None) };
    create_physical_expr(&filter, &DFSchema::try_from(schema.clone())?, &Default::default(), &Default::default()).map(Some)
}

fn projected(columns: &[&str]) -> Result<SchemaRef> {
    let schema = Touch::arrow_schema();
    let projection = columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(schema.project(&projection)?))
}

/// Touches of a period as a table of SQL.
#[derive(Debug)]
pub(crate) struct TouchesTable {
    touches: Touches,
    from: Option<Micros>,
    to: Option<Micros>,
    schema: SchemaRef,
}

impl TouchesTable {
    pub(crate) fn new(touches: Touches, from: Option<Micros>, to: Option<Micros>) -> Self {
        // Nullable throughout: what comes from events and what comes from the roll-up are told apart by nobody.
        let schema = Arc::new(Schema::new(Touch::arrow_schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()));
        Self { touches, from, to, schema }
    }
}

#[async_trait]
impl TableProvider for TouchesTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(&self, session: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], _limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let columns = match projection {
            Some(projection) => projection.iter().filter_map(|index| names.get(*index).copied()).collect(),
            None => names,
        };
        let filters: Vec<Expr> =
            filters.iter().filter(|filter| filter.column_refs().iter().all(|column| SHARED.contains(&column.name.as_str()))).cloned().collect();
        let order = if filters.iter().any(pins_destination) && !filters.iter().any(|filter| names_column(filter, "identity")) {
            Order::Destination
        } else {
            Order::Identity
        };
        let wanted = Wanted { order, from: self.from, to: self.to, columns, filters, exact: false, rolled: true };
        let means = Means {
            runtime: session.runtime_env(),
            partitions: session.config().target_partitions(),
            parquet: session.config().options().execution.parquet.clone(),
        };
        self.touches.in_order(order).ready().await?;
        self.touches.plan(&wanted, &means)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn names_column(filter: &Expr, name: &str) -> bool {
    filter.column_refs().iter().any(|column| column.name == name)
}

fn pins_destination(filter: &Expr) -> bool {
    names_column(filter, "destination")
        && match filter {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => *op == Operator::Eq,
            Expr::InList(list) => !list.negated,
            _ => false,
        }
}

/// `touches_within(from, to)`: touches of a period whose bounds are microseconds since the epoch or NULL, for questions that are SQL.
#[derive(Debug)]
pub(crate) struct Within(pub(crate) Touches);

/// Its name. It is no question, and doors do not list it.
pub(crate) const TOUCHES_WITHIN: &str = "touches_within";

impl TableFunctionImpl for Within {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let bound = |index: usize| match args.exprs().get(index) {
            None => Ok(None),
            Some(Expr::Literal(literal, _)) if literal.is_null() => Ok(None),
            Some(Expr::Literal(ScalarValue::Int64(Some(micros)), _)) => Ok(Some(Micros(*micros))),
            Some(other) => plan_err!("{TOUCHES_WITHIN} takes microseconds since the epoch or NULL, not {other}"),
        };
        Ok(Arc::new(TouchesTable::new(self.0.clone(), bound(0)?, bound(1)?)))
    }
}
