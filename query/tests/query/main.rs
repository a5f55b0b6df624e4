//! Questions asked of lakes that the tests write themselves.
//!
//! - `lake`: writing a lake, and the small made-up estate that most tests ask about.
//! - `slt`: every function through SQL, as files in `tests/slt`.
//! - `answer`: typed questions, explained findings and the coverage line.
//! - `fault`: what cannot be answered, and what the error says.
//! - `pruning`: that statistics, page indexes and bloom filters are used, by the reader's own metrics.
//! - `asked`: what other engines are asked, and keytrail's own answers as rows of text.
//! - `views`: the questions in other engines' dialects, run by them.
//! - `placed`: the questions over files at their own places, planned and run by a plain DataFusion.
//! - `rolled`: the roll-up changes no answer, whatever state the lake is in.
//! - `looked_up`: what is looked up by name is what a plan gives, with the live ledger over it and without.
//! - `fresh`: a session sees what is committed after it was opened.

mod answer;
mod asked;
mod fault;
mod fresh;
mod lake;
mod looked_up;
mod placed;
mod pruning;
mod rolled;
mod slt;
mod views;
