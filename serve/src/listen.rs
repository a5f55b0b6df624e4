//! Accepting connections: TLS where there is a certificate, and no more of them than are allowed.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::{Error, Options};

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Accepted connections that wait to be taken.
const WAITING: usize = 64;

/// The certificate that the options name; `None` where they name none.
///
/// # Errors
/// [`Error::File`] for what is no certificate or key, [`Error::Listen`] where one of the two is missing.
pub fn tls(options: &Options) -> Result<Option<TlsAcceptor>, Error> {
    let (cert, key) = (&options.tls_cert, &options.tls_key);
    if cert.as_os_str().is_empty() && key.as_os_str().is_empty() {
        return Ok(None);
    }
    if cert.as_os_str().is_empty() || key.as_os_str().is_empty() {
        return Err(Error::Listen("TLS needs both --tls-cert and --tls-key".to_owned()));
    }
    let wrong = |path: &Path, reason: String| Error::File { file: path.display().to_string(), reason };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(cert, format!("{error}: expected certificates in PEM, the server's own first")))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, format!("{error}: expected a private key in PEM")))?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(cert, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| wrong(cert, error.to_string()))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Binds an address, and refuses one that must not be served as it is configured.
///
/// # Errors
/// [`Error::Listen`].
pub async fn bind(what: &str, address: &str, options: &Options) -> Result<TcpListener, Error> {
    let wrong = |reason: String| Error::Listen(format!("{what} = {address}: {reason}"));
    let mut resolved = tokio::net::lookup_host(address).await.map_err(|error| wrong(format!("{error}: expected HOST:PORT")))?;
    let Some(first) = resolved.next() else { return Err(wrong("it is no address".to_owned())) };
    if !first.ip().is_loopback() {
        if options.no_auth {
            return Err(wrong("--no-auth is for loopback only: make tokens with `keytrail tokens create`, or listen on 127.0.0.1".to_owned()));
        }
        if options.tls_cert.as_os_str().is_empty() && !options.plain {
            return Err(wrong("tokens would pass in the clear: give --tls-cert and --tls-key, or --plain where TLS ends in front of keytrail".to_owned()));
        }
    }
    TcpListener::bind(first).await.map_err(|error| wrong(error.to_string()))
}

/// A connection, and its place among those that may be open.
pub struct Connection {
    stream: Stream,
    _place: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Hands out connections whose handshake is done. One that is slow at it holds up no other.
#[derive(Debug)]
pub struct Accepted {
    receive: mpsc::Receiver<(Connection, SocketAddr)>,
    address: SocketAddr,
}

impl Accepted {
    /// Accepts on a task of its own.
    ///
    /// # Errors
    /// [`Error::Listen`] when the listener has no address.
    pub fn of(listener: TcpListener, tls: Option<TlsAcceptor>, connections_max: usize) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(|error| Error::Listen(error.to_string()))?;
        let (send, receive) = mpsc::channel(WAITING);
        let places = Arc::new(Semaphore::new(connections_max.max(1)));
        tokio::spawn(async move {
            while let Some((tcp, peer, place)) = next(&listener, &places, &send).await {
                let (tls, send) = (tls.clone(), send.clone());
                tokio::spawn(async move {
                    let stream = match tls {
                        None => Stream::Plain(tcp),
                        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await {
                            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                            Ok(Err(error)) => return tracing::debug!(%peer, %error, "a TLS handshake failed"),
                            Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
                        },
                    };
                    let _ = send.send((Connection { stream, _place: place }, peer)).await;
                });
            }
        });
        Ok(Self { receive, address })
    }
}

/// The next connection that has a place; `None` once nobody takes them.
pub async fn next<T>(listener: &TcpListener, places: &Arc<Semaphore>, taker: &mpsc::Sender<T>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    loop {
        let place = places.clone().acquire_owned().await.ok()?;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = taker.closed() => return None,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let _ = tcp.set_nodelay(true);
                return Some((tcp, peer, place));
            }
            Err(error) => {
                // Too many open files, for one: others must end first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl axum::serve::Listener for Accepted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.receive.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Accepted>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Accepted>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
