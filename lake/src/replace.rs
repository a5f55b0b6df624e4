//! Tables that are replaced as a whole, or a log partition's rows of them: the ledger's credentials and identities. A reader sees the old
//! rows or the new ones.

use deltalake::kernel::Action;
use deltalake::protocol::{DeltaOperation, SaveMode};
use keytrail_schemas::{CredentialRecord, Detection, Finding, IdentityRecord, Table};

use crate::append::{Commit, off_thread, put_file};
use crate::parquet_file::{self, BATCH_ROWS, Layout};
use crate::table_log::{Outcome, Proposal, Relies};
use crate::{Error, Lake, Result, TableName, stats};

const ATTEMPTS_MAX: u32 = 20;
/// Rows in a row group: these tables are read as a whole or searched by their first column.
const ROW_GROUP_ROWS: usize = 1 << 16;

/// How the names of files begin that hold all partitions' rows.
const WHOLE: &str = "whole-";

/// How the names of files begin that hold one partition's rows.
fn part_prefix(partition: i32) -> String {
    format!("part{partition}-")
}

impl Lake {
    /// Replaces one log partition's credentials and identities, each in one atomic commit, and leaves those of other partitions as they
    /// are. Rows come sorted by their first column.
    ///
    /// # Errors
    /// As [`Lake::replace_credentials`].
    pub async fn replace_ledger(&self, partition: i32, credentials: &[CredentialRecord], identities: &[IdentityRecord]) -> Result<()> {
        self.replace(TableName::Credentials, credentials, Some(partition)).await?;
        self.replace(TableName::Identities, identities, Some(partition)).await?;
        Ok(())
    }

    /// Replaces all credentials in one atomic commit. Rows come sorted by credential.
    ///
    /// # Errors
    /// When the store fails; the rows before stay then. [`Error::Busy`] when other processes replace them over and over.
    pub async fn replace_credentials(&self, records: &[CredentialRecord]) -> Result<Commit> {
        self.replace(TableName::Credentials, records, None).await
    }

    /// Replaces all identities in one atomic commit. Rows come sorted by identity.
    ///
    /// # Errors
    /// As [`Lake::replace_credentials`].
    pub async fn replace_identities(&self, records: &[IdentityRecord]) -> Result<Commit> {
        self.replace(TableName::Identities, records, None).await
    }

    /// Replaces all findings in one atomic commit, after they were recomputed. The positions of the findings topic stay as they are.
    ///
    /// # Errors
    /// As [`Lake::replace_credentials`].
    pub async fn replace_findings(&self, findings: &[Finding]) -> Result<Commit> {
        self.replace(TableName::Findings, findings, None).await
    }

    /// Replaces all detections in one atomic commit, after they were recomputed; otherwise as [`Lake::replace_findings`].
    ///
    /// # Errors
    /// As [`Lake::replace_credentials`].
    pub async fn replace_detections(&self, detections: &[Detection]) -> Result<Commit> {
        self.replace(TableName::Detections, detections, None).await
    }

    /// Replaces the files of `partition`, and of no partition; or all files.
    async fn replace<R: Table + Sync>(&self, table: TableName, rows: &[R], partition: Option<i32>) -> Result<Commit> {
        let log = self.table(table);
        let id = self.next_id();
        let (bytes, metadata) = off_thread(|| {
            let layout = Layout::Sorted { row_group_rows: ROW_GROUP_ROWS };
            parquet_file::encode(table, layout, &table.file_schema(), rows.chunks(BATCH_ROWS).map(|rows| R::to_batch(rows)))
        })
        .map_err(|e| Error::encoding(&log.shown, "encode rows", e))?;
        // The commit's id and not the content names the file: the same rows may come again after others.
        let name = match partition {
            Some(partition) => format!("{}{id}.parquet", part_prefix(partition)),
            None => format!("{WHOLE}{id}.parquet"),
        };
        let file = put_file(log, None, &name, bytes, stats::of_file(table, &metadata)).await?;
        let size = file.bytes;
        let add = file.add(true);
        for _ in 0..ATTEMPTS_MAX {
            let (version, old) = log.files().await?;
            let replaced = |path: &str| partition.is_none_or(|partition| path.starts_with(WHOLE) || path.starts_with(&part_prefix(partition)));
            let mut actions: Vec<Action> = old.iter().filter(|file| replaced(&file.path())).map(|file| Action::Remove(file.remove_action(true))).collect();
            actions.push(add.clone());
            let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
            if let Outcome::Committed(version) = log.commit(Proposal { actions, operation, relies: Relies::OnAllFiles(version), id: id.clone() }).await? {
                self.checkpoint_when_due(log, version).await;
                return Ok(Commit { version, rows: rows.len(), files: 1, bytes: size });
            }
        }
        Err(Error::Busy { table, attempts: ATTEMPTS_MAX })
    }
}
