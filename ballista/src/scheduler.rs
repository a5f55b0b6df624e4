//! The scheduler as a client sees it besides its gRPC: which executors there are, what became of a job's tasks, and how it is cancelled, over its own HTTP API.

use std::time::Duration;

use crate::failure::Failure;

/// How long the scheduler may take to say what it knows.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where a scheduler is when nothing else is said.
const PORT: u16 = 50050;

/// A scheduler that may answer.
#[derive(Debug, Clone)]
pub struct Scheduler {
    url: String,
    http: reqwest::Client,
}

/// One that computes.
#[derive(Debug, Clone)]
pub struct Executor {
    pub id: String,
    pub host: String,
    pub cores: usize,
}

/// What was asked of a cluster.
struct Job {
    id: String,
    name: String,
    status: String,
}

/// The text under a key.
fn text(of: &serde_json::Value, key: &str) -> String {
    of.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

impl Scheduler {
    /// At `HOST:PORT`, or `http://HOST:PORT`.
    pub fn at(text: &str) -> Result<Self, Failure> {
        let given = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let refused = || Failure::Usage(format!("{text:?} is no scheduler: write HOST:PORT"));
        let url = url::Url::parse(&format!("http://{given}")).map_err(|_| refused())?;
        let (Some(host), "/") = (url.host_str(), url.path()) else { return Err(refused()) };
        // A URL does not show the port that its scheme has anyway.
        let port = url.port().unwrap_or(if given.ends_with(":80") { 80 } else { PORT });
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().map_err(|error| Failure::Other(error.into()))?;
        Ok(Self { url: format!("http://{host}:{port}"), http })
    }

    /// Where it is, as its gRPC client takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The executors that it knows.
    ///
    /// # Errors
    /// [`Failure::OutOfReach`] where nothing answers, or there is no executor.
    pub async fn executors(&self) -> Result<Vec<Executor>, Failure> {
        let known = self.get("/api/executors").await?;
        let executor = |of: &serde_json::Value| Executor {
            id: text(of, "id"),
            host: text(of, "host"),
            cores: of.pointer("/specification/vcores").and_then(serde_json::Value::as_u64).and_then(|cores| usize::try_from(cores).ok()).unwrap_or(1),
        };
        let executors: Vec<Executor> = known.as_array().into_iter().flatten().map(executor).collect();
        if executors.is_empty() {
            return Err(Failure::OutOfReach(format!("the scheduler at {} has no executors: start some with `keytrail-ballista executor`", self.url)));
        }
        Ok(executors)
    }

    /// Whether one of these executors is lost.
    ///
    /// # Errors
    /// [`Failure::OutOfReach`] that says which, or that nothing answers.
    pub async fn has_all(&self, before: &[Executor]) -> Result<(), Failure> {
        let now = self.executors().await?;
        match before.iter().find(|executor| !now.iter().any(|other| other.id == executor.id)) {
            Some(lost) => Err(Failure::OutOfReach(format!(
                "the executor {} on {} was lost while the question ran: no answer is given, for it may lack rows or hold some twice; ask again",
                lost.id, lost.host
            ))),
            None => Ok(()),
        }
    }

    /// Whether every task of the job of that name was computed once.
    ///
    /// # Errors
    /// [`Failure::OutOfReach`] where one failed and was computed again, or nothing answers.
    pub async fn is_computed_once(&self, job: &str) -> Result<(), Failure> {
        for job in self.jobs().await?.into_iter().filter(|other| other.name == job) {
            if self.tasks(&job.id).await?.iter().any(|status| status != "Successful") {
                return Err(Failure::OutOfReach(
                    "a task failed and was computed again while the question ran: no answer is given, for it may hold rows twice; ask again".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// How many tasks the job of that name was given so far, where it is not done and no task of any job runs.
    ///
    /// # Errors
    /// [`Failure::OutOfReach`] where nothing answers.
    pub async fn stands_still(&self, job: &str) -> Result<Option<usize>, Failure> {
        let mut given = None;
        for other in self.jobs().await?.into_iter().filter(|other| other.status == "Running") {
            let tasks = self.tasks(&other.id).await?;
            if tasks.iter().any(|status| status == "Running") {
                return Ok(None);
            }
            if other.name == job {
                given = Some(tasks.len());
            }
        }
        Ok(given)
    }

    async fn jobs(&self) -> Result<Vec<Job>, Failure> {
        let jobs = self.get("/api/jobs").await?;
        let job = |of: &serde_json::Value| Job { id: text(of, "job_id"), name: text(of, "job_name"), status: text(of, "status") };
        Ok(jobs.as_array().into_iter().flatten().map(job).collect())
    }

    /// What became of each task of a job.
    async fn tasks(&self, job: &str) -> Result<Vec<serde_json::Value>, Failure> {
        let stages = self.get(&format!("/api/job/{job}/stages")).await?;
        let stages = stages.get("stages").unwrap_or(&stages).as_array().cloned().unwrap_or_default();
        let tasks = stages.iter().filter_map(|stage| stage.get("tasks")?.as_array()).flatten();
        Ok(tasks.filter_map(|task| task.get("status").cloned()).collect())
    }

    /// Cancels the job of that name, where there is one that runs; nothing is waited for.
    pub async fn cancel(&self, job: &str) {
        for job in self.jobs().await.unwrap_or_default().into_iter().filter(|other| other.name == job) {
            let _ = self.http.patch(format!("{}/api/job/{}", self.url, job.id)).send().await;
        }
    }

    async fn get(&self, path: &str) -> Result<serde_json::Value, Failure> {
        let silent = |error: &reqwest::Error| {
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            Failure::OutOfReach(format!(
                "no Ballista scheduler answers at {} ({cause}): start one with `keytrail-ballista scheduler`, or name it with --scheduler",
                self.url
            ))
        };
        let text = async { self.http.get(format!("{}{path}", self.url)).send().await?.error_for_status()?.text().await };
        let text = text.await.map_err(|error| silent(&error))?;
        serde_json::from_str(&text).map_err(|_| Failure::OutOfReach(format!("what answers at {} is no Ballista scheduler", self.url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_is_a_host_and_a_port() {
        for given in ["127.0.0.1:50050", "http://127.0.0.1:50050", "http://127.0.0.1:50050/"] {
            assert_eq!(Scheduler::at(given).unwrap().url(), "http://127.0.0.1:50050");
        }
        for (given, url) in [("scheduler", "http://scheduler:50050"), ("scheduler:80", "http://scheduler:80")] {
            assert_eq!(Scheduler::at(given).unwrap().url(), url);
        }
        assert_eq!(Scheduler::at("[::1]:50050").unwrap().url(), "http://[::1]:50050");
        for refused in ["", "host:port", "https://host:1", "host/path"] {
            assert!(matches!(Scheduler::at(refused), Err(Failure::Usage(_))), "{refused}");
        }
    }
}
