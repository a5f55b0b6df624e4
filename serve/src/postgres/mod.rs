//! The PostgreSQL wire (protocol 3): datafusion-postgres over a context of its own, with this crate's access, limits and record around every statement.
//!
//! The password is the token. Statements only read; what clients say about their session (SET, BEGIN, DISCARD, …) is taken and changes nothing of the data.

mod cancel;
mod catalogue;
mod connection;
mod failure;
mod fixed;
mod guard;
mod interval;
mod jdbc;
mod message;
mod parameter;
mod query;
mod question;
mod row;
mod scram;
mod sqlalchemy;
mod startup;
mod template;

use std::net::SocketAddr;
use std::sync::Arc;

use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::{ErrorHandler, PgWireServerHandlers};
use datafusion_postgres::{DfSessionService, QueryHook};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::{Desk, Error};

/// The catalogue that the lake's tables stand in.
const CATALOGUE: &str = "keytrail";

/// The door.
#[derive(Clone)]
pub struct Wire {
    startup: Arc<startup::Startup>,
    query: Arc<query::Service>,
    cancel: Arc<cancel::Cancels>,
    failure: Arc<failure::Failures>,
    message_bytes_max: usize,
}

impl Wire {
    /// A door to this desk.
    ///
    /// # Errors
    /// When the catalogue that PostgreSQL's clients look into cannot be made.
    pub async fn new(desk: &Desk) -> Result<Self, Error> {
        let mut context = desk.session().own_context().await?;
        setup_pg_catalog(&context, CATALOGUE, EmptyContextProvider).map_err(|error| Error::Query(desk.session().error(*error)))?;
        fixed::register(&context);
        template::register(&context);
        interval::register(&mut context).map_err(|error| Error::Query(desk.session().error(error)))?;
        let context = Arc::new(context);
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(guard::Guard::new(desk)),
            Arc::new(TransactionStatementHook),
            Arc::new(SetShowHook),
            Arc::new(CursorStatementHook),
            Arc::new(guard::Reading::new(desk)),
        ];
        let inner = DfSessionService::new_with_hooks(context.clone(), hooks);
        let cancel = Arc::new(cancel::Cancels::default());
        Ok(Self {
            startup: Arc::new(startup::Startup::new(desk, cancel.clone())),
            query: Arc::new(query::Service::new(desk, context, inner)),
            cancel,
            failure: Arc::new(failure::Failures::new(desk)),
            message_bytes_max: desk.options().body_bytes_max,
        })
    }

    /// Serves connections until it is dropped.
    pub async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>, connections_max: usize) {
        let bytes_max = self.message_bytes_max;
        let places = Arc::new(Semaphore::new(connections_max.max(1)));
        let (send, _receive) = mpsc::channel::<()>(1);
        let mut open = tokio::task::JoinSet::new();
        while let Some((tcp, peer, place)) = crate::listen::next(&listener, &places, &send).await {
            while open.try_join_next().is_some() {}
            let (wire, tls) = (self.clone(), tls.clone());
            open.spawn(async move {
                if let Err(error) = connection::serve(&wire, tcp, tls, bytes_max).await {
                    tracing::debug!(%peer, %error, "a PostgreSQL connection ended");
                }
                drop(place);
            });
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl PgWireServerHandlers for Wire {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        self.query.clone()
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        self.query.clone()
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        self.startup.clone()
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        self.failure.clone()
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        self.cancel.clone()
    }
}

/// What a connection is known to be, kept with it.
#[derive(Debug)]
struct Guest {
    visit: crate::Visit,
    cancel: Arc<cancel::Cancel>,
    /// What the statement under way reads, once that is known.
    reads: std::sync::Mutex<Option<keytrail_query::Reads>>,
}

impl Guest {
    fn of(client: &(impl datafusion_postgres::pgwire::api::ClientInfo + ?Sized)) -> Result<Arc<Self>, Error> {
        client.session_extensions().get::<Self>().ok_or_else(|| Error::Unauthenticated("this connection has not shown a token".to_owned()))
    }

    fn new(client: &(impl datafusion_postgres::pgwire::api::ClientInfo + ?Sized), caller: crate::access::Caller, cancel: Arc<cancel::Cancel>) -> Self {
        let address: SocketAddr = client.socket_addr();
        Self { visit: crate::Visit { caller, door: "postgres", from: Some(address.ip()) }, cancel, reads: std::sync::Mutex::default() }
    }
}
