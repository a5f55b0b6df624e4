//! A keytrail that serves elsewhere, asked over HTTP: `--server URL`, with the token of `KEYTRAIL_TOKEN`. The same questions, answered in Arrow.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use keytrail_query::Call;
use reqwest::blocking::{Client, RequestBuilder, Response};

use crate::config::Config;
use crate::exit::{OutOfReach, Usage};

/// Longest wait for an answer; the server's own limits are shorter.
const ANSWER_WAIT: Duration = Duration::from_secs(600);

/// Rows from a server.
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub coverage: String,
}

/// The server of this invocation.
pub struct Server {
    url: url::Url,
    token: Option<String>,
    client: Client,
}

impl Server {
    /// The server that was named; `None` where none was.
    ///
    /// # Errors
    /// [`Usage`] for what is no URL, or would send a token in the clear over a network.
    pub fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        if config.server.is_empty() {
            return Ok(None);
        }
        let wrong = |reason: &str| Usage(format!("--server {}: {reason}", config.server));
        let url = url::Url::parse(&config.server).map_err(|error| wrong(&format!("{error}: expected http://HOST:PORT or https://HOST:PORT")))?;
        let is_loopback = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => return Err(wrong("it names no host").into()),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback || config.token.is_none() => {}
            "http" => return Err(wrong("the token would pass in the clear: write https://").into()),
            _ => return Err(wrong("expected http:// or https://").into()),
        }
        // Nobody but the server that was named is shown the token.
        let client = Client::builder().timeout(ANSWER_WAIT).redirect(reqwest::redirect::Policy::none()).build().map_err(|error| wrong(&told(&error)))?;
        Ok(Some(Self { url, token: config.token.clone(), client }))
    }

    /// Asks a question.
    ///
    /// # Errors
    /// What the server says, or that it is out of reach.
    pub fn call(&self, call: &Call) -> anyhow::Result<Answer> {
        self.rows(self.client.get(self.at(&["v1", call.name()])?).query(&call.arguments()))
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// As [`Server::call`].
    pub fn sql(&self, sql: &str) -> anyhow::Result<Answer> {
        self.rows(self.client.post(self.at(&["v1", "sql"])?).header("Content-Type", "application/json").body(serde_json::json!({ "sql": sql }).to_string()))
    }

    /// A finding whole: as data, as text, and the coverage line.
    ///
    /// # Errors
    /// As [`Server::call`].
    pub fn explain(&self, finding: &str) -> anyhow::Result<(serde_json::Value, String, String)> {
        let answer = self.answered(self.client.get(self.at(&["v1", "explain", finding])?))?;
        let body: serde_json::Value = serde_json::from_slice(&answer.bytes().map_err(|error| self.out_of_reach(&error))?)?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Ok((body["finding"].clone(), text("text"), text("coverage")))
    }

    fn rows(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let answer = self.answered(request.header("Accept", keytrail_serve::format::Format::Arrow.media_type()))?;
        let reader = arrow::ipc::reader::StreamReader::try_new(std::io::BufReader::new(answer), None);
        let broken = |error: arrow::error::ArrowError| OutOfReach(format!("server {}: the answer broke off: {error}", self.url));
        let mut reader = reader.map_err(broken)?;
        let schema = reader.schema();
        let coverage = schema.metadata().get(keytrail_serve::format::COVERAGE_KEY).cloned().unwrap_or_default();
        let batches = reader.by_ref().collect::<Result<_, _>>().map_err(broken)?;
        Ok(Answer { schema, batches, coverage })
    }

    /// The answer, when it is one.
    fn answered(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().map_err(|error| self.out_of_reach(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body: serde_json::Value = answer.bytes().ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let message = body["error"]["message"].as_str().map_or_else(|| format!("server {}: {status}", self.url), str::to_owned);
        if status.is_client_error() { Err(Usage(message).into()) } else { Err(OutOfReach(message).into()) }
    }

    fn at(&self, segments: &[&str]) -> anyhow::Result<url::Url> {
        let mut url = self.url.clone();
        url.path_segments_mut().map_err(|()| Usage(format!("--server {}: it has no path", self.url)))?.pop_if_empty().extend(segments);
        Ok(url)
    }

    fn out_of_reach(&self, error: &reqwest::Error) -> OutOfReach {
        OutOfReach(format!("server {}: {}", self.url, told(error)))
    }
}

/// The innermost cause, which says most.
fn told(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
