//! A statement that is nothing but a named question is asked as one: it costs no planning, and its answer is the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{QueryResponse, Response};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{StreamExt as _, stream};
use keytrail_query::{Call, Reads, Rows};

use super::{guard, parameter, row};
use crate::{Desk, Error};

/// A question is not longer than this; what is, is parsed once and not twice.
const TEXT_BYTES_MAX: usize = 4_096;

/// The question that `text` is, if it is one and no more.
pub fn of(text: &str) -> Option<Call> {
    let begins = text.trim_start().get(..6)?;
    if !begins.eq_ignore_ascii_case("select") || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    match Parser::parse_sql(&PostgreSqlDialect {}, text).ok()?.as_slice() {
        [statement] => Call::of(statement),
        _ => None,
    }
}

/// Whether a prepared statement will be one once its parameters have values.
pub fn is_one(statement: &Statement) -> bool {
    Call::of(&parameter::with_stand_ins(statement)).is_some()
}

/// Asks it, for a caller who may; the coverage line is that of its period.
pub async fn answered(desk: &Desk, call: Call, client: &mut dyn HookClient, format: &Format) -> PgWireResult<Response> {
    let reads = Reads { tables: BTreeSet::new(), functions: BTreeSet::from([call.name().to_owned()]) };
    guard::permitted(desk, reads, client)?;
    let coverage = desk.session().coverage_of(&call).await.map_err(Error::from)?;
    guard::covered(client, coverage).await?;
    let Rows { schema, batches } = desk.session().call(call).await.map_err(Error::from)?;
    let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
    let fields = Arc::new(arrow_schema_to_pg_fields(&schema, format, Some(options))?);
    let of_batch = fields.clone();
    let rows = batches.flat_map(move |batch| match batch {
        Ok(batch) => stream::iter(row::rows(&of_batch, batch)).left_stream(),
        Err(error) => stream::iter([Err(PgWireError::from(Error::from(error)))]).right_stream(),
    });
    Ok(Response::Query(QueryResponse::new(fields, rows)))
}
