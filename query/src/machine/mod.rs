//! One machine under all its names: which identities of other providers are the same one, as their verified names prove, and which sessions were
//! given for those names. `touched`, `blast_radius` and `lineage` follow them.
//!
//! A service account's name is proof only with its cluster. Where several clusters have one of that name, or several issuers vouched for it, a federated
//! name belongs to the cluster whose tokens the same issuer signed, as the cluster's own records say; where they do not say it, the name is left out.

mod known;
mod subject;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::prelude::{col, lit};

use crate::engine::Engine;
use crate::table::TableName;
use crate::{Error, column, ledger};
pub(crate) use known::Subjects;
use subject::{From, Subject, plain};

/// Sessions of one machine that a question follows; beyond it the question ends with an error.
const SESSIONS_MAX: usize = 20_000;

/// How often a session that was given for a session is followed.
const STEPS_MAX: usize = 8;

/// A machine under all its names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Its names, the one that was asked for first.
    pub(crate) names: Vec<String>,
    /// Those under which another provider took it in: what was obtained under them is the machine's too.
    pub(crate) federated: Vec<String>,
    /// Its names in Kubernetes: a cloud that knows the cluster gives sessions for them. (Tokens that it asks for there may be others'.)
    accounts: Vec<String>,
}

impl Machine {
    /// The machine that `name` is one of the names of.
    ///
    /// # Errors
    /// What reading the lake gives.
    pub(crate) async fn of(engine: &Engine, name: &str) -> Result<Self, Error> {
        let own = || Self { names: vec![name.to_owned()], federated: Vec::new(), accounts: Vec::new() };
        let Some((subject, from)) = Subject::of(name) else { return Ok(own()) };
        let mut all: BTreeMap<String, From> = BTreeMap::from([(name.to_owned(), from)]);
        for candidate in known::candidates(engine, &subject).await? {
            if let Some((_, from)) = Subject::of(&candidate) {
                all.insert(candidate, from);
            }
        }
        let homes: BTreeSet<&String> = all.values().filter_map(|from| if let From::Home(home) = from { Some(home) } else { None }).collect();
        let issuers: BTreeSet<&String> = all.values().filter_map(|from| if let From::Issuer(issuer) = from { Some(issuer) } else { None }).collect();
        let mut same: Vec<String> = if homes.len() <= 1 && issuers.len() <= 1 { all.keys().cloned().collect() } else { told_apart(engine, name, &all).await? };
        same.sort_by_key(|other| (other != name, other.clone()));
        let federated = same.iter().filter(|name| !matches!(all.get(*name), None | Some(From::Home(_)))).cloned().collect();
        let accounts = same.iter().filter(|name| name.starts_with("k8s:")).cloned().collect();
        Ok(Self { names: same, federated, accounts })
    }

    /// Credentials that were obtained under its federated names, and with those, and so on.
    ///
    /// # Errors
    /// What reading the lake gives, and where they are too many.
    pub(crate) async fn sessions(&self, engine: &Engine) -> Result<Vec<String>, Error> {
        let mut sessions: BTreeSet<String> = BTreeSet::new();
        let mut frontier = self.federated.clone();
        if !self.accounts.is_empty() {
            let given = obtained(engine, &self.accounts, |identity| !identity.starts_with("k8s:")).await?;
            sessions.extend(given.iter().cloned());
            frontier.extend(given);
        }
        for _ in 0..STEPS_MAX {
            let mut found = BTreeSet::new();
            for parents in frontier.chunks(ledger::NAMES_PER_QUERY) {
                found.extend(obtained(engine, parents, |_| true).await?);
            }
            frontier = found.difference(&sessions).cloned().collect();
            sessions.extend(found);
            if sessions.len() > SESSIONS_MAX {
                return Err(too_many(engine));
            }
            if frontier.is_empty() {
                break;
            }
        }
        Ok(sessions.into_iter().collect())
    }
}

fn too_many(engine: &Engine) -> Error {
    let bytes = engine.options().memory_bytes_max;
    Error::MemoryLimit { bytes, detail: format!("the machine has more than {SESSIONS_MAX} sessions under its other names") }
}

/// Credentials that were obtained with one of `parents`, of identities that are meant.
async fn obtained(engine: &Engine, parents: &[String], is_meant: fn(&str) -> bool) -> Result<BTreeSet<String>, Error> {
    if parents.is_empty() {
        return Ok(BTreeSet::new());
    }
    let of_parents = col("parent").in_list(parents.iter().map(|parent| lit(parent.as_str())).collect(), false);
    let plan = engine.scan(TableName::Credentials, &["credential", "identity"], vec![of_parents], None)?;
    let add = move |found: &mut BTreeSet<String>, batch: &RecordBatch| {
        let rows = column::texts(batch, "credential").into_iter().zip(column::texts(batch, "identity"));
        found.extend(rows.filter(|(_, identity)| identity.as_deref().is_some_and(is_meant)).filter_map(|(credential, _)| credential).take(SESSIONS_MAX + 1));
        Ok(())
    };
    let found: BTreeSet<String> = engine.fold(plan, BTreeSet::new, add).await?.into_iter().flatten().collect();
    if found.len() > SESSIONS_MAX { Err(too_many(engine)) } else { Ok(found) }
}

/// Of the names of several clusters' service accounts, those of the machine that `name` names.
async fn told_apart(engine: &Engine, name: &str, all: &BTreeMap<String, From>) -> Result<Vec<String>, Error> {
    let homes: Vec<&String> = all.iter().filter(|(_, from)| matches!(from, From::Home(_))).map(|(name, _)| name).collect();
    let sql = format!("SELECT DISTINCT identity, issuer FROM credentials WHERE issuer IS NOT NULL AND identity IN ({})", ledger::placeholders(homes.len()));
    let mut issuers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for batch in engine.rows(&sql, homes.iter().map(|home| ScalarValue::from(home.as_str())).collect()).await? {
        for (home, issuer) in column::texts(&batch, "identity").into_iter().zip(column::texts(&batch, "issuer")) {
            if let (Some(home), Some(issuer)) = (home, issuer) {
                issuers.entry(home).or_default().insert(plain(&issuer));
            }
        }
    }
    // Which of the clusters' accounts a name is, where that is proven of one alone; else whom its issuer vouched for.
    let home_of = |other: &String| match all.get(other) {
        Some(From::Home(_)) => Some(other.clone()),
        Some(From::Issuer(issuer)) => {
            let mut fitting = issuers.iter().filter(|(_, known)| known.contains(issuer)).map(|(home, _)| home.clone());
            Some(fitting.next().filter(|_| fitting.next().is_none()).unwrap_or_else(|| issuer.clone()))
        }
        _ => None,
    };
    let Some(home) = home_of(&name.to_owned()) else { return Ok(vec![name.to_owned()]) };
    Ok(all.keys().filter(|other| *other == name || home_of(other).as_ref() == Some(&home)).cloned().collect())
}
