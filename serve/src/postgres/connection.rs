//! A connection: its messages, one after the other. Each is cut out of what came and looked at before the library reads it, for the library trusts the
//! lengths and counts within it, and a client that names others would end the task by a panic.

use std::io;
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;

use bytes::BytesMut;
use datafusion_postgres::pgwire::api::{ClientInfo as _, ErrorHandler as _, PgWireConnectionState, PgWireServerHandlers as _};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::{DecodeContext, PgWireFrontendMessage};
use datafusion_postgres::pgwire::tokio::server::{negotiate_tls, process_error, process_message};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::{Wire, message};

/// A client that has not been let in by then is gone.
const LET_IN: Duration = Duration::from_secs(60);
/// Longest message before it, as in PostgreSQL.
const GREETING_BYTES_MAX: usize = 10_000;

/// Serves one until it ends. Messages are bounded by `bytes_max`.
///
/// # Errors
/// When the connection breaks.
pub async fn serve(wire: &Wire, tcp: TcpStream, tls: Option<TlsAcceptor>, bytes_max: usize) -> io::Result<()> {
    let until = Instant::now() + LET_IN;
    let Ok(negotiated) = timeout_at(until, negotiate_tls(tcp, tls)).await else { return Ok(()) };
    let Some(mut socket) = negotiated? else { return Ok(()) };
    let (startup, simple, extended) = (wire.startup_handler(), wire.simple_query_handler(), wire.extended_query_handler());
    let (copy, cancel, errors) = (wire.copy_handler(), wire.cancel_handler(), wire.error_handler());
    let mut came = std::mem::take(socket.read_buffer_mut());
    loop {
        let is_first = matches!(socket.state(), PgWireConnectionState::AwaitingStartup);
        let message = if is_first || matches!(socket.state(), PgWireConnectionState::AuthenticationInProgress) {
            let next = next(socket.get_mut(), &mut came, is_first, GREETING_BYTES_MAX.min(bytes_max));
            let Ok(message) = timeout_at(until, next).await else { return Ok(()) };
            message
        } else {
            next(socket.get_mut(), &mut came, false, bytes_max).await
        };
        let Some(mut bytes) = (match message {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return process_error(&mut socket, broken(&error.to_string()), false).await,
            message => message?,
        }) else {
            return Ok(());
        };
        let mut context = DecodeContext::new(socket.protocol_version());
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, is_first);
        let message = match PgWireFrontendMessage::decode(&mut bytes, &context) {
            Ok(Some(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Ok(Some(message)) => message,
            Ok(None) => return process_error(&mut socket, broken("a message is shorter than it says"), false).await,
            Err(error) => return process_error(&mut socket, broken(&error.to_string()), false).await,
        };
        let is_extended = match socket.state() {
            PgWireConnectionState::CopyInProgress(is_extended) => is_extended,
            _ => message.is_extended_query(),
        };
        let done = process_message(message, &mut socket, startup.clone(), simple.clone(), extended.clone(), copy.clone(), cancel.clone()).await;
        if let Err(mut error) = done {
            errors.on_error(&socket, &mut error);
            process_error(&mut socket, error, is_extended).await?;
        }
    }
}

/// What ends a connection whose client does not keep to the protocol.
fn broken(told: &str) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), "08P01".to_owned(), told.to_owned())))
}

/// The bytes of the next message, or none where the client has said all.
async fn next(from: &mut (impl AsyncRead + Unpin), came: &mut BytesMut, is_first: bool, bytes_max: usize) -> io::Result<Option<BytesMut>> {
    loop {
        if let Some(length) = message::length(came, is_first, bytes_max).map_err(|told| io::Error::new(io::ErrorKind::InvalidData, told))? {
            return Ok(Some(came.split_to(length)));
        }
        let mut space = [0; 8_192];
        let read = std::future::poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut *from).poll_read(context, &mut buffer))?;
            came.extend_from_slice(buffer.filled());
            std::task::Poll::Ready(Ok::<_, io::Error>(buffer.filled().len()))
        });
        if read.await? == 0 {
            return Ok(None);
        }
    }
}
