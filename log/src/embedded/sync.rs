//! Forces the journal onto the disk in the background, a set time after the first append that is not there yet.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, PersistMode};

/// The background thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    dirty: bool,
    closing: bool,
    failure: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Syncer {
    /// Starts the thread.
    pub fn start(db: Database, interval: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log-sync".into()).spawn(move || run(&of_thread, &db, interval))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says that something was appended. Returns how the last sync failed, if it did.
    pub fn appended(&self) -> Option<String> {
        let mut state = self.shared.state();
        if !state.dirty {
            state.dirty = true;
            self.shared.changed.notify_all();
        }
        state.failure.clone()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, db: &Database, interval: Duration) {
    loop {
        {
            let mut state = shared.changed.wait_while(shared.state(), |state| !state.dirty && !state.closing).unwrap_or_else(PoisonError::into_inner);
            if !state.closing {
                state = shared.changed.wait_timeout_while(state, interval, |state| !state.closing).unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.closing {
                return; // Closing the store forces its journal onto the disk.
            }
            state.dirty = false;
        }
        if let Err(error) = db.persist(PersistMode::SyncData) {
            tracing::error!(%error, "the event log could not be forced onto the disk");
            shared.state().failure = Some(error.to_string());
            return;
        }
    }
}
