//! Touches rolled up: what `touched` and `who_touched` share. Whole days are read from the roll-up where it holds them, events straight from the
//! files that may hold them elsewhere, and both are counted per identity, destination, credential, protocol, action and outcome.

mod merged;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::prelude::{Expr, col, lit};
use keytrail_schemas::{Command, IdentityKind, Micros, command_of};
use rustc_hash::{FxHashMap, FxHashSet};

use super::function::Period;
use super::touched::COLUMNS;
use crate::engine::Engine;
use crate::table::{Order, TableName, Wanted, moment};
use crate::{Error, column};

/// Rows of one roll-up; beyond it the question ends with [`Error::MemoryLimit`].
const GROUPS_MAX: usize = 1_000_000;
/// Credentials that are looked up in the ledger by name; more are looked up by reading the whole table.
const NAMED_CREDENTIALS_MAX: usize = 256;

const KEY: [&str; 7] = ["identity", "destination", "credential", "protocol", "action", "outcome", "identity_kind"];
const NUMBERS: [&str; 5] = ["count", "first", "last", "issued_seen", "issued_at"];

/// Whose touches, or touches of what.
#[derive(Debug, Clone)]
pub(crate) enum Of {
    Identity(String),
    /// One machine under several names, and with what was obtained under them.
    Machine {
        names: Vec<String>,
        federated: Vec<String>,
        sessions: Vec<String>,
    },
    Destination(String),
}

impl Of {
    fn filters(&self) -> Vec<Expr> {
        match self {
            Self::Identity(name) => vec![col("identity").eq(lit(name.as_str())), col("destination").is_not_null()],
            Self::Machine { names, federated, sessions } => {
                let one_of = |column: &str, values: &[String]| col(column).in_list(values.iter().map(|value| lit(value.as_str())).collect(), false);
                let identity = one_of("identity", names);
                let others = [("credential_parent", federated), ("credential", sessions)].into_iter().filter(|(_, values)| !values.is_empty());
                vec![others.fold(identity, |all, (column, values)| all.or(one_of(column, values))), col("destination").is_not_null()]
            }
            Self::Destination(name) => vec![col("destination").eq(lit(name.as_str()))],
        }
    }

    const fn order(&self) -> Order {
        match self {
            Self::Identity(_) | Self::Machine { .. } => Order::Identity,
            Self::Destination(_) => Order::Destination,
        }
    }

    /// The names whose touches it is, where it is nothing but names.
    fn names(&self) -> Option<(Order, &[String])> {
        match self {
            Self::Identity(name) => Some((Order::Identity, std::slice::from_ref(name))),
            Self::Machine { names, federated, sessions } if federated.is_empty() && sessions.is_empty() => Some((Order::Identity, names)),
            Self::Machine { .. } => None,
            Self::Destination(name) => Some((Order::Destination, std::slice::from_ref(name))),
        }
    }

    /// The column that tells apart what was seen before.
    const fn other(&self) -> &'static str {
        match self {
            Self::Identity(_) | Self::Machine { .. } => "destination",
            Self::Destination(_) => "identity",
        }
    }
}

/// One row of a roll-up.
#[derive(Debug, Clone)]
pub(crate) struct Touch {
    key: [Option<Box<str>>; KEY.len()],
    pub(crate) count: i64,
    pub(crate) failures: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The credential's time of issue, as the latest record that has one says.
    issued: Option<(i64, i64)>,
    pub(crate) age_days: Option<f64>,
    pub(crate) age_is_exact: Option<bool>,
    pub(crate) first_ever: bool,
}

impl Touch {
    fn part(&self, index: usize) -> Option<&str> {
        self.key.get(index).and_then(Option::as_deref)
    }

    pub(crate) fn identity(&self) -> &str {
        self.part(0).unwrap_or_default()
    }

    pub(crate) fn destination(&self) -> &str {
        self.part(1).unwrap_or_default()
    }

    pub(crate) fn credential(&self) -> Option<&str> {
        self.part(2)
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.part(3)
    }

    pub(crate) fn action(&self) -> Option<&str> {
        self.part(4)
    }

    pub(crate) fn outcome(&self) -> &str {
        self.part(5).unwrap_or_default()
    }

    pub(crate) fn identity_kind(&self) -> &str {
        self.part(6).unwrap_or_default()
    }

    pub(crate) fn is_human(&self) -> bool {
        self.identity_kind() == IdentityKind::Human.as_str()
    }
}

/// The answer of `touched` and `who_touched`: looked up by name where that is all that is asked for, else planned.
pub(crate) async fn answer(engine: &Engine, of: &Of, period: Period) -> Result<RecordBatch, Error> {
    if engine.options().look_up {
        match merged::answer(engine, of, period).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(Error::Execution(error)) => tracing::debug!(%error, "a name could not be looked up: the question is planned"),
            Err(error) => return Err(error),
        }
    }
    column::batch(COLUMNS, arrays(&roll_up(engine, of, period).await?))
}

/// The touches of `of` within `period`, in order of their key (humans last), with ages and what is first-ever.
pub(crate) async fn roll_up(engine: &Engine, of: &Of, period: Period) -> Result<Vec<Touch>, Error> {
    let mut touches = counted(engine, of, period).await?;
    let before = async {
        match period.from {
            Some(from) if !touches.is_empty() => seen_before(engine, of, from).await,
            _ => Ok(FxHashSet::default()),
        }
    };
    let missing: FxHashSet<String> = touches.iter().filter(|touch| touch.issued.is_none()).filter_map(|touch| touch.credential().map(str::to_owned)).collect();
    let (before, ledger) = futures::future::try_join(before, issued(engine, of, missing)).await?;
    for touch in &mut touches {
        let known = touch.issued.map(|(_, issued)| (issued, true)).or_else(|| touch.credential().and_then(|credential| ledger.get(credential).copied()));
        touch.age_days = known.map(|(issued, _)| Micros(touch.last).days_since(Micros(issued)).max(0.0));
        touch.age_is_exact = known.map(|(_, exact)| exact);
        touch.first_ever = !before.contains(match of {
            Of::Identity(_) | Of::Machine { .. } => touch.destination(),
            Of::Destination(_) => touch.identity(),
        });
    }
    touches.sort_unstable_by(|a, b| a.is_human().cmp(&b.is_human()).then_with(|| a.key.cmp(&b.key)));
    Ok(touches)
}

/// `time >= from AND time < to`.
pub(crate) fn within(period: Period) -> Vec<Expr> {
    let from = period.from.map(|from| col("time").gt_eq(moment(from)));
    let to = period.to.map(|to| col("time").lt(moment(to)));
    from.into_iter().chain(to).collect()
}

async fn counted(engine: &Engine, of: &Of, period: Period) -> Result<Vec<Touch>, Error> {
    let columns: Vec<&'static str> = KEY.into_iter().chain(NUMBERS).collect();
    let limit = engine.options().memory_bytes_max;
    let parts = read(engine, of, period, columns, Groups::default, move |groups, batch| groups.add(batch, limit)).await?;
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        all.merge(part);
    }
    Ok(all.rows)
}

/// Reads touches of `of` and folds them. The roll-up is an index: where it cannot be read, the events are.
async fn read<A, S>(engine: &Engine, of: &Of, period: Period, columns: Vec<&'static str>, start: impl Fn() -> A, step: S) -> Result<Vec<A>, Error>
where
    A: Send + 'static,
    S: Fn(&mut A, &RecordBatch) -> Result<(), Error> + Clone + Send + 'static,
{
    let wanted = |rolled| Wanted { order: of.order(), from: period.from, to: period.to, columns: columns.clone(), filters: of.filters(), exact: true, rolled };
    let rolled = async { engine.fold(engine.touches_plan(&wanted(true)).await?, &start, step.clone()).await };
    match rolled.await {
        Err(Error::Execution(error)) => {
            tracing::warn!(%error, "a question with the roll-up failed: it is asked of the events");
            engine.fold(engine.touches_plan(&wanted(false)).await?, &start, step).await
        }
        read => read,
    }
}

/// Touches by key. The key's parts are written one behind the other, each with its length, so that a row that was seen
/// before costs one look-up and no allocation.
#[derive(Default)]
struct Groups {
    index: FxHashMap<Box<[u8]>, usize>,
    rows: Vec<Touch>,
    scratch: Vec<u8>,
}

impl Groups {
    fn add(&mut self, batch: &RecordBatch, memory_bytes_max: usize) -> Result<(), Error> {
        let texts: Vec<&StringArray> = batch.columns().iter().take(KEY.len()).filter_map(|column| column.as_string_opt::<i32>()).collect();
        let counts = batch.columns().get(KEY.len()).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let time = |index: usize| batch.columns().get(KEY.len() + index).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(counts), Some(firsts), Some(lasts), Some(seen), Some(issues), true) = (counts, time(1), time(2), time(3), time(4), texts.len() == KEY.len())
        else {
            return Err(Error::Sql(format!("the columns of touches are of other types than expected: {}", batch.schema())));
        };
        for row in 0..batch.num_rows() {
            self.scratch.clear();
            for text in &texts {
                match text.is_valid(row).then(|| text.value(row)) {
                    Some(value) => {
                        self.scratch.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
                        self.scratch.extend_from_slice(value.as_bytes());
                    }
                    None => self.scratch.extend_from_slice(&u32::MAX.to_le_bytes()),
                }
            }
            let (count, first, last) = (counts.value(row), firsts.value(row), lasts.value(row));
            let issued = (issues.is_valid(row) && seen.is_valid(row)).then(|| (seen.value(row), issues.value(row)));
            match self.index.get(self.scratch.as_slice()).and_then(|&at| self.rows.get_mut(at)) {
                Some(touch) => touch.absorb(count, if touch.is_failure() { count } else { 0 }, first, last, issued),
                None => {
                    if self.rows.len() >= GROUPS_MAX {
                        return Err(Error::MemoryLimit { bytes: memory_bytes_max, detail: format!("the answer has more than {GROUPS_MAX} rows") });
                    }
                    let key = std::array::from_fn(|part| texts.get(part).filter(|text| text.is_valid(row)).map(|text| text.value(row).into()));
                    let mut touch = Touch { key, count, failures: 0, first, last, issued, age_days: None, age_is_exact: None, first_ever: false };
                    touch.failures = if touch.is_failure() { count } else { 0 };
                    self.index.insert(self.scratch.as_slice().into(), self.rows.len());
                    self.rows.push(touch);
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        for (key, at) in other.index {
            let Some(touch) = other.rows.get(at) else { continue };
            match self.index.get(&key).and_then(|&at| self.rows.get_mut(at)) {
                Some(own) => own.absorb(touch.count, touch.failures, touch.first, touch.last, touch.issued),
                None => {
                    self.index.insert(key, self.rows.len());
                    self.rows.push(touch.clone());
                }
            }
        }
    }
}

fn is_failure(outcome: &str) -> bool {
    matches!(outcome, "failure" | "denied")
}

impl Touch {
    fn is_failure(&self) -> bool {
        is_failure(self.outcome())
    }

    fn absorb(&mut self, count: i64, failures: i64, first: i64, last: i64, issued: Option<(i64, i64)>) {
        self.count += count;
        self.failures += failures;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
        self.issued = self.issued.max(issued);
    }
}

/// What `of` had touched (or what had touched it) before `from`, in all history.
async fn seen_before(engine: &Engine, of: &Of, from: Micros) -> Result<FxHashSet<String>, Error> {
    let period = Period { from: None, to: Some(from) };
    let parts = read(engine, of, period, vec![of.other()], FxHashSet::<String>::default, |seen, batch| {
        if let Some(column) = batch.columns().first().and_then(|column| column.as_string_opt::<i32>()) {
            for value in column.iter().flatten() {
                if !seen.contains(value) {
                    seen.insert(value.to_owned());
                }
            }
        }
        Ok(())
    })
    .await?;
    Ok(parts.into_iter().flatten().collect())
}

/// When the ledger says that credentials were issued, and whether exactly.
async fn issued(engine: &Engine, of: &Of, credentials: FxHashSet<String>) -> Result<FxHashMap<String, (i64, bool)>, Error> {
    if credentials.is_empty() {
        return Ok(FxHashMap::default());
    }
    let mut filters = vec![col("issued_at").is_not_null()];
    if credentials.len() <= NAMED_CREDENTIALS_MAX {
        filters.push(col("credential").in_list(credentials.iter().map(|credential| lit(credential.as_str())).collect(), false));
    } else if let Of::Identity(identity) = of {
        filters.push(col("identity").eq(lit(identity.as_str())));
    }
    let plan = engine.scan(TableName::Credentials, &["credential", "issued_at", "issued_is_exact"], filters, None)?;
    let wanted = Arc::new(credentials);
    let parts = engine
        .fold(plan, FxHashMap::<String, (i64, bool)>::default, move |found, batch| {
            if let [names, times, exact] = batch.columns() {
                let (names, times, exact) = (names.as_string::<i32>(), times.as_primitive::<TimestampMicrosecondType>(), exact.as_boolean());
                for row in 0..batch.num_rows() {
                    if times.is_valid(row) && wanted.contains(names.value(row)) {
                        prefer(found, names.value(row).to_owned(), (times.value(row), exact.value(row)));
                    }
                }
            }
            Ok(())
        })
        .await?;
    let mut all = FxHashMap::default();
    for (name, known) in parts.into_iter().flatten() {
        prefer(&mut all, name, known);
    }
    Ok(all)
}

/// Of two records of one credential (two partitions may hold it) the exact one stands, else the earlier.
fn prefer(found: &mut FxHashMap<String, (i64, bool)>, name: String, (time, exact): (i64, bool)) {
    found
        .entry(name)
        .and_modify(|known| {
            if (exact, -time) > (known.1, -known.0) {
                *known = (time, exact)
            }
        })
        .or_insert((time, exact));
}

/// The columns of [`COLUMNS`].
fn arrays(touches: &[Touch]) -> Vec<ArrayRef> {
    let action = column::text(touches.iter().map(Touch::action));
    let command = commands(&action);
    vec![
        column::text(touches.iter().map(|t| Some(t.identity()))),
        column::text(touches.iter().map(|t| Some(t.destination()))),
        column::text(touches.iter().map(Touch::credential)),
        column::number(touches.iter().map(|t| t.age_days)),
        column::flag(touches.iter().map(|t| t.age_is_exact)),
        column::text(touches.iter().map(Touch::protocol)),
        action,
        column::text(touches.iter().map(|t| Some(t.outcome()))),
        column::count(touches.iter().map(|t| Some(t.count))),
        column::count(touches.iter().map(|t| Some(t.failures))),
        column::time(touches.iter().map(|t| Some(t.first))),
        column::time(touches.iter().map(|t| Some(t.last))),
        column::flag(touches.iter().map(|t| Some(t.first_ever))),
        column::text(touches.iter().map(|t| Some(t.identity_kind()))),
        command,
    ]
}

/// What actions do to a controller; nothing where they are no commands.
fn commands(actions: &ArrayRef) -> ArrayRef {
    let mut last: (Option<&str>, Option<&'static str>) = (None, None);
    let of = |action: Option<&str>| action.map(|action| command_of(action).0).filter(|command| *command != Command::None).map(Command::as_str);
    column::text(actions.as_string_opt::<i32>().into_iter().flatten().map(|action| {
        // Rows of one action often follow each other.
        if action != last.0 {
            last = (action, of(action));
        }
        last.1
    }))
}
