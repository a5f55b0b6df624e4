//! Who connects: the password is the token, whatever the user is called. A proof of it is asked for (SCRAM), or the token itself where one in force was made
//! before proofs could be held against it, or `serve.postgres_password` says so; off loopback the door is behind TLS (`listen::bind`).

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation, save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::{ClientInfo, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator, RandomPidSecretKeyGenerator};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::{Sink, SinkExt as _};

use super::cancel::Cancels;
use super::{Guest, scram};
use crate::access::Caller;
use crate::{Desk, Error, Password};

/// Lets connections in.
#[derive(Debug)]
pub struct Startup {
    desk: Desk,
    cancels: Arc<Cancels>,
    numbers: RandomPidSecretKeyGenerator,
}

impl Startup {
    pub fn new(desk: &Desk, cancels: Arc<Cancels>) -> Self {
        Self { desk: desk.clone(), cancels, numbers: RandomPidSecretKeyGenerator::default() }
    }

    /// Lets in whoever shows the token.
    async fn shown<C>(&self, client: &mut C, token: Option<&str>) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let user = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
        let caller = self.desk.access().caller(token, &user).map_err(|error| refused(&error))?;
        self.let_in(client, caller).await
    }

    /// Whether a proof of the token is asked for, and not the token.
    fn asks_for_proof(&self) -> bool {
        match self.desk.options().postgres_password {
            Password::Auto => self.desk.access().takes_proofs(),
            Password::Scram => true,
            Password::Clear => false,
        }
    }

    /// A message of the exchange that proves the token: the first, or the last.
    async fn proven<C>(&self, client: &mut C, message: PasswordMessageFamily) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // The library's own decoding of these two messages trusts the lengths that they name.
        let PasswordMessageFamily::Raw(message) = message else { return Err(PgWireError::FailedToCoercePasswordMessage) };
        let Some(exchange) = client.session_extensions().get::<scram::Exchange>() else {
            let exchange = scram::Exchange::begin(&message).map_err(|error| refused(&error))?;
            let answer = exchange.answer.clone();
            client.session_extensions().insert(exchange);
            return Ok(client.send(PgWireBackendMessage::Authentication(Authentication::SASLContinue(answer.into()))).await?);
        };
        let (caller, own) = exchange.end(&message, self.desk.access()).map_err(|error| refused(&error))?;
        client.send(PgWireBackendMessage::Authentication(Authentication::SASLFinal(own.into()))).await?;
        self.let_in(client, caller).await
    }

    async fn let_in<C>(&self, client: &mut C, caller: Caller) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (process, secret) = self.numbers.generate(client);
        let cancel = self.cancels.open(process, &secret);
        client.set_pid_and_secret_key(process, secret);
        client.session_extensions().insert(Guest::new(client, caller, cancel));
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        finish_authentication(client, &parameters).await
    }
}

/// A connection of which a proof was asked.
struct Proof;

/// Ends the connection, as PostgreSQL does.
fn refused(error: &Error) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), "28P01".to_owned(), format!("{error}; the password is the token"))))
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                if !self.desk.access().asks_for_tokens() {
                    return self.shown(client, None).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let asked = if self.asks_for_proof() {
                    client.session_extensions().insert(Proof);
                    Authentication::SASL(vec![scram::MECHANISM.to_owned()])
                } else {
                    Authentication::CleartextPassword
                };
                client.send(PgWireBackendMessage::Authentication(asked)).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) if client.session_extensions().get::<Proof>().is_some() => self.proven(client, message).await,
            PgWireFrontendMessage::PasswordMessageFamily(password) => {
                let password = password.into_password()?;
                self.shown(client, Some(&password.password)).await
            }
            _ => Ok(()),
        }
    }
}
