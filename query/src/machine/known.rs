//! Which names of the estate stand for whom: of identities, and of what credentials were obtained under. What is published is read once per version of
//! the ledger, what is newer once per change of it, so that a question about one machine searches no list of all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use rustc_hash::FxHashMap;

use super::subject::{From, Subject};
use crate::engine::Engine;
use crate::live::Overlay;
use crate::table::TableName;
use crate::{Error, column};

/// What of the ledger is read.
const READ: [(TableName, &[&str]); 2] = [(TableName::Identities, &["identity"]), (TableName::Credentials, &["parent"])];

/// Names by who stands behind them, and where they come from.
#[derive(Debug, Default)]
struct Names(FxHashMap<Subject, BTreeSet<(String, From)>>);

impl Names {
    fn add(&mut self, batch: &RecordBatch) {
        let names = ["identity", "parent"].into_iter().flat_map(|name| column::texts(batch, name)).flatten();
        for name in names {
            if let Some((subject, from)) = Subject::of(&name) {
                self.0.entry(subject).or_default().insert((name, from));
            }
        }
    }

    fn candidates(&self, subject: &Subject) -> impl Iterator<Item = &String> {
        // A role or an account that others may take on, too, is nobody's name: what it is called by those who believed its cloud is.
        let abroad_only = matches!(subject, Subject::Aws(_) | Subject::Google(_));
        self.0.get(subject).into_iter().flatten().filter(move |(_, from)| *from == From::Elsewhere || !abroad_only).map(|(name, _)| name)
    }
}

/// What was read, and when.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    published: Mutex<Option<(Versions, Arc<Names>)>>,
    newer: Mutex<Option<(Over, Arc<Names>)>>,
}

/// The versions of the ledger's tables.
type Versions = [Option<u64>; 2];
/// What lies over them.
type Over = [Option<Arc<Overlay>>; 2];

/// The names that stand for `subject`.
///
/// # Errors
/// What reading the lake gives.
pub(super) async fn candidates(engine: &Engine, subject: &Subject) -> Result<BTreeSet<String>, Error> {
    let (published, newer) = (published(engine).await?, newer(engine)?);
    Ok(published.candidates(subject).chain(newer.candidates(subject)).cloned().collect())
}

async fn published(engine: &Engine) -> Result<Arc<Names>, Error> {
    let versions = READ.map(|(table, _)| engine.table(table).files().version);
    if let Some((known, names)) = &*engine.subjects.published.lock().unwrap_or_else(PoisonError::into_inner)
        && *known == versions
    {
        return Ok(names.clone());
    }
    let mut names = Names::default();
    for (table, columns) in READ {
        let batches = engine.fold(engine.published(table, columns)?, Vec::new, |batches: &mut Vec<RecordBatch>, batch| {
            batches.push(batch.clone());
            Ok(())
        });
        batches.await?.iter().flatten().for_each(|batch| names.add(batch));
    }
    let names = Arc::new(names);
    *engine.subjects.published.lock().unwrap_or_else(PoisonError::into_inner) = Some((versions, names.clone()));
    Ok(names)
}

/// A name that was published stays one, so what lies over the tables only adds.
fn newer(engine: &Engine) -> Result<Arc<Names>, Error> {
    let over = |table| engine.table(table).over().map_err(|e| engine.own(e.into()));
    let over = [over(TableName::Identities)?, over(TableName::Credentials)?];
    let is_same = |known: &Over| known.iter().zip(&over).all(|(a, b)| a.as_ref().map(Arc::as_ptr) == b.as_ref().map(Arc::as_ptr));
    let mut kept = engine.subjects.newer.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, names)) = &*kept
        && is_same(known)
    {
        return Ok(names.clone());
    }
    let mut names = Names::default();
    for (overlay, columns) in over.iter().zip(READ.map(|(_, columns)| columns)) {
        let read = overlay
            .iter()
            .map(|overlay| overlay.rows.project(&columns.iter().filter_map(|name| overlay.rows.schema().index_of(name).ok()).collect::<Vec<_>>()));
        for batch in read {
            names.add(&batch.map_err(|e| engine.own(e.into()))?);
        }
    }
    let names = Arc::new(names);
    *kept = Some((over, names.clone()));
    Ok(names)
}
