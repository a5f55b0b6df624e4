//! From what a person types to a canonical name: the name itself, its last path segment, or any fragment that only one
//! name holds.

use std::collections::HashMap;
use std::sync::PoisonError;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Micros, Text};

use crate::engine::Engine;
use crate::table::{Order, TableName};
use crate::{Error, column};

/// Resolved names that are remembered; beyond it all are forgotten.
const CACHE_ENTRIES_MAX: usize = 1_024;
/// Names that fit a fragment are counted up to here.
const COUNT_MAX: usize = 1_000;
/// Candidates that an error lists.
const CANDIDATES_MAX: usize = 10;
/// Names that are compared when nothing fits, to suggest the nearest.
const COMPARED_MAX: usize = 100_000;

/// What a name can be the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Identity,
    Destination,
    Credential,
    Finding,
}

/// Names resolved before, with the names that the table had then; whole names under [`WHOLE`].
pub(crate) type Cache = HashMap<(Kind, String, (Option<u64>, u64)), Text>;

/// In the place of what the table had: a whole name stays one, whatever else comes.
const WHOLE: (Option<u64>, u64) = (Some(u64::MAX), u64::MAX);

/// Where names of a kind stand: a query for one that is exactly `$1`, and the list of all (`name`, `seen`).
struct Place {
    table: TableName,
    exact: &'static str,
    all: &'static str,
}

impl Kind {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Identity => ("identity", "identities"),
            Self::Destination => ("destination", "destinations"),
            Self::Credential => ("credential", "credentials"),
            Self::Finding => ("finding", "findings"),
        }
    }

    /// The published tables are small and come first; events know what the ledger has not published yet.
    const fn places(self) -> &'static [Place] {
        match self {
            Self::Identity => &[
                Place {
                    table: TableName::Identities,
                    exact: "SELECT identity AS name FROM identities WHERE identity = $1 LIMIT 1",
                    all: "SELECT identity AS name, max(last_seen) AS seen FROM identities GROUP BY identity",
                },
                Place {
                    table: TableName::Events,
                    exact: "SELECT identity AS name FROM touches WHERE identity = $1 LIMIT 1",
                    all: "SELECT identity AS name, max(last) AS seen FROM touches GROUP BY identity",
                },
            ],
            Self::Destination => &[Place {
                table: TableName::Events,
                exact: "SELECT destination AS name FROM touches WHERE destination = $1 LIMIT 1",
                all: "SELECT destination AS name, max(last) AS seen FROM touches WHERE destination IS NOT NULL GROUP BY destination",
            }],
            Self::Credential => &[
                Place {
                    table: TableName::Credentials,
                    exact: "SELECT credential AS name FROM credentials WHERE credential = $1 LIMIT 1",
                    all: "SELECT credential AS name, max(last_used) AS seen FROM credentials GROUP BY credential",
                },
                Place {
                    table: TableName::Events,
                    exact: "SELECT credential AS name FROM touches WHERE credential = $1 LIMIT 1",
                    all: "SELECT credential AS name, max(last) AS seen FROM touches WHERE credential IS NOT NULL GROUP BY credential",
                },
            ],
            Self::Finding => &[Place {
                table: TableName::Findings,
                exact: "SELECT finding_id AS name FROM findings_log WHERE finding_id = $1 LIMIT 1",
                all: "SELECT finding_id AS name, max(last_event_time) AS seen FROM findings_log GROUP BY finding_id",
            }],
        }
    }
}

/// The canonical name that `text` stands for.
///
/// # Errors
/// [`Error::Unknown`] with the nearest names, [`Error::Ambiguous`] with the candidates, and what reading the lake gives.
pub(crate) async fn resolve(engine: &Engine, kind: Kind, text: &str) -> Result<Text, Error> {
    let text = text.trim();
    if let Some(place) = kind.places().first() {
        engine.table(place.table).ready().await?;
    }
    let among = kind.places().first().map_or((None, 0), |place| engine.table(place.table).names());
    let key = (kind, text.to_owned(), among);
    let whole = (kind, text.to_owned(), WHOLE);
    {
        let cache = engine.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(&whole).or_else(|| cache.get(&key)) {
            return Ok(known.clone());
        }
    }
    let name = look_up(engine, kind, text).await?;
    let key = if name == text { whole } else { key };
    let mut cache = engine.resolved.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= CACHE_ENTRIES_MAX {
        cache.clear();
    }
    cache.insert(key, name.clone());
    Ok(name)
}

async fn look_up(engine: &Engine, kind: Kind, text: &str) -> Result<Text, Error> {
    let (what, plural) = kind.words();
    if text.is_empty() {
        return Err(Error::Unknown { what, text: String::new(), nearest: Vec::new() });
    }
    if is_touched_by_name(engine, kind, text).await {
        return Ok(Text::from(text));
    }
    for place in kind.places() {
        let found = engine.rows(place.exact, vec![ScalarValue::from(text)]).await?;
        if found.iter().any(|batch| batch.num_rows() > 0) {
            return Ok(Text::from(text));
        }
    }
    for place in kind.places() {
        let fitting =
            format!("SELECT name, seen FROM ({}) WHERE strpos(lower(name), lower($1)) > 0 ORDER BY seen DESC NULLS LAST, name LIMIT {}", place.all, COUNT_MAX);
        let candidates = names(engine, &fitting, vec![ScalarValue::from(text)]).await?;
        if let Some(name) = the_one(&candidates, text) {
            return Ok(Text::from(name));
        }
        if !candidates.is_empty() {
            let count = candidates.len();
            return Err(Error::Ambiguous { plural, text: text.to_owned(), count, candidates: candidates.into_iter().take(CANDIDATES_MAX).collect() });
        }
    }
    let mut nearest = Vec::new();
    if let Some(place) = kind.places().first() {
        let some = format!("SELECT name, seen FROM ({}) ORDER BY seen DESC NULLS LAST LIMIT {COMPARED_MAX}", place.all);
        nearest = nearest_to(text, names(engine, &some, Vec::new()).await?.into_iter().map(|(name, _)| name));
    }
    Err(Error::Unknown { what, text: text.to_owned(), nearest })
}

/// Whether events have the name, as looking it up says; what cannot be looked up is asked for in SQL.
async fn is_touched_by_name(engine: &Engine, kind: Kind, text: &str) -> bool {
    let order = match kind {
        Kind::Identity => Order::Identity,
        Kind::Destination => Order::Destination,
        Kind::Credential | Kind::Finding => return false,
    };
    engine.options().look_up && engine.has_touches(order, text).await.unwrap_or_default()
}

async fn names(engine: &Engine, sql: &str, parameters: Vec<ScalarValue>) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut all = Vec::new();
    for batch in engine.rows(sql, parameters).await? {
        let seen = batch.column_by_name("seen").and_then(|seen| seen.as_primitive_opt::<TimestampMicrosecondType>().cloned());
        for (row, name) in column::texts(&batch, "name").into_iter().enumerate() {
            let seen = seen.as_ref().filter(|seen| seen.is_valid(row)).map(|seen| Micros(seen.value(row)).to_rfc3339());
            all.extend(name.map(|name| (name, seen)));
        }
    }
    Ok(all)
}

/// The only candidate, or the only one whose last path segment is the text.
fn the_one<'a>(candidates: &'a [(String, Option<String>)], text: &str) -> Option<&'a str> {
    if let [(only, _)] = candidates {
        return Some(only);
    }
    let mut ending = candidates.iter().filter(|(name, _)| last_segment(name).eq_ignore_ascii_case(text));
    match (ending.next(), ending.next()) {
        (Some((only, _)), None) => Some(only),
        _ => None,
    }
}

fn last_segment(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}

/// The three names most alike to `text`: by shared pairs of letters with the name's last segment, or the whole name.
fn nearest_to(text: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let wanted = pairs(text);
    let mut alike: Vec<(f64, String)> = names
        .map(|name| (likeness(&wanted, &pairs(last_segment(&name))).max(likeness(&wanted, &pairs(&name))), name))
        .filter(|(likeness, _)| *likeness > 0.2)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    alike.into_iter().take(3).map(|(_, name)| name).collect()
}

fn pairs(text: &str) -> Vec<(char, char)> {
    let letters: Vec<char> = text.to_lowercase().chars().collect();
    let mut pairs: Vec<_> = letters.iter().copied().zip(letters.iter().copied().skip(1)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Dice's coefficient of two sorted sets: 1 for equal, 0 for nothing in common.
#[expect(clippy::cast_precision_loss, reason = "a name has far fewer than 2^52 letters")]
fn likeness(a: &[(char, char)], b: &[(char, char)]) -> f64 {
    let shared = a.iter().filter(|pair| b.binary_search(pair).is_ok()).count();
    if a.is_empty() || b.is_empty() { 0.0 } else { 2.0 * shared as f64 / (a.len() + b.len()) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_those_with_the_most_letter_pairs_in_common() {
        let names = ["aws:1:role/ci-deploy", "aws:1:role/backup", "k8s:prod:sa/ci/deployer", "x"].map(str::to_owned);
        assert_eq!(nearest_to("ci-depoly", names.into_iter()), ["aws:1:role/ci-deploy", "k8s:prod:sa/ci/deployer"]);
    }

    #[test]
    fn a_whole_last_segment_wins_over_longer_ones() {
        let candidates = ["aws:1:role/deploy", "aws:1:role/deploy-canary"].map(|name| (name.to_owned(), None));
        assert_eq!(the_one(&candidates, "Deploy"), Some("aws:1:role/deploy"));
        assert_eq!(the_one(&candidates, "dep"), None);
    }
}
