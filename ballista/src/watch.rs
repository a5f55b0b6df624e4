//! What ends a question before its answer does: an executor that is lost, and a cluster that stands still.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::scheduler::{Executor, Scheduler};

/// How often it is looked whether all executors are there.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether a task runs; a scheduler writes its plans out for it.
const LOOK_AT_TASKS: Duration = Duration::from_secs(10);
/// How long no task may run while a question is not done.
const STILL: Duration = Duration::from_secs(60);

/// Waits until the question of that job cannot be answered any more, and says why.
pub async fn ended(scheduler: &Scheduler, executors: &[Executor], job: &str) -> Failure {
    tokio::select! {
        failure = lost(scheduler, executors) => failure,
        failure = stood_still(scheduler, job, LOOK_AT_TASKS, STILL) => failure,
    }
}

/// Ends once an executor is lost. Ballista 55.0 computes again what it had computed, and was seen to count rows twice then.
async fn lost(scheduler: &Scheduler, executors: &[Executor]) -> Failure {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(failure) = scheduler.has_all(executors).await {
            return failure;
        }
    }
}

/// Ends once no task of any job has run for so long. A question that waits for others' tasks is left alone.
async fn stood_still(scheduler: &Scheduler, job: &str, every: Duration, limit: Duration) -> Failure {
    let mut since = Instant::now();
    let mut before = None;
    loop {
        tokio::time::sleep(every).await;
        // Whoever does not answer here does not answer above either, where it is told.
        let given = scheduler.stands_still(job).await.unwrap_or(None);
        if given.is_none() || given != before {
            (since, before) = (Instant::now(), given);
        } else if since.elapsed() >= limit {
            return Failure::OutOfReach(format!(
                "no task ran for {} s, though executors are there and the question is not done: ask again, and where that does not help, start the scheduler anew",
                limit.as_secs()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A scheduler that says this of two jobs' tasks, and how often it was asked about them.
    async fn saying(own: &'static str, others: &'static str) -> (Scheduler, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheduler = Scheduler::at(&listener.local_addr().unwrap().to_string()).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let body = match request.split(' ').nth(1).unwrap() {
                    "/api/jobs" => r#"[{"job_id":"a","job_name":"own","status":"Running"},{"job_id":"b","job_name":"other","status":"Running"}]"#.to_owned(),
                    "/api/job/a/stages" => {
                        count.fetch_add(1, Ordering::SeqCst);
                        own.to_owned()
                    }
                    _ => others.to_owned(),
                };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        (scheduler, asked)
    }

    const NOTHING: &str = r#"{"stages":[{"tasks":[]}]}"#;
    const DONE: &str = r#"{"stages":[{"tasks":[{"status":"Successful"}]}]}"#;
    const RUNS: &str = r#"{"stages":[{"tasks":[{"status":"Successful"},{"status":"Running"}]}]}"#;

    /// Whether the question ends before it was looked so often that its limit is long over.
    async fn ends(own: &'static str, others: &'static str) -> bool {
        let (scheduler, asked) = saying(own, others).await;
        let (every, limit) = (Duration::from_millis(20), Duration::from_millis(100));
        let looked = async {
            while asked.load(Ordering::SeqCst) < 20 {
                tokio::time::sleep(every).await;
            }
        };
        tokio::select! {
            failure = stood_still(&scheduler, "own", every, limit) => failure.to_string().contains("no task ran"),
            () = looked => false,
        }
    }

    #[tokio::test]
    async fn a_question_ends_where_no_task_runs_and_none_was_given() {
        assert!(ends(NOTHING, NOTHING).await);
        assert!(ends(DONE, DONE).await, "what follows a stage that is done is missing");
    }

    #[tokio::test]
    async fn a_question_is_left_alone_while_its_tasks_or_anothers_run() {
        assert!(!ends(RUNS, NOTHING).await);
        assert!(!ends(NOTHING, RUNS).await);
    }
}
