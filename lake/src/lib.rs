//! The lake: keytrail's tables in Delta, on a local folder or any object store.
//!
//! It owns the tables' layout, the exactly-once commit, compaction, and the store of detector snapshots. It does not know SQL, and it
//! does not read the wall clock: file times are those of the store.
//!
//! One Delta commit is the atomic point of storage (design: one commit carries data files and `txn` actions, appId = topic/partition,
//! version = last offset). Data files are durable before the commit names them.

mod append;
mod compact;
mod durable;
mod encode_columns;
mod error;
mod events;
#[cfg(test)]
mod events_test;
mod head;
mod lake;
mod location;
mod merge;
mod parquet_file;
mod replace;
mod retention;
mod row;
mod rule_set;
mod snapshot;
mod stats;
mod table;
mod table_log;
mod touches;
mod upkeep;
mod vacuum;

pub use append::{Commit, Position};
pub use compact::{CompactOptions, CompactReport};
pub use error::{Cause, Error, Fault, Result, Retry};
pub use lake::{Lake, Options};
pub use retention::{Expired, ExpiryReport, Hold, Retention};
pub use table::{DAY, TableName};
pub use touches::{CheckReport, Disagreement, RollUpOptions, RollUpReport};
pub use upkeep::{UpkeepOptions, UpkeepReport};
pub use vacuum::VacuumReport;
