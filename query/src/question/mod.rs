//! The named questions: one file each, with documented columns, and the typed [`Question`] that the command line and HTTP
//! share.

mod function;

pub(crate) use function::{Answer, Function, TableFunction, Values};
