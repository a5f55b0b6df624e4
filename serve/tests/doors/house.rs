//! A house with open doors: a small lake that keytrail's own writer wrote, tokens, the record.

use std::net::SocketAddr;

use keytrail_lake::{CompactOptions, Lake, RollUpOptions};
use keytrail_query::Session;
use keytrail_schemas::{Event, EventId, IdentityKind, Micros, Outcome, Text, Topic};
use keytrail_serve::access::{Access, Role, Token, TokenFile};
use keytrail_serve::record::Record;
use keytrail_serve::{Desk, Doors, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Events of the lake: enough that a join of them with themselves does not end.
pub const EVENTS: usize = 12_000;
const IDENTITIES: usize = 30;
/// 2026-01-01, in microseconds.
const START: i64 = 1_767_225_600_000_000;

pub struct House {
    pub folder: TempDir,
    pub runtime: Runtime,
    doors: Option<Doors>,
    pub http: SocketAddr,
    pub postgres: SocketAddr,
}

fn now() -> Micros {
    Micros(START + 30 * Micros::DAY)
}

impl House {
    /// Over three days, two of them closed, compacted and rolled up.
    pub fn new(options: Options, limits: keytrail_query::Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let path = folder.path().join("lake");
        std::fs::create_dir_all(&path).unwrap();
        let path = path.to_str().unwrap();
        let session = runtime.block_on(async {
            let lake = Lake::open(path, keytrail_lake::Options::default()).await.unwrap();
            for commit in 0..3 {
                let events: Vec<Event> = (commit * EVENTS / 3..(commit + 1) * EVENTS / 3).map(event).collect();
                let next = i64::try_from((commit + 1) * EVENTS / 3).unwrap();
                lake.commit_events(&events, &[(Topic::Events, 0, next)]).await.unwrap();
            }
            lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap();
            lake.roll_up(&RollUpOptions::default()).await.unwrap();
            Session::open(path, limits).await.unwrap()
        });
        let access = if options.no_auth { Access::open(now) } else { Access::by_tokens(TokenFile::of(folder.path()).path().to_owned(), now) };
        let here = || "127.0.0.1:0".to_owned();
        let desk = Desk::new(session, access, Record::of(folder.path()), Options { listen: here(), postgres: here(), ..options });
        let doors = runtime.block_on(keytrail_serve::serve(&desk)).unwrap();
        let (http, postgres) = (doors.http.unwrap(), doors.postgres.unwrap());
        Self { folder, runtime, doors: Some(doors), http, postgres }
    }

    /// A new token.
    pub fn token(&self, name: &str, questions: &[&str]) -> String {
        let questions = questions.iter().map(|question| (*question).to_owned()).collect();
        let (token, shown) = Token::new(name, Role::Analyst, questions, now(), None).unwrap();
        TokenFile::of(self.folder.path()).add(token, now()).unwrap();
        shown
    }

    pub fn revoke(&self, name: &str) {
        assert_eq!(TokenFile::of(self.folder.path()).revoke(name, now()).unwrap(), 1);
    }

    /// What was written down.
    pub fn record(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("access/queries.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(doors) = self.doors.take() {
            self.runtime.block_on(doors.close());
        }
    }
}

/// The rows that `touched` has of an identity.
pub fn rows_of(identity: &str) -> usize {
    let of_it = (0..EVENTS).map(event).filter(|event| event.identity.ends_with(identity));
    of_it.map(|event| (event.destination, event.outcome.as_str())).collect::<std::collections::HashSet<_>>().len()
}

fn event(number: usize) -> Event {
    let time = START + i64::try_from(number).unwrap() * (3 * Micros::DAY / i64::try_from(EVENTS).unwrap());
    let who = number % IDENTITIES;
    Event {
        event_id: EventId::of_provider("doors", "", &number.to_string(), 0),
        log_offset: i64::try_from(number).unwrap(),
        time: Micros(time),
        ingested_at: Micros(time + Micros::SECOND),
        identity: Text::from(format!("doors:sa/worker-{who:02}")),
        identity_kind: IdentityKind::Workload,
        identity_provider: Text::from("doors"),
        credential: Some(Text::from(format!("key-{who}"))),
        credential_issued_at: Some(Micros(START)),
        // A name that somebody chose who would like to be taken for more than data.
        destination: Some(Text::from(if number.is_multiple_of(7) {
            "doors:o'neill'); DROP TABLE events; --\u{1b}[31m".to_owned()
        } else {
            format!("doors:store/{}", number % 11)
        })),
        action: Some(Text::from("get")),
        protocol: Some(Text::from("https")),
        outcome: if number.is_multiple_of(13) { Outcome::Denied } else { Outcome::Success },
        source: Text::from("doors"),
        format: Text::from("keytrail"),
        ..Event::default()
    }
}
