//! `blast_radius(id, from, to, hops)`: what could be reached from an identity or a credential: what it touched, which
//! credentials were obtained with it, what those touched, and so on. Credentials are followed through the files' indexes ([`followed`]); where that cannot be, each hop is
//! planned.

mod followed;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType};

use crate::column::{self, always, batch, maybe};
use crate::engine::Engine;
use crate::machine::Machine;
use crate::question::function::{self, Answer, Argument, FROM, Function, Kind, Period, TO, Values};
use crate::{Error, resolve};

/// Hops that are followed unless told otherwise.
const HOPS_DEFAULT: i64 = 3;
/// Hops that are followed at most.
const HOPS_MAX: i64 = 16;
/// Credentials that one hop may hold; beyond it the question ends with an error.
const FRONTIER_MAX: usize = 5_000;

const COLUMNS: &[Column] = &[
    always("hop", ColumnType::Int64, "1 is what the identity or credential itself touched, 2 what was touched with credentials obtained with it, …"),
    always("identity", ColumnType::Utf8, "Who touched it on that hop."),
    maybe("credential", ColumnType::Utf8, "With which credential."),
    maybe("via", ColumnType::Utf8, "What that credential was obtained with."),
    always("destination", ColumnType::Utf8, "What was touched."),
    maybe("environment", ColumnType::Utf8, "The destination's zone."),
    always("count", ColumnType::Int64, "How often."),
    always("successes", ColumnType::Int64, "How many of them were not refused and did not fail."),
    always("first", ColumnType::Timestamp, "The first time."),
    always("last", ColumnType::Timestamp, "The last time."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct BlastRadius;

/// What one hop starts from: names of credentials, and on the first hop the names of the identity whose events all count.
#[derive(Clone)]
struct Frontier {
    names: BTreeSet<String>,
    credentials: BTreeSet<String>,
}

#[async_trait]
impl Function for BlastRadius {
    fn name(&self) -> &'static str {
        "blast_radius"
    }

    fn doc(&self) -> &'static str {
        "What could be reached from an identity or credential, hop by hop over the credentials obtained with it."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("identity_or_credential", Kind::Text), FROM, TO, Argument::optional("hops", Kind::Count)] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let text = values.text(0).unwrap_or_default();
        let period = values.period(engine, 1).await?;
        let hops = values.count(3).unwrap_or(HOPS_DEFAULT);
        if !(1..=HOPS_MAX).contains(&hops) {
            return Err(Error::Arguments { function: self.name(), problem: format!("hops is 1 to {HOPS_MAX}, not {hops}"), usage: function::usage(self) });
        }
        let start = start(engine, text).await?;
        if engine.options().look_up {
            match followed::answer(engine, &start, period, hops).await {
                Ok(Some(answer)) => return Ok(Answer::Batch(answer)),
                Ok(None) => {}
                Err(Error::Execution(error)) => tracing::debug!(%error, "credentials could not be followed: the question is planned"),
                Err(error) => return Err(error),
            }
        }
        Ok(Answer::Batch(joined(&planned(engine, start, period, hops).await?)?))
    }
}

/// What was touched, hop by hop, each of them planned.
async fn planned(engine: &Engine, mut frontier: Frontier, period: Period, hops: i64) -> Result<Vec<RecordBatch>, Error> {
    let mut known = frontier.credentials.clone();
    let mut rows = Vec::new();
    for hop in 1..=hops {
        bounded(&frontier, hop)?;
        for batch in touched(engine, &frontier, period, hop).await? {
            known.extend(column::texts(&batch, "credential").into_iter().flatten());
            if hop == 1 && !frontier.names.is_empty() {
                frontier.credentials.extend(column::texts(&batch, "credential").into_iter().flatten());
            }
            rows.push(batch);
        }
        let next = obtained(engine, &frontier, period).await?;
        let credentials: BTreeSet<String> = next.into_iter().filter(|credential| known.insert(credential.clone())).collect();
        if credentials.is_empty() {
            break;
        }
        frontier = Frontier { names: BTreeSet::new(), credentials };
    }
    Ok(rows)
}

/// A hop starts from a bounded number of credentials.
fn bounded(frontier: &Frontier, hop: i64) -> Result<(), Error> {
    if frontier.credentials.len() <= FRONTIER_MAX {
        return Ok(());
    }
    Err(Error::Arguments {
        function: BlastRadius.name(),
        problem: format!("hop {hop} starts from {} credentials, more than {FRONTIER_MAX}: narrow the period", frontier.credentials.len()),
        usage: function::usage(&BlastRadius),
    })
}

/// A credential of that name, else an identity.
async fn start(engine: &Engine, text: &str) -> Result<Frontier, Error> {
    match resolve::resolve(engine, resolve::Kind::Identity, text).await {
        Ok(identity) => Ok(Frontier { names: Machine::of(engine, &identity).await?.names.into_iter().collect(), credentials: BTreeSet::new() }),
        Err(Error::Unknown { .. }) => {
            Ok(Frontier { names: BTreeSet::new(), credentials: BTreeSet::from([resolve::resolve(engine, resolve::Kind::Credential, text).await?.to_string()]) })
        }
        Err(error) => Err(error),
    }
}

/// What `frontier` touched.
async fn touched(engine: &Engine, frontier: &Frontier, period: Period, hop: i64) -> Result<Vec<RecordBatch>, Error> {
    let mut parameters = Vec::new();
    let from_whom = if frontier.names.is_empty() {
        format!("credential IN ({})", push_all(&mut parameters, &frontier.credentials))
    } else {
        format!("identity IN ({})", push_all(&mut parameters, &frontier.names))
    };
    let sql = format!(
        "SELECT CAST({hop} AS BIGINT) AS hop, identity, credential, max(credential_parent) AS via, destination, max(environment) AS environment, sum(count) AS count,
                sum(CASE WHEN outcome IN ('failure', 'denied') THEN 0 ELSE count END) AS successes, min(first) AS first, max(last) AS last
         FROM {} WHERE destination IS NOT NULL AND {from_whom}
         GROUP BY identity, credential, destination ORDER BY identity, credential, destination",
        period.touches()
    );
    engine.rows(&sql, parameters).await
}

/// Credentials that were obtained with the frontier's: as the ledger has it, and as events of the period say.
async fn obtained(engine: &Engine, frontier: &Frontier, period: Period) -> Result<BTreeSet<String>, Error> {
    let mut parameters: Vec<ScalarValue> = period.parameters().into();
    let mut parents = frontier.credentials.clone();
    parents.extend(frontier.names.iter().cloned());
    if parents.is_empty() {
        return Ok(BTreeSet::new());
    }
    let list = push_all(&mut parameters, &parents);
    // A credential that had ended, or was not yet issued, in the period led nowhere in it.
    let begun = period.to.map_or("", |_| " AND (issued_at IS NULL OR issued_at < $2)");
    let alive = period.from.map_or("", |_| " AND coalesce(last_used, expires_at, as_of) >= $1");
    let sql = format!(
        "SELECT credential FROM credentials WHERE parent IN ({list}){begun}{alive}
         UNION SELECT credential FROM {} WHERE credential IS NOT NULL AND credential_parent IN ({list})",
        period.touches()
    );
    let batches = engine.rows(&sql, parameters).await?;
    Ok(batches.iter().flat_map(|batch| column::texts(batch, "credential")).flatten().collect())
}

/// Adds parameters and gives their names as a list.
fn push_all(parameters: &mut Vec<ScalarValue>, names: &BTreeSet<String>) -> String {
    let mut list = Vec::with_capacity(names.len());
    for name in names {
        parameters.push(ScalarValue::from(name.as_str()));
        list.push(format!("${}", parameters.len()));
    }
    list.join(", ")
}

fn joined(batches: &[RecordBatch]) -> Result<RecordBatch, Error> {
    let texts = |name: &'static str| column::text(batches.iter().flat_map(|batch| column::texts(batch, name)));
    let counts = |name: &'static str| {
        column::count(
            batches.iter().filter_map(|batch| batch.column_by_name(name)).flat_map(|cells| cells.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()),
        )
    };
    let times = |name: &'static str| {
        column::time(
            batches
                .iter()
                .filter_map(|batch| batch.column_by_name(name))
                .flat_map(|cells| cells.as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>()),
        )
    };
    batch(
        COLUMNS,
        vec![
            counts("hop"),
            texts("identity"),
            texts("credential"),
            texts("via"),
            texts("destination"),
            texts("environment"),
            counts("count"),
            counts("successes"),
            times("first"),
            times("last"),
        ],
    )
}
