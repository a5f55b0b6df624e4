//! How a question becomes a table function: declared arguments and columns, and an answer that is computed when the plan
//! runs, on the version of the lake that the session is at.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::Expr;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use keytrail_schemas::{Column, Micros};

use crate::engine::Engine;
use crate::{Error, column, parse_time};

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A timestamp, or text that [`parse_time`] reads.
    Time,
    /// A whole number.
    Count,
}

/// One argument of a question.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
}

impl Argument {
    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: true }
    }

    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }

    /// What it means, for a person.
    #[must_use]
    pub fn doc(&self) -> &'static str {
        match (self.name, self.kind) {
            ("identity", _) => "An identity: its canonical id, or a fragment that only one holds.",
            ("destination", _) => "A destination: its canonical id, or a fragment that only one holds.",
            ("credential", _) => "A credential: its id, or a fragment that only one holds.",
            ("identity_or_credential" | "credential_or_identity", _) => "An identity or a credential: its id, or a fragment that only one holds.",
            ("who", _) => "machines (the default), humans or all.",
            ("dimension", _) => "What is new: destination, source_ip, action, credential, protocol, …",
            ("within", _) => "Minutes before and after an act within which somebody else counts, 1 to 1440 (default 15).",
            ("hops", _) => "How many hops, 1 to 10 (default 3).",
            ("severity", _) => "At least this severe: info, low, medium, high or critical.",
            ("rule", _) => "Only this rule.",
            ("technique", _) => "Only this ATT&CK technique, and its sub-techniques.",
            ("to" | "a_to" | "b_to", _) => {
                "End of the period, which does not belong to it: RFC 3339, a date, or a span back from the newest event, such as -7d."
            }
            (_, Kind::Time) => "Begin of the period: RFC 3339, a date, or a span back from the newest event, such as -7d; also today, yesterday, now.",
            (_, Kind::Text) => "Text.",
            (_, Kind::Count) => "A whole number.",
        }
    }
}

/// The optional period that most questions take: `from` belongs to it, `to` does not.
pub(crate) const FROM: Argument = Argument::optional("from", Kind::Time);
/// See [`FROM`].
pub(crate) const TO: Argument = Argument::optional("to", Kind::Time);

/// One value given for an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Time(Micros),
    Count(i64),
}

/// The values given, in the order of the declared arguments; `None` where one was left out or NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values(pub(crate) Vec<Option<Value>>);

/// The period of a question, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Period {
    pub(crate) from: Option<Micros>,
    pub(crate) to: Option<Micros>,
}

impl Values {
    /// The text at `index`.
    pub(crate) fn text(&self, index: usize) -> Option<&str> {
        match self.0.get(index) {
            Some(Some(Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// The whole number at `index`.
    pub(crate) fn count(&self, index: usize) -> Option<i64> {
        match self.0.get(index) {
            Some(Some(Value::Count(count))) => Some(*count),
            _ => None,
        }
    }

    /// The period whose `from` stands at `index` and whose `to` follows it.
    pub(crate) async fn period(&self, engine: &Engine, index: usize) -> Result<Period, Error> {
        let is_told = [index, index + 1].into_iter().any(|index| self.text(index).is_some());
        let now = if is_told { engine.watermark().await?.unwrap_or_default() } else { Micros::default() };
        self.period_before(now, index)
    }

    /// The same, where `now` is known.
    pub(crate) fn period_before(&self, now: Micros, index: usize) -> Result<Period, Error> {
        let period = Period { from: self.time(now, index)?, to: self.time(now, index + 1)? };
        match (period.from, period.to) {
            (Some(from), Some(to)) if from > to => Err(Error::EmptyPeriod { from: from.to_rfc3339(), to: to.to_rfc3339() }),
            _ => Ok(period),
        }
    }

    fn time(&self, now: Micros, index: usize) -> Result<Option<Micros>, Error> {
        match self.0.get(index) {
            Some(Some(Value::Time(time))) => Ok(Some(*time)),
            Some(Some(Value::Text(text))) => parse_time(text, now).map(Some),
            _ => Ok(None),
        }
    }
}

/// What a question comes to.
pub(crate) enum Answer {
    Batch(RecordBatch),
    Stream(SendableRecordBatchStream),
}

/// One question.
#[async_trait]
pub(crate) trait Function: std::fmt::Debug + Send + Sync {
    /// Its name in SQL.
    fn name(&self) -> &'static str;
    /// What it answers, in one line.
    fn doc(&self) -> &'static str;
    /// What it takes.
    fn arguments(&self) -> &'static [Argument];
    /// What its rows hold.
    fn columns(&self) -> &'static [Column];
    /// Answers it.
    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error>;
}

/// How `function` is called, optional arguments in brackets.
pub(crate) fn usage(function: &dyn Function) -> String {
    let mut usage = format!("{}(", function.name());
    for (index, argument) in function.arguments().iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        usage += &if argument.required { format!("{comma}{}", argument.name) } else { format!("[{comma}{}]", argument.name) };
    }
    usage + ")"
}

/// Starts `function` and brings its rows to the declared columns.
pub(crate) fn run(engine: Arc<Engine>, function: Arc<dyn Function>, values: Values) -> SendableRecordBatchStream {
    let columns = function.columns();
    let schema = column::schema(columns);
    let rows = stream::once(async move {
        let answer = function.answer(&engine, &values).await?;
        Ok::<_, DataFusionError>(match answer {
            Answer::Batch(batch) => stream::once(async move { Ok(batch) }).boxed(),
            Answer::Stream(stream) => stream.boxed(),
        })
    })
    .try_flatten()
    .and_then(move |batch| async move { column::conform(columns, &batch).map_err(DataFusionError::from) });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// A [`Function`] as DataFusion calls it.
#[derive(Debug)]
pub(crate) struct TableFunction {
    pub(crate) engine: Arc<Engine>,
    pub(crate) function: Arc<dyn Function>,
}

impl TableFunctionImpl for TableFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        let values = values(self.function.as_ref(), args.exprs())?;
        let call = Call { schema: column::schema(self.function.columns()), engine: self.engine.clone(), function: self.function.clone(), values };
        Ok(Arc::new(StreamingTable::try_new(call.schema.clone(), vec![Arc::new(call)])?))
    }
}

#[derive(Debug)]
struct Call {
    schema: SchemaRef,
    engine: Arc<Engine>,
    function: Arc<dyn Function>,
    values: Values,
}

impl PartitionStream for Call {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        run(self.engine.clone(), self.function.clone(), self.values.clone())
    }
}

/// The values of a call in SQL.
pub(crate) fn values(function: &dyn Function, given: &[Expr]) -> Result<Values, Error> {
    let problem = |problem: String| Error::Arguments { function: function.name(), problem, usage: usage(function) };
    let declared = function.arguments();
    if given.len() > declared.len() {
        return Err(problem(format!("{} arguments are too many", given.len())));
    }
    let mut values = Vec::with_capacity(declared.len());
    for (index, argument) in declared.iter().enumerate() {
        let value = match given.get(index) {
            None => None,
            Some(Expr::Literal(literal, _)) => value(argument.kind, literal).map_err(|()| problem(format!("{} cannot be {literal}", argument.name)))?,
            Some(other) => return Err(problem(format!("{} must be a literal, not {other}", argument.name))),
        };
        if value.is_none() && argument.required {
            return Err(problem(format!("{} is missing", argument.name)));
        }
        values.push(value);
    }
    Ok(Values(values))
}

fn value(kind: Kind, literal: &ScalarValue) -> Result<Option<Value>, ()> {
    if literal.is_null() {
        return Ok(None);
    }
    if let Some(text) = literal.try_as_str().flatten() {
        return match kind {
            Kind::Count => text.parse().map(|count| Some(Value::Count(count))).map_err(|_| ()),
            Kind::Text | Kind::Time => Ok(Some(Value::Text(text.to_owned()))),
        };
    }
    match kind {
        Kind::Text => Err(()),
        Kind::Time => match literal.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))) {
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) if literal.data_type().is_temporal() => Ok(Some(Value::Time(Micros(micros)))),
            _ => Err(()),
        },
        Kind::Count => match literal.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(count))) if literal.data_type().is_integer() => Ok(Some(Value::Count(count))),
            _ => Err(()),
        },
    }
}
