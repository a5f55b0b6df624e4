//! What a statement may do, looked at before anything runs: it reads, or says something about the session, or is refused by name.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Set, Statement};
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::datatypes::df;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use keytrail_query::{Reads, reads_only};

use super::Guest;
use crate::{Desk, Error};

/// What kind of statement it is.
enum Kind {
    /// It reads.
    Reads,
    /// The library's own hooks answer it: transactions, SET, SHOW, cursors.
    Session,
    /// It is taken, and there is nothing to do.
    Taken(&'static str),
}

fn kind(statement: &Statement) -> Result<Kind, Error> {
    Ok(match statement {
        Statement::Set(set) => {
            // The library would hand a setting that it does not know to DataFusion, whose settings are everybody's.
            let name = match set {
                Set::SingleAssignment { variable, .. } => variable.to_string().to_ascii_lowercase(),
                _ => String::new(),
            };
            if KNOWN.contains(&name.as_str()) || matches!(set, Set::SetTimeZone { .. }) { Kind::Session } else { Kind::Taken("SET") }
        }
        Statement::ShowVariable { .. } | Statement::StartTransaction { .. } | Statement::Commit { .. } | Statement::Rollback { .. } => Kind::Session,
        Statement::Declare { .. } | Statement::Fetch { .. } | Statement::Close { .. } => Kind::Session,
        Statement::Discard { .. } => Kind::Taken("DISCARD"),
        Statement::Deallocate { .. } => Kind::Taken("DEALLOCATE"),
        Statement::UNLISTEN { .. } => Kind::Taken("UNLISTEN"),
        Statement::Reset(_) => Kind::Taken("RESET"),
        Statement::Savepoint { .. } => Kind::Taken("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Kind::Taken("RELEASE"),
        other => {
            reads_only(other)?;
            Kind::Reads
        }
    })
}

/// Settings that the library keeps with the connection.
const KNOWN: [&str; 7] = ["statement_timeout", "datestyle", "bytea_output", "intervalstyle", "application_name", "extra_float_digits", "search_path"];

/// A plan of nothing.
fn nothing() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(DFSchema::empty()) })
}

/// The first of the hooks: lets through what may be.
#[derive(Debug)]
pub struct Guard {
    desk: Desk,
}

impl Guard {
    pub fn new(desk: &Desk) -> Self {
        Self { desk: desk.clone() }
    }

    /// A cursor's query is looked at when it is declared.
    async fn declared(&self, statement: &Statement, context: &SessionContext, client: &mut dyn HookClient) -> Result<(), PgWireError> {
        let Statement::Declare { stmts } = statement else { return Ok(()) };
        for query in stmts.iter().filter_map(|declared| declared.for_query.as_ref()) {
            let plan = planned(&self.desk, context, Statement::Query(query.clone())).await?;
            looked_at(&self.desk, &plan, client).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl QueryHook for Guard {
    async fn handle_simple_query(&self, statement: &Statement, context: &SessionContext, client: &mut dyn HookClient) -> Option<PgWireResult<Response>> {
        match kind(statement) {
            Err(error) => Some(Err(error.into())),
            Ok(Kind::Taken(tag)) => Some(Ok(Response::Execution(Tag::new(tag)))),
            Ok(Kind::Session) => self.declared(statement, context, client).await.err().map(Err),
            Ok(Kind::Reads) => None,
        }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _context: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        // The library describes what a cursor gives as having no columns, and clients that believe it fall over the rows.
        if matches!(statement, Statement::Declare { .. } | Statement::Fetch { .. }) {
            let told = "cursors are for the simple protocol (psql) only: let the client take the rows as they come, or fetch from the portal (fetch size)";
            return Some(Err(PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), "0A000".to_owned(), told.to_owned())))));
        }
        match kind(statement) {
            Err(error) => Some(Err(error.into())),
            Ok(Kind::Taken(_)) => Some(Ok(nothing())),
            Ok(Kind::Session | Kind::Reads) => None,
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.handle_simple_query(statement, context, client).await
    }
}

/// The last of the hooks: plans what reads, and looks at what it reads.
#[derive(Debug)]
pub struct Reading {
    desk: Desk,
}

impl Reading {
    pub fn new(desk: &Desk) -> Self {
        Self { desk: desk.clone() }
    }

    async fn answered(&self, statement: &Statement, context: &SessionContext, client: &mut dyn HookClient) -> PgWireResult<Response> {
        let plan = planned(&self.desk, context, statement.clone()).await?;
        looked_at(&self.desk, &plan, client).await?;
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        Ok(Response::Query(df::encode_dataframe(DataFrame::new(context.state(), plan), &Format::UnifiedText, Some(options)).await?))
    }
}

#[async_trait]
impl QueryHook for Reading {
    async fn handle_simple_query(&self, statement: &Statement, context: &SessionContext, client: &mut dyn HookClient) -> Option<PgWireResult<Response>> {
        Some(self.answered(statement, context, client).await)
    }

    async fn handle_extended_parse_query(
        &self,
        _statement: &Statement,
        _context: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        None
    }

    async fn handle_extended_query(
        &self,
        _statement: &Statement,
        plan: &LogicalPlan,
        _parameters: &ParamValues,
        _context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        // The library runs it, with the parameters and in the format of the portal.
        looked_at(&self.desk, plan, client).await.err().map(Err)
    }
}

/// Plans a statement on the door's context.
pub async fn planned(desk: &Desk, context: &SessionContext, statement: Statement) -> PgWireResult<LogicalPlan> {
    let plan = context.state().statement_to_plan(Parsed::Statement(Box::new(statement))).await;
    Ok(plan.map_err(|error| Error::Query(desk.session().error(error)))?)
}

/// Refuses a plan that does more than the caller may; else says what the answer cannot know.
pub async fn looked_at(desk: &Desk, plan: &LogicalPlan, client: &mut dyn HookClient) -> PgWireResult<()> {
    desk.session().verify(plan).map_err(Error::from)?;
    let reads = Reads::of(plan);
    let is_of_the_lake = !(reads.tables.is_empty() && reads.functions.is_empty());
    permitted(desk, reads, client)?;
    if !is_of_the_lake {
        return Ok(());
    }
    let coverage = desk.session().coverage_line(None, None).await.map_err(Error::from)?;
    covered(client, coverage).await
}

/// Refuses what the caller may not read, as the tokens stand now; the record hears what it was.
pub fn permitted(desk: &Desk, reads: Reads, client: &mut dyn HookClient) -> Result<(), Error> {
    let guest = Guest::of(client)?;
    let caller = desk.access().again(&guest.visit.caller)?;
    *guest.reads.lock().unwrap_or_else(PoisonError::into_inner) = Some(reads.clone());
    caller.may_read(&reads)
}

/// Says what the answer cannot know.
pub async fn covered(client: &mut dyn HookClient, coverage: String) -> PgWireResult<()> {
    let notice = ErrorInfo::new("NOTICE".to_owned(), "00000".to_owned(), coverage);
    client.send_message(PgWireBackendMessage::NoticeResponse(notice.into())).await
}
