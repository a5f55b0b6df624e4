//! The console: pages rendered by the server, without script. What to read first, a finding's story, what an identity touched, and when.
//!
//! Each page asks the same questions as every other door, in the name of whoever is in front of it, and ends with the coverage line.

mod html;

use axum::Router;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use futures::StreamExt as _;
use keytrail_query::Call;

use super::{Problem, Shared};
use crate::{Answer, Error, Visit};
use html::{Link, Table, escaped, page, path};

/// Rows of a page; what is more is counted.
const ROWS_MAX: usize = 500;

/// The console's routes.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/console") }))
        .route("/console", get(queue))
        .route("/console/finding/{finding}", get(finding))
        .route("/console/identity", get(identity))
        .route("/console/timeline", get(timeline))
        .route("/console/posture", get(posture))
        .route("/console/style.css", get(|| async { ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")) }))
}

/// An identity's name, and since when.
#[derive(Debug, serde::Deserialize)]
struct Of {
    name: String,
    #[serde(default)]
    since: String,
}

/// What goes wrong is a page too.
struct Page(Result<String, Problem>);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(text) => Html(text).into_response(),
            Err(problem) => {
                let (status, headers, message) = problem.told();
                (status, headers, Html(page("keytrail", &format!("<p class=\"problem\">{}</p>", escaped(&message)), ""))).into_response()
            }
        }
    }
}

/// Findings, best first.
async fn queue(State(shared): State<Shared>, Extension(visit): Extension<Visit>) -> Page {
    let table = |shown: &Shown| {
        Table::of(&shown.batches)
            .columns(&["score", "severity", "time", "title", "identity", "reasons"])
            .linked("title", Link::Path { to: "/console/finding/", of: "finding_id" })
            .linked("identity", Link::Name { to: "/console/identity", of: "identity" })
            .written()
    };
    Page(answered(&shared, visit, "findings", &[], "What to read first", "", table).await)
}

/// A finding's story.
async fn finding(State(shared): State<Shared>, Extension(visit): Extension<Visit>, Path(finding): Path<String>) -> Page {
    Page(story(&shared, visit, &finding).await.map_err(Problem::from))
}

async fn story(shared: &Shared, visit: Visit, finding: &str) -> Result<String, Error> {
    let (explained, coverage) = shared.desk.explain(&console(visit), finding).await?;
    let told = &explained.finding;
    let name = path("/console/identity", &told.identity);
    let mut body = format!(
        "<p><span class=\"{0}\">{0}</span> · <a href=\"{name}\">{1}</a> · <a href=\"{2}\">timeline</a></p>",
        escaped(told.severity.as_str()),
        escaped(&told.identity),
        path("/console/timeline", &told.identity)
    );
    body += &format!("<pre>{}</pre>", escaped(explained.to_text().trim_end()));
    if !explained.neighbours.is_empty() {
        body += "<h2>Around it</h2><ul>";
        for other in &explained.neighbours {
            body += &format!(
                "<li><a href=\"/console/finding/{}\">{}</a> · {} · {} · shares {}</li>",
                html::encoded(&other.finding_id),
                escaped(&other.title),
                escaped(&other.identity),
                escaped(&other.time.to_rfc3339()),
                escaped(&other.shares.join(", "))
            );
        }
        body += "</ul>";
    }
    Ok(page(&told.title, &body, &coverage))
}

/// What an identity touched.
async fn identity(State(shared): State<Shared>, Extension(visit): Extension<Visit>, Query(of): Query<Of>) -> Page {
    let table = |shown: &Shown| {
        Table::of(&shown.batches)
            .columns(&["destination", "action", "protocol", "credential", "credential_age_days", "count", "outcome", "first", "last", "first_ever"])
            .written()
    };
    let lead = format!("<p><a href=\"{}\">timeline</a></p>{}", path("/console/timeline", &of.name), form("/console/identity", &of));
    Page(answered(&shared, visit, "touched", &[("identity", &of.name), ("from", &of.since)], &format!("What {} touched", of.name), &lead, table).await)
}

/// What an identity did, in order.
async fn timeline(State(shared): State<Shared>, Extension(visit): Extension<Visit>, Query(of): Query<Of>) -> Page {
    let since = if of.since.is_empty() { "-1d" } else { &of.since };
    let table = |shown: &Shown| {
        Table::of(&shown.batches).columns(&["time", "activity", "action", "destination", "outcome", "credential", "source_ip", "finding_ids"]).written()
    };
    let lead = format!("<p><a href=\"{}\">what it touched</a></p>{}", path("/console/identity", &of.name), form("/console/timeline", &of));
    Page(answered(&shared, visit, "timeline", &[("identity", &of.name), ("from", since)], &format!("{} since {since}", of.name), &lead, table).await)
}

/// What is wrong with credentials and identities.
async fn posture(State(shared): State<Shared>, Extension(visit): Extension<Visit>) -> Page {
    let table = |shown: &Shown| {
        Table::of(&shown.batches)
            .columns(&["problem", "identity", "credential", "age_days", "detail", "last_used"])
            .linked("identity", Link::Name { to: "/console/identity", of: "identity" })
            .written()
    };
    Page(answered(&shared, visit, "posture", &[], "Posture", "", table).await)
}

/// Rows of a page.
struct Shown {
    batches: Vec<arrow::array::RecordBatch>,
}

async fn answered(
    shared: &Shared,
    visit: Visit,
    question: &str,
    arguments: &[(&str, &str)],
    title: &str,
    lead: &str,
    table: impl Fn(&Shown) -> String,
) -> Result<String, Problem> {
    let asked = async {
        let call = Call::new(question, arguments.iter().copied())?;
        let Answer { coverage, mut batches, .. } = shared.desk.call(&console(visit), call).await?;
        let (mut shown, mut rows, mut all) = (Vec::new(), 0, 0);
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let take = batch.num_rows().min(ROWS_MAX - rows);
            rows += take;
            all += batch.num_rows();
            shown.push(batch.slice(0, take));
        }
        let mut body = lead.to_owned() + &table(&Shown { batches: shown });
        if all > rows {
            body += &format!("<p>The first {rows} of {all} rows.</p>");
        }
        Ok::<_, Error>(page(title, &body, &coverage))
    };
    Ok(asked.await?)
}

fn console(visit: Visit) -> Visit {
    Visit { door: "console", ..visit }
}

/// A line to ask again with another begin.
fn form(action: &str, of: &Of) -> String {
    format!(
        "<form action=\"{action}\" method=\"get\"><input type=\"hidden\" name=\"name\" value=\"{}\"><label>since <input name=\"since\" value=\"{}\" placeholder=\"-7d\"></label> <button>ask</button></form>",
        escaped(&of.name),
        escaped(&of.since)
    )
}
