//! Every statement on its way through: written down, held to its limits, cancelled when its client says so.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::datatypes::df;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response};
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use datafusion_postgres::{DfSessionService, Parser as Inner};
use futures::{Sink, StreamExt as _, stream};
use keytrail_query::Call;
use tokio::time::Instant;

use super::{Guest, catalogue, failure, guard, parameter, question};
use crate::answer::{Asked, paced};
use crate::{Desk, Error};

/// Rows that are handed to the connection at once.
const ROWS_AT_ONCE: usize = 512;

/// A statement as the library keeps it: its text, and, where there is one, itself and its plan.
type Kept = (String, Option<(Statement, LogicalPlan)>);

/// Answers statements.
pub struct Service {
    desk: Desk,
    context: Arc<SessionContext>,
    inner: DfSessionService,
    parser: Arc<Parser>,
}

impl Service {
    pub fn new(desk: &Desk, context: Arc<SessionContext>, inner: DfSessionService) -> Self {
        let parser = Parser { desk: desk.clone(), context: context.clone(), inner: inner.query_parser(), compatible: PostgresCompatibilityParser::new() };
        Self { desk: desk.clone(), context, inner, parser: Arc::new(parser) }
    }

    /// Runs `work` as a statement of this client's (SQL, or nothing but a named question): with a turn, within the time, and until it is cancelled; then
    /// watches its rows.
    async fn run(
        &self,
        guest: &Guest,
        text: &str,
        own_limit: Option<Duration>,
        is_sql: bool,
        work: impl Future<Output = PgWireResult<Vec<Response>>> + Send,
    ) -> PgWireResult<Vec<Response>> {
        let mut asked = self.desk.asked(&guest.visit, "sql", text.to_owned());
        *guest.reads.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let limit = Duration::from_secs(self.desk.session().options().time_limit_seconds);
        let limit = own_limit.map_or(limit, |own| own.min(limit));
        let over = move || Error::Query(keytrail_query::Error::TimeLimit { seconds: limit.as_secs().max(1) });
        let deadline = Instant::now() + limit;
        let started = async {
            let caller = self.desk.access().again(&guest.visit.caller)?;
            let turn = self.desk.turn(&caller, is_sql).await?;
            self.desk.session().refresh().await.map_err(Error::from)?;
            tokio::select! {
                started = tokio::time::timeout_at(deadline, work) => Ok((started.map_err(|_| over())?.map_err(|error| failure::told(&self.desk, error))?, turn)),
                () = guest.cancel.heard() => Err(PgWireError::QueryCanceled),
            }
        };
        let (responses, turn) = match started.await {
            Ok(started) => started,
            Err(error) => {
                ended(&mut asked, &error);
                return Err(error);
            }
        };
        let reads = guest.reads.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        if reads.tables.is_empty() && reads.functions.is_empty() && !has_rows_of_a_cursor(text) {
            // What a client asks about itself or the catalogue is no question.
            asked.forget();
        } else if let (true, Some(function)) = (reads.tables.is_empty() && reads.functions.len() == 1, reads.functions.first()) {
            asked.is_about(function);
        }
        asked.takes(turn);
        asked.done();
        let watched = Watched {
            asked: Arc::new(Mutex::new(asked)),
            deadline,
            over: Arc::new(over),
            rows_max: self.desk.session().options().rows_max,
            wait: self.desk.reader_wait(),
        };
        Ok(responses.into_iter().map(|response| watched.response(response, guest)).collect())
    }
}

/// FETCH has no plan of its own: what it gives was looked at when its cursor was declared.
fn has_rows_of_a_cursor(text: &str) -> bool {
    text.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("fetch"))
}

/// What holds for the rows of a statement.
struct Watched {
    asked: Arc<Mutex<Asked>>,
    deadline: Instant,
    over: Arc<dyn Fn() -> Error + Send + Sync>,
    rows_max: usize,
    wait: Duration,
}

impl Watched {
    fn response(&self, response: Response, guest: &Guest) -> Response {
        let Response::Query(mut query) = response else { return response };
        let rows = std::mem::replace(&mut query.data_rows, Box::pin(stream::empty()));
        let (asked, over, deadline, rows_max) = (self.asked.clone(), self.over.clone(), self.deadline, self.rows_max);
        let cancelled = Box::pin(guest.cancel.heard());
        let told = move |asked: &Mutex<Asked>, error: PgWireError| {
            ended(&mut asked.lock().unwrap_or_else(PoisonError::into_inner), &error);
            error
        };
        // An answer that nobody took to its end was stopped.
        asked.lock().unwrap_or_else(PoisonError::into_inner).begun();
        let watched = stream::unfold(
            (rows.ready_chunks(ROWS_AT_ONCE), cancelled, asked, 0_usize, false),
            move |(mut rows, mut cancelled, asked, count, over_already)| {
                let (over, told) = (over.clone(), told);
                async move {
                    if over_already {
                        return None;
                    }
                    let next = tokio::select! {
                        next = tokio::time::timeout_at(deadline, rows.next()) => next,
                        () = &mut cancelled => return Some((Err(told(&asked, PgWireError::QueryCanceled)), (rows, cancelled, asked, count, true))),
                    };
                    let chunk = match next {
                        Err(_) => Err(over().into()),
                        Ok(None) => {
                            asked.lock().unwrap_or_else(PoisonError::into_inner).done();
                            return None;
                        }
                        Ok(Some(chunk)) => chunk.into_iter().collect::<PgWireResult<Vec<_>>>(),
                    };
                    let count = count + chunk.as_ref().map_or(0, Vec::len);
                    let chunk = if count > rows_max { Err(Error::Query(keytrail_query::Error::RowLimit { rows: rows_max }).into()) } else { chunk };
                    match chunk {
                        Ok(chunk) => {
                            asked.lock().unwrap_or_else(PoisonError::into_inner).saw(chunk.len());
                            Some((Ok(chunk), (rows, cancelled, asked, count, false)))
                        }
                        Err(error) => Some((Err(told(&asked, error)), (rows, cancelled, asked, count, true))),
                    }
                }
            },
        );
        query.data_rows = Box::pin(paced(watched, self.wait).flat_map(|chunk| match chunk {
            Ok(rows) => stream::iter(rows.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        }));
        Response::Query(query)
    }
}

/// Writes down why a statement has no answer, or not all of it.
fn ended(asked: &mut Asked, error: &PgWireError) {
    match error {
        PgWireError::UserError(info) => {
            let outcome = match info.code.as_str() {
                "28000" | "42501" | "25006" | "53300" => "refused",
                "57014" | "54000" | "53200" => "stopped",
                _ => "failed",
            };
            asked.ended(outcome, &info.message);
        }
        PgWireError::QueryCanceled => asked.ended("stopped", &error.to_string()),
        other => asked.ended("failed", &other.to_string()),
    }
}

/// What the client set for its own statements.
fn own_limit(client: &impl ClientInfo) -> Option<Duration> {
    client.metadata().get("statement_timeout_ms").and_then(|text| text.parse().ok()).map(Duration::from_millis)
}

#[async_trait]
impl SimpleQueryHandler for Service {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let guest = Guest::of(client)?;
        let limit = own_limit(client);
        if let Some(call) = question::of(query) {
            let work = async { Ok(vec![question::answered(&self.desk, call, client, &Format::UnifiedText).await?]) };
            return self.run(&guest, query, limit, false, work).await;
        }
        let understood = catalogue::understood(query);
        self.run(&guest, query, limit, true, SimpleQueryHandler::do_query(&self.inner, client, &understood)).await
    }
}

#[async_trait]
impl ExtendedQueryHandler for Service {
    type Statement = Kept;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        self.parser.clone()
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Kept>, max_rows: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Kept>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let guest = Guest::of(client)?;
        let limit = own_limit(client);
        let text = portal.statement.statement.0.clone();
        let work = async {
            let kept = &portal.statement.statement.1;
            if let Some(call) = kept.as_ref().and_then(|(statement, _)| Call::of(statement)) {
                return Ok(vec![question::answered(&self.desk, call, client, &portal.result_column_format).await?]);
            }
            let response = match kept {
                Some((statement, plan)) if !parameter::of(statement).is_empty() => self.with_arguments(client, portal, statement, plan).await?,
                _ => ExtendedQueryHandler::do_query(&self.inner, client, portal, max_rows).await?,
            };
            Ok(vec![response])
        };
        let is_sql = !portal.statement.statement.1.as_ref().is_some_and(|(statement, _)| question::is_one(statement));
        let mut responses = self.run(&guest, &text, limit, is_sql, work).await?;
        Ok(responses.pop().unwrap_or(Response::EmptyQuery))
    }
}

impl Service {
    /// Runs a statement whose parameters stand as arguments of questions.
    async fn with_arguments<C>(&self, client: &mut C, portal: &Portal<Kept>, statement: &Statement, plan: &LogicalPlan) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let failed = |error| failure::of(Error::Query(self.desk.session().error(error)));
        let known = plan.get_parameter_types().map_err(failed)?;
        let mut types: Vec<_> = known.into_iter().collect();
        types.sort_by_key(|(id, _)| id.trim_start_matches('$').parse::<usize>().unwrap_or(usize::MAX));
        // An argument of a question is taken as the client wrote it, a number too.
        let arguments = parameter::of(statement);
        let types: Vec<_> = types.iter().map(|(id, ty)| ty.as_ref().filter(|_| !arguments.contains(id))).collect();
        let wire = self.parser.inner.get_parameter_types(&portal.statement.statement)?;
        let values = df::deserialize_parameters_with_server_types(portal, &types, &wire.iter().map(Some).collect::<Vec<_>>())?;
        let statement = parameter::with_values(statement, &values)?;
        if let Some(call) = Call::of(&statement) {
            return question::answered(&self.desk, call, client, &portal.result_column_format).await;
        }
        let plan = guard::planned(&self.desk, &self.context, statement).await?.replace_params_with_values(&values).map_err(failed)?;
        guard::looked_at(&self.desk, &plan, client).await?;
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        Ok(Response::Query(df::encode_dataframe(DataFrame::new(self.context.state(), plan), &portal.result_column_format, Some(options)).await?))
    }
}

/// Reads statements that are prepared.
pub struct Parser {
    desk: Desk,
    context: Arc<SessionContext>,
    inner: Arc<Inner>,
    compatible: PostgresCompatibilityParser,
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Kept;

    async fn parse_sql<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Option<Kept>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let guest = Guest::of(client)?;
        self.desk.access().again(&guest.visit.caller)?;
        self.desk.session().refresh().await.map_err(Error::from)?;
        let understood = catalogue::understood(sql);
        let sql = understood.as_ref();
        let parsed = self.compatible.parse(sql).map_err(|error| failure::told(&self.desk, PgWireError::ApiError(Box::new(error))))?;
        if let [statement] = parsed.as_slice()
            && let ids = parameter::of(statement)
            && !ids.is_empty()
        {
            keytrail_query::reads_only(statement).map_err(Error::from)?;
            let plan = guard::planned(&self.desk, &self.context, parameter::with_stand_ins(statement)).await?;
            let plan = parameter::asking_for(plan, &ids).map_err(|error| Error::Query(self.desk.session().error(error)))?;
            return Ok(Some((statement.to_string(), Some((statement.clone(), plan)))));
        }
        self.inner.parse_sql(client, sql, types).await.map_err(|error| failure::told(&self.desk, error))
    }

    fn get_parameter_types(&self, statement: &Kept) -> PgWireResult<Vec<Type>> {
        self.inner.get_parameter_types(statement)
    }

    fn get_result_schema(&self, statement: &Kept, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        self.inner.get_result_schema(statement, format)
    }
}
