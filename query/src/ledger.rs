//! Looking credentials up in the published ledger by name.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use keytrail_schemas::{CredentialRecord, Table as _};

use crate::Error;
use crate::engine::Engine;

/// Names that one query asks for.
pub(crate) const NAMES_PER_QUERY: usize = 500;

/// `$1, $2, …, $count`.
pub(crate) fn placeholders(count: usize) -> String {
    (1..=count).map(|index| format!("${index}")).collect::<Vec<_>>().join(", ")
}

/// The ledger's records of `names`. Where two partitions hold a credential, the record with the exact time of issue stands,
/// else the one used last.
pub(crate) async fn records(engine: &Engine, names: impl Iterator<Item = &String>) -> Result<BTreeMap<String, CredentialRecord>, Error> {
    let names: Vec<&String> = names.collect();
    let mut records: BTreeMap<String, CredentialRecord> = BTreeMap::new();
    for chunk in names.chunks(NAMES_PER_QUERY) {
        let sql = format!("SELECT * FROM credentials WHERE credential IN ({})", placeholders(chunk.len()));
        for batch in engine.rows(&sql, chunk.iter().map(|name| ScalarValue::from(name.as_str())).collect()).await? {
            for record in CredentialRecord::from_batch(&batch).map_err(|e| Error::Execution(Box::new(e.into())))? {
                let rank = |r: &CredentialRecord| (r.issued_is_exact, r.last_used, r.log_partition);
                let better = records.get(record.credential.as_str()).is_none_or(|known| rank(&record) > rank(known));
                if better {
                    records.insert(record.credential.to_string(), record);
                }
            }
        }
    }
    Ok(records)
}
