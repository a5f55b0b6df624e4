//! A source: the thread that keeps a subscription to one server, as long as keytrail runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use keytrail_schemas::Micros;
use tokio::time::{Instant, sleep};

use super::connection::{discover, listen};
use super::options::Options;
use super::position::Position;
use super::teller::Teller;
use super::trust::Trust;
use super::{Error, Own};
use crate::intake::{Intake, Queue};

/// The first pause before a server that is away is tried again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// A connection that stood so long was a good one: pauses begin anew.
const STEADY: Duration = Duration::from_secs(60);
/// Records that wait to be taken, in bytes; while there are more, nothing is taken from the server.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// The same trouble is said again after this time.
const SAID_AGAIN: Duration = Duration::from_secs(3_600);
const STEP: Duration = Duration::from_millis(100);

/// A source that runs. Dropped, it ends its session and its thread.
#[derive(Debug)]
pub struct Source {
    queue: Arc<Queue>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    /// Starts it where it stood: `position` is what its records were last written with.
    ///
    /// # Errors
    /// [`Error::Keys`] when the application certificate can neither be read nor made, or the thread cannot be started.
    pub fn start(options: Options, position: Option<&[u8]>, now: fn() -> Micros) -> Result<Self, Error> {
        let own = Own::open(&options.keys, now())?;
        introduce(&options, &own);
        let queue = Arc::new(Queue::new(WAITING_BYTES_MAX));
        let stop = Arc::new(AtomicBool::new(false));
        let mut teller = Teller::new(Arc::clone(&queue) as Arc<dyn Intake>, Position::read(position), &options.address.url, now);
        let failed = |error: std::io::Error| Error::Unreachable { url: String::new(), message: format!("the source's thread cannot be started: {error}") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (told, ended) = (Arc::clone(&stop), Arc::clone(&queue));
        let work = move || {
            teller.silent("keytrail was not running");
            runtime.block_on(keep(&options, &mut teller, own, &told));
            runtime.shutdown_timeout(Duration::from_secs(1));
            ended.finish();
        };
        let thread = std::thread::Builder::new().name("keytrail-opcua".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { queue, stop, thread: Some(thread) })
    }

    /// Where its records are.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Ends the session; what was heard until then is in the queue.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop();
    }
}

fn introduce(options: &Options, own: &Own) {
    if own.is_new {
        tracing::warn!(
            server = options.address.url,
            certificate = %own.path.display(),
            thumbprint = own.thumbprint,
            "an application certificate was made: trust it in the server"
        );
    }
    if let Some((path, thumbprint)) = &own.next {
        tracing::warn!(server = options.address.url, certificate = %path.display(), thumbprint, "the application certificate ends soon: trust the next one in the server");
    }
}

/// Connects again and again.
async fn keep(options: &Options, teller: &mut Teller, mut own: Own, stop: &AtomicBool) {
    let mut pause = PAUSE_MIN;
    let mut said: Option<(String, Instant)> = None;
    while !stop.load(Ordering::Acquire) {
        match Own::open(&options.keys, teller.now()) {
            Ok(read) => {
                if read.thumbprint != own.thumbprint || read.next != own.next {
                    introduce(options, &read);
                }
                own = read;
            }
            Err(error) => tracing::error!(server = options.address.url, %error, "the application certificate"),
        }
        teller.own_thumbprint.clone_from(&own.thumbprint);
        let begun = Instant::now();
        let Err(error) = listen(options, &own, teller, stop).await else { break };
        let reason = error.to_string();
        teller.silent(error.message());
        if said.as_ref().is_none_or(|(before, at)| *before != reason || at.elapsed() > SAID_AGAIN) {
            tracing::warn!(%error, "the server's audit events are not heard; it is tried again");
            said = Some((reason, Instant::now()));
        }
        pause = if begun.elapsed() > STEADY { PAUSE_MIN } else { pause };
        let until = Instant::now() + pause;
        while Instant::now() < until && !stop.load(Ordering::Acquire) {
            sleep(STEP).await;
        }
        pause = (pause * 2).min(options.reconnect_max);
    }
}

/// Looks at a server without opening a session: what it offers, what would be used, and whether it is trusted. Nothing is kept.
///
/// # Errors
/// What stands in the way.
pub fn inspect(options: &Options, own: &Own) -> Result<String, Error> {
    let failed = |error: std::io::Error| Error::Unreachable { url: options.address.url.clone(), message: error.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (chosen, trust) = runtime.block_on(discover(options, own, false))?;
    let trusted = match trust {
        Some(Trust::Pinned) => "its certificate is the one that was met before",
        Some(Trust::Listed) => "its certificate is among the trusted ones",
        Some(Trust::First) => "its certificate would be trusted at the first connection",
        None => "it has no certificate",
    };
    Ok(format!("reachable, {} {:?}; {trusted}", chosen.policy, chosen.description.security_mode))
}
