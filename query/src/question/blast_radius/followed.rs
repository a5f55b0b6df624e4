//! Hops without a plan: each is a look-up of the identities that used a credential or obtained one with it, and of the ledger's credentials by what they were
//! obtained with.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use rustc_hash::FxHashMap;

use super::{COLUMNS, Frontier, bounded};
use crate::engine::Engine;
use crate::question::function::Period;
use crate::table::{Reach, Whose};
use crate::{Error, column};

/// The answer; `None` where too much would be looked up, or there is no room for it.
pub(super) async fn answer(engine: &Engine, start: &Frontier, period: Period, hops: i64) -> Result<Option<RecordBatch>, Error> {
    let [events, rolled] = engine.reach_files();
    let Some(reach) = engine.reach([&events, &rolled], period.from, period.to).await? else { return Ok(None) };
    let mut frontier = start.clone();
    let (mut known, mut rows) = (frontier.credentials.clone(), Vec::new());
    for hop in 1..=hops {
        bounded(&frontier, hop)?;
        let whose = if frontier.names.is_empty() { Whose::Credentials(&frontier.credentials) } else { Whose::Identities(&frontier.names) };
        let Some(found) = reach.of(whose).await.map_err(|e| engine.own(e))? else { return Ok(None) };
        let touched = touched(&found, &frontier);
        let used: BTreeSet<&str> = touched.iter().filter_map(|(key, _)| key.credential).collect();
        known.extend(used.iter().map(|credential| (*credential).to_owned()));
        if hop == 1 && !frontier.names.is_empty() {
            frontier.credentials.extend(used.iter().map(|credential| (*credential).to_owned()));
        }
        rows.push(batch(hop, &touched)?);
        let Some(next) = obtained(engine, &reach, &frontier, period).await? else { return Ok(None) };
        let credentials: BTreeSet<String> = next.into_iter().filter(|credential| known.insert(credential.clone())).collect();
        if credentials.is_empty() {
            break;
        }
        frontier = Frontier { names: BTreeSet::new(), credentials };
    }
    concat_batches(&column::schema(COLUMNS), &rows).map(Some).map_err(|e| engine.own(e.into()))
}

/// What a row of the answer is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'a> {
    identity: &'a str,
    credential: Option<&'a str>,
    destination: &'a str,
}

impl<'a> Key<'a> {
    /// What is empty comes last, as in SQL.
    fn order(&self) -> (&'a str, bool, Option<&'a str>, &'a str) {
        (self.identity, self.credential.is_none(), self.credential, self.destination)
    }
}

/// What was counted under a key.
#[derive(Clone, Copy)]
struct Counted<'a> {
    via: Option<&'a str>,
    environment: Option<&'a str>,
    count: i64,
    successes: i64,
    first: i64,
    last: i64,
}

/// The columns of what is read.
struct Columns<'a> {
    texts: [Option<&'a StringArray>; 6],
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let text = |name: &str| batch.column_by_name(name).and_then(|texts| texts.as_string_opt::<i32>());
        Self { texts: ["identity", "credential", "credential_parent", "destination", "environment", "outcome"].map(text), batch }
    }

    /// Identity, credential, parent, destination, environment, outcome of a row.
    fn row(&self, row: usize) -> [Option<&'a str>; 6] {
        self.texts.map(|texts| texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row)))
    }
}

/// What the frontier touched, in order.
fn touched<'a>(found: &'a [RecordBatch], frontier: &Frontier) -> Vec<(Key<'a>, Counted<'a>)> {
    let mut all: FxHashMap<Key<'a>, Counted<'a>> = FxHashMap::default();
    for columns in found.iter().map(Columns::of) {
        let time = |name: &str| columns.batch.column_by_name(name).and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(counts), Some(firsts), Some(lasts)) =
            (columns.batch.column_by_name("count").and_then(|counts| counts.as_primitive_opt::<Int64Type>()), time("first"), time("last"))
        else {
            continue;
        };
        for row in 0..columns.batch.num_rows() {
            let [Some(identity), credential, via, Some(destination), environment, outcome] = columns.row(row) else { continue };
            if frontier.names.is_empty() && !credential.is_some_and(|credential| frontier.credentials.contains(credential)) {
                continue;
            }
            let (count, first, last) = (counts.value(row), firsts.value(row), lasts.value(row));
            let successes = if matches!(outcome, Some("failure" | "denied")) { 0 } else { count };
            all.entry(Key { identity, credential, destination })
                .and_modify(|known| {
                    known.via = known.via.max(via);
                    known.environment = known.environment.max(environment);
                    known.count += count;
                    known.successes += successes;
                    known.first = known.first.min(first);
                    known.last = known.last.max(last);
                })
                .or_insert(Counted { via, environment, count, successes, first, last });
        }
    }
    let mut rows: Vec<_> = all.into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| key.order());
    rows
}

fn batch(hop: i64, rows: &[(Key<'_>, Counted<'_>)]) -> Result<RecordBatch, Error> {
    column::batch(
        COLUMNS,
        vec![
            column::count(rows.iter().map(|_| Some(hop))),
            column::text(rows.iter().map(|(key, _)| Some(key.identity))),
            column::text(rows.iter().map(|(key, _)| key.credential)),
            column::text(rows.iter().map(|(_, counted)| counted.via)),
            column::text(rows.iter().map(|(key, _)| Some(key.destination))),
            column::text(rows.iter().map(|(_, counted)| counted.environment)),
            column::count(rows.iter().map(|(_, counted)| Some(counted.count))),
            column::count(rows.iter().map(|(_, counted)| Some(counted.successes))),
            column::time(rows.iter().map(|(_, counted)| Some(counted.first))),
            column::time(rows.iter().map(|(_, counted)| Some(counted.last))),
        ],
    )
}

/// Credentials that were obtained with the frontier's: as the ledger has it, and as events of the period say.
async fn obtained(engine: &Engine, reach: &Reach<'_>, frontier: &Frontier, period: Period) -> Result<Option<BTreeSet<String>>, Error> {
    let parents: BTreeSet<String> = frontier.credentials.union(&frontier.names).cloned().collect();
    if parents.is_empty() {
        return Ok(Some(BTreeSet::new()));
    }
    let Some(found) = reach.of(Whose::Credentials(&parents)).await.map_err(|e| engine.own(e))? else { return Ok(None) };
    let mut all = BTreeSet::new();
    for columns in found.iter().map(Columns::of) {
        let rows = (0..columns.batch.num_rows()).map(|row| columns.row(row));
        let obtained = rows.filter(|[_, _, via, ..]| via.is_some_and(|via| parents.contains(via))).filter_map(|[_, credential, ..]| credential);
        for credential in obtained {
            if !all.contains(credential) {
                all.insert(credential.to_owned());
            }
        }
    }
    for parent in &parents {
        let Some(batches) = engine.credentials_of("parent", parent).await? else { return Ok(None) };
        all.extend(batches.iter().flat_map(|batch| led(batch, period)));
    }
    Ok(Some(all))
}

/// Of the ledger's credentials those that led somewhere in the period: one that had ended, or was not yet issued, did not.
fn led(batch: &RecordBatch, period: Period) -> Vec<String> {
    let time = |name: &str, row: usize| {
        let times = batch.column_by_name(name).and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        times.filter(|times| times.is_valid(row)).map(|times| times.value(row))
    };
    let leads = |row: usize| {
        let begun = period.to.is_none_or(|to| time("issued_at", row).is_none_or(|issued| issued < to.0));
        let until = || ["last_used", "expires_at", "as_of"].into_iter().find_map(|name| time(name, row));
        begun && period.from.is_none_or(|from| until().is_some_and(|until| until >= from.0))
    };
    column::texts(batch, "credential").into_iter().enumerate().filter(|(row, _)| leads(*row)).filter_map(|(_, credential)| credential).collect()
}
