//! How much is answered at once: by everybody, by one user, and SQL beside the named questions, so that a heavy scan takes no question's place. And how
//! often an assistant may call, whichever connections it calls through.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::access::Caller;
use crate::{Error, Options};

/// Users whose turns are remembered; those who ask nothing are forgotten beyond it.
const USERS_MAX: usize = 10_000;
/// What calls are counted in.
const MINUTE: Duration = Duration::from_secs(60);

/// The bounds.
#[derive(Debug)]
pub struct Limits {
    questions: Arc<Semaphore>,
    statements: Arc<Semaphore>,
    users: DashMap<String, Arc<Semaphore>>,
    per_user: usize,
    wait: Duration,
    /// When each user's minute began, and the calls in it.
    calls: DashMap<String, (Instant, u32)>,
    calls_per_minute: u32,
}

/// A place among those that are answered; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _user: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Limits {
    pub fn new(options: &Options) -> Self {
        Self {
            questions: Arc::new(Semaphore::new(options.questions_max.max(1))),
            statements: Arc::new(Semaphore::new(options.statements_max.max(1))),
            users: DashMap::new(),
            per_user: options.per_user_max.max(1),
            wait: Duration::from_millis(options.wait_ms_max),
            calls: DashMap::new(),
            calls_per_minute: options.mcp_calls_per_minute_max,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when it does not come in time.
    pub async fn turn(&self, caller: &Caller, is_sql: bool) -> Result<Turn, Error> {
        let of_user = self.of(caller);
        let all = if is_sql { &self.statements } else { &self.questions };
        let both = async { Ok::<_, tokio::sync::AcquireError>(Turn { _user: of_user.acquire_owned().await?, _all: all.clone().acquire_owned().await? }) };
        match tokio::time::timeout(self.wait, both).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(Error::Busy("the server is ending".to_owned())),
            Err(_) => {
                let name = if is_sql { "serve.statements_max" } else { "serve.questions_max" };
                Err(Error::Busy(format!(
                    "other questions took all the places for {} ms: ask again, or raise {name} or serve.per_user_max",
                    self.wait.as_millis()
                )))
            }
        }
    }

    /// Counts a call of a tool.
    ///
    /// # Errors
    /// [`Error::Busy`] where the user's minute is full.
    pub fn call(&self, caller: &Caller) -> Result<(), Error> {
        self.call_at(caller, Instant::now())
    }

    fn call_at(&self, caller: &Caller, now: Instant) -> Result<(), Error> {
        if self.calls.len() >= USERS_MAX {
            self.calls.retain(|_, (began, _)| now.duration_since(*began) < MINUTE);
        }
        let mut minute = self.calls.entry(key(caller).to_owned()).or_insert((now, 0));
        if now.duration_since(minute.0) >= MINUTE {
            *minute = (now, 0);
        }
        let most = self.calls_per_minute;
        if minute.1 >= most {
            return Err(Error::Busy(format!("{most} calls a minute are all that there may be: ask again later, or raise serve.mcp_calls_per_minute_max")));
        }
        minute.1 += 1;
        Ok(())
    }

    fn of(&self, caller: &Caller) -> Arc<Semaphore> {
        let key = key(caller);
        if let Some(known) = self.users.get(key) {
            return known.clone();
        }
        if self.users.len() >= USERS_MAX {
            self.users.retain(|_, places| Arc::strong_count(places) > 1);
        }
        self.users.entry(key.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.per_user))).clone()
    }
}

/// Tells users apart.
fn key(caller: &Caller) -> &str {
    caller.token.as_deref().unwrap_or(&caller.user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_user_and_sql_each_have_their_bound() {
        let options = Options { questions_max: 3, statements_max: 1, per_user_max: 2, wait_ms_max: 20, ..Options::default() };
        let limits = Limits::new(&options);
        let (ann, bob) = (Caller::trusted("ann"), Caller::trusted("bob"));
        let sql = limits.turn(&ann, true).await.unwrap();
        assert!(limits.turn(&bob, true).await.unwrap_err().to_string().contains("statements_max"), "one statement at a time");
        let question = limits.turn(&ann, false).await.unwrap();
        assert!(limits.turn(&ann, false).await.is_err(), "two of one user");
        let other = limits.turn(&bob, false).await.unwrap();
        drop((sql, question, other));
        limits.turn(&ann, true).await.unwrap();
    }
    #[test]
    fn a_minute_of_calls_is_one_users() {
        let limits = Limits::new(&Options { mcp_calls_per_minute_max: 2, ..Options::default() });
        let (ann, bob) = (Caller::trusted("ann"), Caller::trusted("bob"));
        let now = Instant::now();
        assert!(limits.call_at(&ann, now).is_ok() && limits.call_at(&ann, now).is_ok());
        assert!(limits.call_at(&ann, now).unwrap_err().to_string().contains("2 calls a minute"));
        assert!(limits.call_at(&bob, now).is_ok());
        assert!(limits.call_at(&ann, now + MINUTE).is_ok());
    }
}
