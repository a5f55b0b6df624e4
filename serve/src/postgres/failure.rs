//! Errors as PostgreSQL's clients read them: a SQLSTATE, and the same sentence as every other door says.

use datafusion::error::DataFusionError;
use datafusion_postgres::pgwire::api::{ClientInfo, ErrorHandler};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use keytrail_query::Error as Q;

use crate::{Desk, Error};

/// Brings errors to their form before they are sent.
#[derive(Debug)]
pub struct Failures {
    desk: Desk,
}

impl Failures {
    pub fn new(desk: &Desk) -> Self {
        Self { desk: desk.clone() }
    }
}

impl ErrorHandler for Failures {
    fn on_error<C>(&self, _client: &C, error: &mut PgWireError)
    where
        C: ClientInfo,
    {
        if let PgWireError::ApiError(_) = error {
            let taken = std::mem::replace(error, PgWireError::QueryCanceled);
            *error = told(&self.desk, taken);
        }
    }
}

/// An error of the library's with DataFusion's inside, told as this crate's.
pub fn told(desk: &Desk, error: PgWireError) -> PgWireError {
    let PgWireError::ApiError(inner) = error else { return error };
    let inner = match inner.downcast::<DataFusionError>() {
        Ok(error) => return Error::Query(desk.session().error(*error)).into(),
        Err(inner) => inner,
    };
    match inner.downcast::<Box<DataFusionError>>() {
        Ok(error) => Error::Query(desk.session().error(**error)).into(),
        Err(inner) => PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), "42601".to_owned(), inner.to_string()))),
    }
}

/// An error of this crate's, as it is sent.
pub fn of(error: Error) -> PgWireError {
    error.into()
}

impl From<Error> for PgWireError {
    fn from(error: Error) -> Self {
        Self::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), state(&error).to_owned(), error.to_string())))
    }
}

/// PostgreSQL, appendix A.
fn state(error: &Error) -> &'static str {
    match error {
        Error::Unauthenticated(_) => "28000",
        Error::Forbidden(_) => "42501",
        Error::Busy(_) => "53300",
        Error::SlowReader { .. } | Error::Query(Q::TimeLimit { .. }) => "57014",
        Error::Request(_) => "08P01",
        Error::Query(Q::Unknown { .. }) => "42704",
        Error::Query(Q::Ambiguous { .. }) => "42702",
        Error::Query(Q::Time { .. } | Q::EmptyPeriod { .. }) => "22007",
        Error::Query(Q::Arguments { .. }) => "42883",
        Error::Query(Q::ReadOnly { .. }) => "25006",
        Error::Query(Q::Sql(text)) if text.contains("No field named") => "42703",
        Error::Query(Q::Sql(text)) if text.contains("not found") => "42P01",
        Error::Query(Q::Sql(_)) => "42601",
        Error::Query(Q::RowLimit { .. }) => "54000",
        Error::Query(Q::MemoryLimit { .. }) => "53200",
        Error::Query(Q::Execution(_)) => "22000",
        Error::Query(_) | Error::Format(_) | Error::File { .. } | Error::Listen(_) => "58000",
    }
}
