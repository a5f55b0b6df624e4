//! An answer on its way: rows that are made ahead of their reader by a bounded number of batches, the place that the question holds meanwhile, and the line
//! that is written down when it is over, however it ends.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use keytrail_schemas::Micros;
use tokio::time::Instant;

use crate::Error;
use crate::limit::Turn;
use crate::record::{Entry, Record};

/// Items that are made before one is taken.
const AHEAD: usize = 2;

/// Rows, and what they cannot know.
pub struct Answer {
    /// Their columns.
    pub schema: SchemaRef,
    /// The coverage line.
    pub coverage: String,
    /// The batches. An error ends them; a stream that ends without one is whole.
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).field("coverage", &self.coverage).finish_non_exhaustive()
    }
}

/// A question that is being answered. It is written down when it is dropped: what was not said to be done was stopped by its asker.
#[derive(Debug)]
pub struct Asked {
    entry: Entry,
    record: Record,
    began: Instant,
    turn: Option<Turn>,
    forgotten: bool,
}

impl Asked {
    pub fn new(record: &Record, time: Micros, entry: Entry) -> Self {
        let entry = Entry { time, outcome: "stopped".to_owned(), ..entry };
        Self { entry, record: record.clone(), began: Instant::now(), turn: None, forgotten: false }
    }

    /// Keeps the place until the answer is over.
    pub fn takes(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// Counts rows that the asker sees.
    pub fn saw(&mut self, rows: usize) {
        self.entry.rows = self.entry.rows.saturating_add(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// All of it was seen.
    pub fn done(&mut self) {
        "done".clone_into(&mut self.entry.outcome);
    }

    /// It is being read: whoever stops now has stopped it.
    pub fn begun(&mut self) {
        "stopped".clone_into(&mut self.entry.outcome);
    }

    /// It was one question, and not SQL at large.
    pub fn is_about(&mut self, question: &str) {
        question.clone_into(&mut self.entry.question);
    }

    /// It was no question, and is not written down.
    pub fn forget(&mut self) {
        self.forgotten = true;
    }

    /// Says why it was not answered.
    pub fn failed(&mut self, error: &Error) {
        use keytrail_query::Error as Q;
        let outcome = match error {
            Error::Unauthenticated(_) | Error::Forbidden(_) | Error::Busy(_) | Error::Query(Q::ReadOnly { .. }) => "refused",
            Error::SlowReader { .. } | Error::Query(Q::TimeLimit { .. } | Q::RowLimit { .. } | Q::MemoryLimit { .. }) => "stopped",
            _ => "failed",
        };
        self.ended(outcome, &error.to_string());
    }

    /// Says how it ended, and why.
    pub fn ended(&mut self, outcome: &str, why: &str) {
        outcome.clone_into(&mut self.entry.outcome);
        self.entry.error = Some(why.chars().take(1_024).collect());
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.forgotten {
            return;
        }
        self.entry.milliseconds = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.record.write(std::mem::take(&mut self.entry));
    }
}

/// Makes the items of `stream` on a task of its own, a few ahead of the reader. Where the reader takes nothing for `wait`, or goes away, the stream is
/// dropped, and with it what it holds.
pub fn paced<T: Send + 'static, E: From<Error> + Send + 'static>(
    stream: impl Stream<Item = Result<T, E>> + Send + 'static,
    wait: Duration,
) -> impl Stream<Item = Result<T, E>> + Send + 'static {
    let (send, receive) = tokio::sync::mpsc::channel(AHEAD);
    let slow = Arc::new(AtomicBool::new(false));
    let found_slow = Arc::clone(&slow);
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(stream);
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                () = send.closed() => return,
            };
            let Some(item) = next else { return };
            match send.send_timeout(item, wait).await {
                Ok(()) => {}
                Err(tokio::sync::mpsc::error::SendTimeoutError::Timeout(_)) => {
                    found_slow.store(true, Ordering::Release);
                    return;
                }
                Err(tokio::sync::mpsc::error::SendTimeoutError::Closed(_)) => return,
            }
        }
    });
    let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    futures::stream::unfold(Some((receive, slow)), move |state| async move {
        let (mut receive, slow) = state?;
        match receive.recv().await {
            Some(item) => Some((item, Some((receive, slow)))),
            None if slow.load(Ordering::Acquire) => Some((Err(Error::SlowReader { milliseconds }.into()), None)),
            None => None,
        }
    })
}

/// Where a question came from, for the record.
pub fn address(ip: Option<IpAddr>) -> Option<String> {
    ip.map(|ip| ip.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_told_and_what_it_held_is_dropped() {
        let held = Arc::new(());
        let there = Arc::clone(&held);
        let endless = futures::stream::repeat_with(move || {
            let _held = &there;
            Ok::<_, Error>(1)
        });
        let mut stream = std::pin::pin!(paced(endless, Duration::from_millis(20)));
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(Arc::strong_count(&held), 1, "the stream is gone");
        let mut rest = Vec::new();
        while let Some(item) = stream.next().await {
            rest.push(item);
        }
        assert!(matches!(rest.pop(), Some(Err(Error::SlowReader { milliseconds: 20 }))), "an answer that was given up does not look whole");
    }

    #[test]
    fn what_nobody_said_to_be_done_was_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::of(folder.path());
        let asked = |end: &dyn Fn(&mut Asked)| {
            let mut asked = Asked::new(&record, Micros(1), Entry::default());
            asked.saw(3);
            end(&mut asked);
        };
        asked(&|_| {});
        asked(&Asked::done);
        asked(&|asked| asked.failed(&Error::Forbidden("no".to_owned())));
        let text = std::fs::read_to_string(folder.path().join("access/queries.ndjson")).unwrap();
        let outcomes: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(outcomes.iter().map(|entry| (entry.outcome.as_str(), entry.rows)).collect::<Vec<_>>(), [("stopped", 3), ("done", 3), ("refused", 3)]);
    }
}
