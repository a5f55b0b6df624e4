//! Live findings as server-sent events: one look a second at the lake and at what lies over it while anybody listens, whatever the number of listeners.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, TryStreamExt as _, stream};
use keytrail_query::Session;
use tokio::sync::broadcast;

use super::{Problem, Shared};
use crate::{Desk, Error, Visit};

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Findings that a slow listener may be behind; what is more it misses, and is told so.
const BEHIND_MAX: usize = 1_024;
/// Listeners at once.
const LISTENERS_MAX: usize = 100;

/// Told for each revision of a finding.
#[derive(Debug, Clone)]
struct News {
    id: String,
    json: Arc<str>,
}

/// Who listens.
#[derive(Debug, Clone)]
pub struct Live {
    session: Session,
    send: Arc<Mutex<Option<broadcast::Sender<News>>>>,
}

impl Live {
    /// Nobody listens yet.
    pub fn of(desk: &Desk) -> Self {
        Self { session: desk.session().clone(), send: Arc::default() }
    }

    /// Begins to listen, and to look where nobody listened before.
    fn listen(&self) -> Result<broadcast::Receiver<News>, Error> {
        let mut send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(send) = send.as_ref().filter(|send| send.receiver_count() > 0) {
            if send.receiver_count() >= LISTENERS_MAX {
                return Err(Error::Busy(format!("{LISTENERS_MAX} listeners are all that there may be")));
            }
            return Ok(send.subscribe());
        }
        let (new, receive) = broadcast::channel(BEHIND_MAX);
        *send = Some(new.clone());
        tokio::spawn(look(self.session.clone(), new));
        Ok(receive)
    }
}

/// Looks until nobody listens. What stands in the lake at the start is no news.
async fn look(session: Session, send: broadcast::Sender<News>) {
    let mut known: Option<HashMap<String, i64>> = None;
    while send.receiver_count() > 0 {
        match newest(&session).await {
            Ok(all) => {
                if let Some(known) = &known {
                    for (id, revision, json) in all.iter().filter(|(id, revision, _)| known.get(id) != Some(revision)) {
                        tracing::debug!(finding = %id, revision, "told to listeners");
                        let _ = send.send(News { id: id.clone(), json: json.clone() });
                    }
                }
                known = Some(all.into_iter().map(|(id, revision, _)| (id, revision)).collect());
            }
            Err(error) => tracing::warn!(%error, "live findings cannot be read"),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The newest revisions of the findings of the last week of events, as JSON.
async fn newest(session: &Session) -> Result<Vec<(String, i64, Arc<str>)>, keytrail_query::Error> {
    let now = session.watermark().await?.unwrap_or_default();
    let since = keytrail_schemas::Micros(now.0.saturating_sub(7 * keytrail_schemas::Micros::DAY));
    let sql = format!("SELECT * FROM findings WHERE last_event_time >= '{since}'");
    let rows = session.sql_stream(&sql).await?;
    let batches: Vec<_> = rows.batches.try_collect().await?;
    let mut all = Vec::new();
    for batch in &batches {
        let mut lines = Vec::new();
        let mut writer = arrow::json::LineDelimitedWriter::new(&mut lines);
        let written = writer.write(batch).and_then(|()| writer.finish());
        drop(writer);
        if written.is_err() {
            continue;
        }
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(text) = std::str::from_utf8(line) else { continue };
            let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { continue };
            let id = value.get("finding_id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            all.push((id, value.get("revision").and_then(serde_json::Value::as_i64).unwrap_or_default(), text.into()));
        }
    }
    Ok(all)
}

/// Findings as they come.
pub async fn findings(State(shared): State<Shared>, Extension(visit): Extension<Visit>) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    visit.caller.may_ask("findings")?;
    let receive = shared.live.listen()?;
    let asked = shared.desk.asked(&visit, "live", "live findings".to_owned());
    let (access, caller) = (shared.desk.clone(), visit.caller);
    let events = stream::unfold((receive, asked, access, caller), |(mut receive, mut asked, desk, caller)| async move {
        loop {
            let news = tokio::time::timeout(LOOK_INTERVAL, receive.recv()).await;
            // A token that was revoked meanwhile hears no more.
            desk.access().again(&caller).ok()?;
            let event = match news {
                Err(_) => continue,
                Ok(Ok(news)) => {
                    asked.saw(1);
                    Event::default().event("finding").id(news.id).data(&*news.json)
                }
                Ok(Err(broadcast::error::RecvError::Lagged(missed))) => Event::default().event("missed").data(missed.to_string()),
                Ok(Err(broadcast::error::RecvError::Closed)) => return None,
            };
            return Some((Ok(event), (receive, asked, desk, caller)));
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
