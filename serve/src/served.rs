//! The doors of one process: opened together, ended together.

use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::listen::{Accepted, Peer, bind, tls};
use crate::{Desk, Error, http, postgres};

/// How long open answers may go on once the doors are to end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Files that are open beside connections: the lake's, the record, the log's.
const FILES_BESIDE: usize = 256;

/// How many files this process may have open, where the system says so (Linux).
fn files_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

/// Open doors.
#[derive(Debug)]
pub struct Doors {
    /// Where HTTP is served.
    pub http: Option<SocketAddr>,
    /// Where the PostgreSQL wire is served.
    pub postgres: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Doors {
    /// Ends them: nobody is let in any more, and what is being answered has a few seconds to end.
    pub async fn close(mut self) {
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, ended).await;
        self.tasks.shutdown().await;
    }
}

/// Opens the doors that the desk's options name.
///
/// # Errors
/// [`Error::Listen`] for an address that cannot be served, or must not be as it is configured; [`Error::File`] for a certificate.
pub async fn serve(desk: &Desk) -> Result<Doors, Error> {
    let options = desk.options();
    let tls = tls(options)?;
    let opened = [&options.listen, &options.postgres].into_iter().filter(|address| !address.is_empty()).count();
    let wanted = options.connections_max.saturating_mul(opened).saturating_add(FILES_BESIDE);
    if let Some(files) = files_max().filter(|files| *files < wanted) {
        tracing::warn!(
            files,
            wanted,
            "serve.connections_max is more than this process may open: raise the limit of open files (ulimit -n, LimitNOFILE), or lower it"
        );
    }
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut doors = (None, None);
    // Both are bound before either is served: a process with half of its doors would be no help.
    let http = if options.listen.is_empty() { None } else { Some(bind("serve.listen", &options.listen, options).await?) };
    let wire = if options.postgres.is_empty() { None } else { Some(bind("serve.postgres", &options.postgres, options).await?) };
    if let Some(listener) = http {
        doors.0 = listener.local_addr().ok();
        let accepted = Accepted::of(listener, tls.clone(), options.connections_max)?;
        let service = http::router(desk).into_make_service_with_connect_info::<Peer>();
        let stopped = stopped.clone();
        tasks.spawn(async move {
            let served = axum::serve(accepted, service).with_graceful_shutdown(until(stopped)).await;
            if let Err(error) = served {
                tracing::error!(%error, "HTTP is no longer served");
            }
        });
    }
    if let Some(listener) = wire {
        doors.1 = listener.local_addr().ok();
        let wire = postgres::Wire::new(desk).await?;
        let stopped = stopped.clone();
        let connections_max = options.connections_max;
        tasks.spawn(async move {
            tokio::select! {
                () = wire.serve(listener, tls, connections_max) => {}
                () = until(stopped) => {}
            }
        });
    }
    Ok(Doors { http: doors.0, postgres: doors.1, stop, tasks })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
