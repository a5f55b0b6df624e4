//! A Ballista cluster of processes on this machine: one scheduler and two executors, asked by the client as a user asks it.
//!
//! - `process`: starting and ending the cluster, and asking it.
//! - `answer`: equal rows with keytrail's own answers, from both executors.
//! - `bucket`: the same from a lake in a bucket.
//! - `fault`: what is out of reach, gone or killed: an answer that is right, or an error that says so.
//! - `asked`, `lake`: the lakes and questions that every other engine is held against.

mod answer;
#[path = "../../../query/tests/query/asked.rs"]
mod asked;
mod bucket;
mod fault;
#[allow(dead_code, reason = "not all of its lakes are asked here")]
#[path = "../../../query/tests/query/lake.rs"]
mod lake;
mod process;
