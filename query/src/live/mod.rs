//! What the detector knows now, laid over the lake in every question and in SQL. Of credentials and identities the rows that changed since the ledger was
//! published last stand in place of the published ones; findings that the lake does not hold yet stand beside those that it does ([`told`]). Who writes
//! has a handle of his own and waits for no reader.

mod told;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use dashmap::DashMap;
use keytrail_schemas::{CredentialRecord, Finding, IdentityRecord, Table, Text};
use rustc_hash::FxHashSet;

use crate::table::TableName;
use told::Told;

/// Rows that are newer than the lake's. Bounded by what changes between two publications, and by a number of findings.
#[derive(Debug, Default)]
pub struct LiveLedger {
    credentials: Laid<CredentialRecord>,
    identities: Laid<IdentityRecord>,
    findings: Told,
}

/// A row as one partition's detector has it: the partition's number and the row's name.
type Key = (i32, Text);

#[derive(Debug)]
struct Laid<R> {
    /// With the partition's publications that had been made when the row was put in.
    rows: DashMap<Key, (u64, R)>,
    published: DashMap<i32, u64>,
    version: AtomicU64,
    /// Rises when a name is met that was not among the rows.
    names: AtomicU64,
    built: Mutex<Option<(u64, Arc<Overlay>)>>,
}

impl<R> Default for Laid<R> {
    fn default() -> Self {
        Self { rows: DashMap::new(), published: DashMap::new(), version: AtomicU64::new(0), names: AtomicU64::new(0), built: Mutex::new(None) }
    }
}

/// The rows of one moment.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// In the columns of the table.
    pub(crate) rows: RecordBatch,
    /// Partition, name and revision of each; a ledger's row has no revisions and is 0.
    keys: FxHashSet<(i32, Text, i64)>,
}

impl Overlay {
    /// Whether it has a row in place of this one.
    pub(crate) fn covers(&self, name: &str, partition: i32, revision: i64) -> bool {
        self.keys.contains(&(partition, Text::from(name), revision))
    }
}

/// What a row is known by.
trait Named {
    fn name(&self) -> &Text;
}

impl Named for CredentialRecord {
    fn name(&self) -> &Text {
        &self.credential
    }
}

impl Named for IdentityRecord {
    fn name(&self) -> &Text {
        &self.identity
    }
}

impl LiveLedger {
    /// Lays rows of a partition over what was there.
    pub fn put(&self, partition: i32, credentials: Vec<CredentialRecord>, identities: Vec<IdentityRecord>) {
        self.credentials.put(partition, credentials);
        self.identities.put(partition, identities);
    }

    /// All that was put in of this partition before stands in the lake now. A question that is under way may still look at the lake as it was, so
    /// what was put in since the publication before this one is kept until the next.
    pub fn published(&self, partition: i32) {
        self.credentials.published(partition);
        self.identities.published(partition);
    }

    /// Tells findings as the log has them, in its order, each with the detections that it brought; those of them that the lake holds too are not seen twice.
    pub fn told(&self, findings: Vec<Finding>) {
        self.findings.put(findings);
    }

    /// Whether findings lie over the lake.
    #[must_use]
    pub fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    /// The lake holds every finding of the partition that was caused before this offset of the log. A question that is under way may still look at the lake
    /// as it was, so what goes is what was stored when this was last said.
    pub fn stored(&self, partition: i32, before: i64) {
        self.findings.stored(partition, before);
    }

    /// Tells whether names may have been added to a table since it was last asked.
    pub(crate) fn names(&self, table: TableName) -> u64 {
        match table {
            TableName::Credentials => self.credentials.names.load(Ordering::Acquire),
            TableName::Identities => self.identities.names.load(Ordering::Acquire),
            TableName::Findings => self.findings.version(),
            _ => 0,
        }
    }

    /// What lies over a table; `None` where nothing does.
    pub(crate) fn over(&self, table: TableName) -> Result<Option<Arc<Overlay>>, arrow::error::ArrowError> {
        match table {
            TableName::Credentials => self.credentials.overlay(),
            TableName::Identities => self.identities.overlay(),
            TableName::Findings => Ok(self.findings.overlays()?.map(|[findings, _]| findings)),
            TableName::Detections => Ok(self.findings.overlays()?.map(|[_, detections]| detections)),
            _ => Ok(None),
        }
    }
}

impl<R: Named + Table + Clone> Laid<R> {
    fn put(&self, partition: i32, rows: Vec<R>) {
        if rows.is_empty() {
            return;
        }
        let published = self.published.get(&partition).map_or(0, |published| *published);
        for row in rows {
            if self.rows.insert((partition, row.name().clone()), (published, row)).is_none() {
                self.names.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn published(&self, partition: i32) {
        let now = {
            let mut published = self.published.entry(partition).or_insert(0);
            *published += 1;
            *published
        };
        self.rows.retain(|key, (put, _)| key.0 != partition || *put + 1 >= now);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn overlay(&self) -> Result<Option<Arc<Overlay>>, arrow::error::ArrowError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let version = self.version.load(Ordering::Acquire);
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, overlay)) = &*built
            && *known == version
        {
            return Ok(Some(overlay.clone()));
        }
        let (mut keys, mut rows) = (FxHashSet::default(), Vec::new());
        for entry in &self.rows {
            let (partition, name) = entry.key().clone();
            keys.insert((partition, name, 0));
            rows.push(entry.value().1.clone());
        }
        let overlay = Arc::new(Overlay { rows: R::to_batch(&rows)?, keys });
        *built = Some((version, overlay.clone()));
        Ok(Some(overlay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(name: &str, uses: i64) -> CredentialRecord {
        CredentialRecord { credential: Text::from(name), uses, ..CredentialRecord::default() }
    }

    #[test]
    fn a_row_is_kept_over_the_publication_that_holds_it_and_goes_with_the_next() {
        let live = LiveLedger::default();
        assert!(live.over(TableName::Credentials).unwrap().is_none());
        live.put(0, vec![credential("a", 1)], Vec::new());
        live.put(0, vec![credential("a", 2)], Vec::new());
        live.put(1, vec![credential("a", 3)], Vec::new());
        let over = live.over(TableName::Credentials).unwrap().unwrap();
        assert!(over.rows.num_rows() == 2 && over.covers("a", 0, 0) && over.covers("a", 1, 0) && !over.covers("a", 2, 0) && !over.covers("b", 0, 0));
        live.published(0);
        live.put(0, vec![credential("b", 1)], Vec::new());
        let over = live.over(TableName::Credentials).unwrap().unwrap();
        assert!(over.covers("a", 0, 0) && over.covers("b", 0, 0), "a question that is under way still looks at the lake as it was");
        live.published(0);
        let over = live.over(TableName::Credentials).unwrap().unwrap();
        assert!(!over.covers("a", 0, 0) && over.covers("b", 0, 0) && over.covers("a", 1, 0));
        [0, 1, 1].iter().for_each(|partition| live.published(*partition));
        assert!(live.over(TableName::Credentials).unwrap().is_none());
        assert!(live.over(TableName::Events).unwrap().is_none());
    }
}
