//! Who connects: the password is the token, whatever the user is called. It is asked for in the clear, because the library's SCRAM wants the salted password
//! kept, with which alone one could log in; off loopback the door is behind TLS (`listen::bind`).

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation, save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::{ClientInfo, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator, RandomPidSecretKeyGenerator};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::startup::Authentication;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::{Sink, SinkExt as _};

use super::Guest;
use super::cancel::Cancels;
use crate::{Desk, Error};

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

    async fn let_in<C>(&self, client: &mut C, token: Option<&str>) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let user = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
        let caller = self.desk.access().caller(token, &user).map_err(|error| refused(&error))?;
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
                    return self.let_in(client, None).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                client.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(password) => {
                let password = password.into_password()?;
                self.let_in(client, Some(&password.password)).await
            }
            _ => Ok(()),
        }
    }
}
