//! keytrail's answers: the lake's tables and the named questions, as SQL table functions over one read-only session.
//!
//! A [`Session`] opens a lake and answers typed [`Question`]s and SQL; both go through the same functions. It never writes
//! the lake, and it reads no clock: "now" is the lake's watermark, the time of its newest event.

mod column;
mod cooperate;
mod engine;
mod error;
mod explain;
mod ledger;
mod live;
mod machine;
mod options;
mod placed;
mod question;
mod read_only;
mod resolve;
mod session;
mod source_class;
mod statement;
mod table;
mod time;
mod views;

pub use error::Error;
pub use explain::{Candidate, ExplainedFinding};
pub use live::LiveLedger;
pub use options::Options;
pub use question::{Argument, Call, Description, Kind as ArgumentKind, Question, Who, functions};
pub use read_only::reads_only;
pub use session::{Rows, Session};
pub use statement::{Reads, Statement};
pub use time::parse_time;
pub use views::Dialect;
