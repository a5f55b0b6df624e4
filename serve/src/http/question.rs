//! The questions and SQL: arguments in, rows out, in the format that was asked for.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use keytrail_query::Call;

use super::{COVERAGE_HEADER, Problem, Shared, header_value};
use crate::access::{Role, TokenFile};
use crate::format::{Encoder, Format};
use crate::{Answer, Error, Visit};

/// Arguments as they stand in a URL.
type Arguments = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A question.
pub async fn ask(
    State(shared): State<Shared>,
    Extension(visit): Extension<Visit>,
    Path(question): Path<String>,
    arguments: Arguments,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let arguments = read(arguments)?;
    let format = wanted(&arguments, &headers)?;
    let given = arguments.iter().filter(|(name, _)| name != "format").map(|(name, value)| (name.as_str(), value.as_str()));
    let call = Call::new(&question, given).map_err(Error::from)?;
    Ok(written(shared.desk.call(&visit, call).await?, format)?)
}

/// A statement.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    sql: String,
}

/// SQL that only reads.
pub async fn sql(
    State(shared): State<Shared>,
    Extension(visit): Extension<Visit>,
    arguments: Arguments,
    headers: HeaderMap,
    statement: Result<Json<Statement>, JsonRejection>,
) -> Result<Response, Problem> {
    let arguments = read(arguments)?;
    only_format(&arguments)?;
    let format = wanted(&arguments, &headers)?;
    let Json(statement) = statement.map_err(|error| Error::Request(error.body_text()))?;
    Ok(written(shared.desk.sql(&visit, &statement.sql).await?, format)?)
}

/// A finding whole.
pub async fn explain(
    State(shared): State<Shared>,
    Extension(visit): Extension<Visit>,
    Path(finding): Path<String>,
    arguments: Arguments,
) -> Result<Response, Problem> {
    if let Some((name, _)) = read(arguments)?.first() {
        return Err(Error::Request(format!("explain takes no argument {name:?}")).into());
    }
    let (explained, coverage) = shared.desk.explain(&visit, &finding).await?;
    let text = explained.to_text();
    let body = Json(serde_json::json!({ "finding": explained, "text": text, "coverage": coverage }));
    Ok(([(COVERAGE_HEADER, header_value(&coverage))], body).into_response())
}

/// Who has a token, for admins; nothing that shows one.
pub async fn tokens(State(shared): State<Shared>, Extension(visit): Extension<Visit>) -> Result<Response, Problem> {
    if visit.caller.role < Role::Admin {
        return Err(Error::Forbidden("the list of tokens is for admins".to_owned()).into());
    }
    let now = shared.desk.access().now();
    let known = shared.desk.access().file().map_or(Ok(Vec::new()), TokenFile::read)?;
    let listed: Vec<_> = known
        .iter()
        .map(|token| serde_json::json!({ "id": token.id, "name": token.name, "role": token.role, "questions": token.questions, "state": token.state(now) }))
        .collect();
    Ok(Json(serde_json::json!({ "rows": listed })).into_response())
}

fn read(arguments: Arguments) -> Result<Vec<(String, String)>, Error> {
    let Query(arguments) = arguments.map_err(|error| Error::Request(error.body_text()))?;
    match arguments.iter().find(|(_, value)| value.is_empty()) {
        Some((name, _)) => Err(Error::Request(format!("{:?} is empty: leave it out", name.chars().take(64).collect::<String>()))),
        None => Ok(arguments),
    }
}

fn only_format(arguments: &[(String, String)]) -> Result<(), Error> {
    match arguments.iter().find(|(name, _)| name != "format") {
        Some((name, _)) => Err(Error::Request(format!("there is no argument {:?}: format is one", name.chars().take(64).collect::<String>()))),
        None => Ok(()),
    }
}

/// The format of `?format=`, else of `Accept`.
fn wanted(arguments: &[(String, String)], headers: &HeaderMap) -> Result<Format, Problem> {
    let mut given = arguments.iter().filter(|(name, _)| name == "format").map(|(_, value)| value);
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name.parse().map_err(Error::Request)?),
        (Some(_), Some(_)) => Err(Error::Request("format is given twice".to_owned()).into()),
        (None, _) => {
            let accept = headers.get(ACCEPT).map_or(Ok(""), |value| value.to_str()).map_err(|_| Problem::not_acceptable())?;
            Format::accepted(accept).ok_or_else(Problem::not_acceptable)
        }
    }
}

/// The answer as a body that is made while it is read. What fails on the way breaks the transfer off, so that half an answer never looks whole.
fn written(answer: Answer, format: Format) -> Result<Response, Error> {
    let wrong = |error: arrow::error::ArrowError| Error::Format(error.to_string());
    let encoder = Encoder::new(format, &answer.schema, &answer.coverage).map_err(wrong)?;
    let pieces = stream::unfold((answer.batches, Some(encoder)), move |(mut batches, encoder)| async move {
        let mut encoder = encoder?;
        let piece = match batches.next().await {
            Some(Ok(batch)) => match encoder.batch(&batch) {
                Ok(piece) => return Some((Ok(piece), (batches, Some(encoder)))),
                Err(error) => Err(wrong(error)),
            },
            Some(Err(error)) => Err(error),
            None => encoder.finish().map_err(wrong),
        };
        if let Err(error) = &piece {
            tracing::info!(%error, "an answer was broken off");
        }
        Some((piece, (batches, None)))
    });
    let headers = [(CONTENT_TYPE, axum::http::HeaderValue::from_static(format.media_type()))];
    Ok((headers, [(COVERAGE_HEADER, header_value(&answer.coverage))], Body::from_stream(pieces)).into_response())
}
