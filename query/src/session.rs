//! The session: a lake opened for reading, and everything that can be asked of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use keytrail_schemas::{Column, CredentialRecord, Event, Finding, IdentityRecord, Micros, Table as _, Text};
use object_store::ObjectStore;
use tokio::time::Instant;
use url::Url;

use crate::engine::Engine;
use crate::question::{self, Call, Period, Question, TableFunction};
use crate::resolve::{self, Kind};
use crate::statement::{self, Statement};
use crate::table::TableName;
use crate::views::{self, Dialect, Place, Places};
use crate::{Error, ExplainedFinding, LiveLedger, Options, explain, parse_time, placed, read_only};

/// A lake, opened for reading. Every call moves to the newest version first, which costs one look per table where nothing
/// was committed. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    engine: Arc<Engine>,
    context: SessionContext,
    /// What [`Session::with_table`] added.
    tables: Vec<(String, Arc<dyn TableProvider>)>,
}

/// Rows as they come.
pub struct Rows {
    /// Their columns.
    pub schema: SchemaRef,
    /// The batches, within the session's limits of time and rows.
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens the lake in a folder or at an object store URL.
    ///
    /// # Errors
    /// [`Error::NoLake`] where there is none, [`Error::Location`] for what is no place, and what reading its logs gives.
    pub async fn open(location: &str, options: Options) -> Result<Self, Error> {
        Self::over(Engine::open(&root(location)?, None, options).await?).await
    }

    /// Opens the lake at `url` in a store that the caller brings, rooted where the URL's path starts.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open_with_store(url: &Url, store: Arc<dyn ObjectStore>, options: Options) -> Result<Self, Error> {
        Self::over(Engine::open(url, Some(store), options).await?).await
    }

    async fn over(engine: Arc<Engine>) -> Result<Self, Error> {
        let context = context(&engine, &[]).await?;
        Ok(Self { engine, context, tables: Vec::new() })
    }

    /// Moves to the newest version of every table.
    ///
    /// # Errors
    /// [`Error::Lake`] when storage is out of reach.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.engine.ready(&TableName::ALL).await?;
        self.engine.refresh().await
    }

    /// The time of the newest event, which is this crate's "now"; `None` while there are no events.
    ///
    /// # Errors
    /// What reading the lake gives.
    pub async fn watermark(&self) -> Result<Option<Micros>, Error> {
        self.engine.refresh().await?;
        self.engine.watermark().await
    }

    /// Answers a question, row by row.
    ///
    /// # Errors
    /// What the question gives: unknown and ambiguous names, limits, and what reading the lake gives.
    pub async fn ask_stream(&self, question: &Question) -> Result<Rows, Error> {
        self.call(Call::from(question)).await
    }

    /// Answers a question that was asked by name.
    ///
    /// # Errors
    /// As [`Session::ask_stream`].
    pub async fn call(&self, call: Call) -> Result<Rows, Error> {
        self.engine.refresh().await?;
        Ok(self.limited(question::run(self.engine.clone(), call.function, call.values)))
    }

    /// The coverage line of a question that was asked by name: over the period from its first time to its last.
    ///
    /// # Errors
    /// [`Error::Time`], and what reading the lake gives.
    pub async fn coverage_of(&self, call: &Call) -> Result<String, Error> {
        let now = self.watermark().await?.unwrap_or_default();
        let given = call.arguments();
        let time = |names: [&str; 2]| given.iter().find(|(name, _)| names.contains(name)).map(|(_, text)| parse_time(text, now)).transpose();
        self.coverage_line(time(["from", "a_from"])?, time(["to", "b_to"])?).await
    }

    /// Answers a question.
    ///
    /// # Errors
    /// As [`Session::ask_stream`].
    pub async fn ask(&self, question: &Question) -> Result<Vec<RecordBatch>, Error> {
        self.ask_stream(question).await?.batches.try_collect().await
    }

    /// Runs one SQL statement that only reads, over the tables `events`, `findings` (the latest revision of each),
    /// `findings_log` (all revisions), `detections`, `detections_log`, `dead_letters`, `credentials`, `identities` and the functions of
    /// [`crate::functions`]. Rows come as they are found.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Sql`], limits, and what reading the lake gives.
    pub async fn sql_stream(&self, sql: &str) -> Result<Rows, Error> {
        self.start(self.prepare(sql).await?).await
    }

    /// Plans one SQL statement that only reads, for whoever wants to look at what it reads before it runs.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Sql`], and what reading the lake gives.
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        let statement = read_only::parse(sql)?;
        self.refresh().await?;
        let plan = self.within(self.context.state().statement_to_plan(statement)).await?;
        statement::verify(&self.engine, &plan)?;
        Ok(Statement { plan })
    }

    /// Starts a prepared statement.
    ///
    /// # Errors
    /// Limits, and what reading the lake gives.
    pub async fn start(&self, statement: Statement) -> Result<Rows, Error> {
        let started = async { self.context.execute_logical_plan(statement.plan).await?.execute_stream().await };
        Ok(self.limited(self.within(started).await?))
    }

    /// Waits for `work` as long as a statement may run.
    async fn within<T>(&self, work: impl Future<Output = Result<T, DataFusionError>>) -> Result<T, Error> {
        let seconds = self.engine.options().time_limit_seconds;
        tokio::time::timeout(Duration::from_secs(seconds), work).await.map_err(|_| Error::TimeLimit { seconds })?.map_err(|e| self.engine.own(e))
    }

    /// Refuses a plan that would do more than read: for a door that plans on a context of its own.
    ///
    /// # Errors
    /// [`Error::Sql`] that names what it would do.
    pub fn verify(&self, plan: &LogicalPlan) -> Result<(), Error> {
        statement::verify(&self.engine, plan)
    }

    /// A context of its own over the same tables, questions and limits of memory, for a door that speaks SQL through DataFusion. Who plans on it holds
    /// [`crate::reads_only`] and [`Session::verify`] before it runs anything.
    ///
    /// # Errors
    /// What registering the tables gives.
    pub async fn own_context(&self) -> Result<SessionContext, Error> {
        context(&self.engine, &self.tables).await
    }

    /// Registers the lake's tables and the questions `touched`, `who_touched`, `timeline` and `posture` in a context whose plans are run elsewhere: at the
    /// version that is the newest now, with every file at its own place. Names are whole there, and one identity is one name.
    ///
    /// # Errors
    /// What reading the lake gives, and names that `context` has already.
    pub async fn place_in(&self, context: &SessionContext) -> Result<(), Error> {
        self.refresh().await?;
        placed::place(&self.engine, context).await
    }

    /// The session with one table more, which is not the lake's. The name must be free.
    ///
    /// # Errors
    /// What registering it gives.
    pub fn with_table(mut self, name: &str, table: Arc<dyn TableProvider>) -> Result<Self, Error> {
        self.context.register_table(name, table.clone()).map_err(|e| self.engine.own(e))?;
        self.tables.push((name.to_owned(), table));
        Ok(self)
    }

    /// The session with what the detector knows now laid over the ledger that it published last, for whoever has both in one process.
    #[must_use]
    pub fn with_live(self, live: &Arc<LiveLedger>) -> Self {
        self.engine.lay(live);
        self
    }

    /// The limits of this session.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.engine.options()
    }

    /// This crate's error for one of DataFusion's, for a door that runs plans of its own.
    #[must_use]
    pub fn error(&self, error: DataFusionError) -> Error {
        self.engine.own(error)
    }

    /// The same, with the file and the period that cannot be read, where a file is why.
    pub async fn explained(&self, error: DataFusionError) -> Error {
        self.engine.explained(self.engine.own(error)).await
    }

    /// [`Session::sql_stream`], all of it.
    ///
    /// # Errors
    /// As [`Session::sql_stream`].
    pub async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        let rows = self.sql_stream(sql).await?;
        let schema = rows.schema;
        let batches: Vec<_> = rows.batches.try_collect().await?;
        Ok(if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches })
    }

    /// The identity that `text` stands for: a canonical id, its last path segment, or a fragment that only one holds.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Ambiguous`], and what reading the lake gives.
    pub async fn resolve_identity(&self, text: &str) -> Result<Text, Error> {
        self.resolve(Kind::Identity, text).await
    }

    /// The destination that `text` stands for.
    ///
    /// # Errors
    /// As [`Session::resolve_identity`].
    pub async fn resolve_destination(&self, text: &str) -> Result<Text, Error> {
        self.resolve(Kind::Destination, text).await
    }

    /// The credential that `text` stands for.
    ///
    /// # Errors
    /// As [`Session::resolve_identity`].
    pub async fn resolve_credential(&self, text: &str) -> Result<Text, Error> {
        self.resolve(Kind::Credential, text).await
    }

    /// The finding that `text` stands for.
    ///
    /// # Errors
    /// As [`Session::resolve_identity`].
    pub async fn resolve_finding(&self, text: &str) -> Result<Text, Error> {
        self.resolve(Kind::Finding, text).await
    }

    async fn resolve(&self, kind: Kind, text: &str) -> Result<Text, Error> {
        self.engine.refresh().await?;
        resolve::resolve(&self.engine, kind, text).await
    }

    /// The line that stands at the end of every answer: what the answer cannot know.
    ///
    /// # Errors
    /// What reading the lake gives.
    pub async fn coverage_line(&self, from: Option<Micros>, to: Option<Micros>) -> Result<String, Error> {
        self.engine.refresh().await?;
        Ok(question::line(question::covered(&self.engine, Period { from, to }).await?.as_ref()))
    }

    /// One finding whole: its evidence, its credential and what else was found around it. `id` may be a fragment.
    ///
    /// # Errors
    /// As [`Session::resolve_finding`].
    pub async fn explain_finding(&self, id: &str) -> Result<ExplainedFinding, Error> {
        let id = self.resolve_finding(id).await?;
        explain::explain(&self.engine, &id).await
    }

    /// The questions for another engine: over the Delta tables in the lake at `location`, or over their files as they stand now.
    ///
    /// # Errors
    /// [`Error::Arguments`] where the engine cannot read it that way, or there are no files yet.
    pub async fn views(&self, dialect: Dialect, location: &str, by_files: bool) -> Result<String, Error> {
        self.refresh().await?;
        let place = |name: TableName, columns: &'static [Column]| {
            let root = format!("{}/{}", location.trim_end_matches('/'), name.folder());
            let table = self.engine.table(name);
            let files: Vec<String> = table.files().files.iter().map(|file| format!("{root}/{}", file.meta.location)).collect();
            match (files.is_empty(), name) {
                (true, TableName::Events) => {
                    let problem = format!("{} has no files yet", name.folder());
                    Err(Error::Arguments { function: "views", problem, usage: "keytrail views --dialect … [--files]".to_owned() })
                }
                (true, _) => Ok(Place::Empty(columns.iter().map(|column| (column.name, column.ty)).collect())),
                (false, _) if by_files => Ok(Place::Files(files)),
                (false, _) => Ok(Place::Delta(root)),
            }
        };
        let places = Places {
            events: place(TableName::Events, Event::COLUMNS)?,
            credentials: place(TableName::Credentials, CredentialRecord::COLUMNS)?,
            identities: place(TableName::Identities, IdentityRecord::COLUMNS)?,
            findings: place(TableName::Findings, Finding::COLUMNS)?,
        };
        views::views(dialect, &places)
    }

    /// Brings a stream under the limits of time and rows.
    fn limited(&self, stream: SendableRecordBatchStream) -> Rows {
        let schema = stream.schema();
        let (seconds, rows_max) = (self.engine.options().time_limit_seconds, self.engine.options().rows_max);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let engine = self.engine.clone();
        let batches = stream::try_unfold((stream, 0_usize), move |(mut stream, rows)| {
            let engine = engine.clone();
            async move {
                let next = tokio::time::timeout_at(deadline, stream.next()).await.map_err(|_| Error::TimeLimit { seconds })?;
                let batch = match next.transpose() {
                    Ok(Some(batch)) => batch,
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(engine.explained(engine.own(error)).await),
                };
                let rows = rows + batch.num_rows();
                if rows > rows_max { Err(Error::RowLimit { rows: rows_max }) } else { Ok(Some((batch, (stream, rows)))) }
            }
        });
        Rows { schema, batches: batches.boxed() }
    }
}

/// A context over the tables, the questions, and what else was added.
async fn context(engine: &Arc<Engine>, more: &[(String, Arc<dyn TableProvider>)]) -> Result<SessionContext, Error> {
    let context = engine.sibling_context().await?;
    for function in question::all() {
        let name = function.name();
        let function = Arc::new(TableFunction { engine: engine.clone(), function });
        context.register_udtf(name, function.clone());
        // A name that is not quoted is the same in capitals, in which Superset writes it; the planner looks it up as it stands.
        context.register_udtf(&name.to_ascii_uppercase(), function);
    }
    for (name, table) in more {
        context.register_table(name.as_str(), table.clone()).map_err(|e| engine.own(e))?;
    }
    Ok(context)
}

/// The URL of the lake's folder.
fn root(location: &str) -> Result<Url, Error> {
    if location.contains("://") {
        return Url::parse(location).map_err(|e| Error::Location { location: location.to_owned(), reason: e.to_string() });
    }
    let path = Path::new(location).canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NoLake { location: location.to_owned() },
        _ => Error::Location { location: location.to_owned(), reason: e.to_string() },
    })?;
    Url::from_directory_path(&path).map_err(|()| Error::Location { location: location.to_owned(), reason: "its path cannot be written as a URL".to_owned() })
}

/// Doors answer on tasks that move between threads: a future that cannot is found here, and not in every door.
const _: () = {
    const fn moves<T: Send>(_: &T) {}
    #[allow(dead_code, reason = "only its types are looked at")]
    fn futures_move(session: &Session, sql: &str, question: &Question, call: Call) {
        moves(&session.sql(sql));
        moves(&session.ask(question));
        moves(&session.call(call));
        moves(&session.coverage_line(None, None));
        moves(&session.views(Dialect::DuckDb, sql, false));
        moves(&session.explained(DataFusionError::Plan(String::new())));
        moves(&session.explain_finding(sql));
    }
};
