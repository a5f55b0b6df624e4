//! What every format of JSON records needs, so that a format is data for *which* fields and a function for *what they mean*.
//!
//! A [`Shape`] names the fields (paths that are compiled to slots once, and filled in one pass over a record, without a tree), the marks by
//! which `auto` knows a record, the envelopes of its files, and the function that makes events of a row. Opening envelopes, refusing what is not
//! of the format, ids, times, addresses and words for outcomes are done here. A format of lines has its own parser, and uses the rest ([`Setting`], [`Fields`], …).

mod address;
mod fact;
mod fields;
mod key;
mod mark;
mod parser;
mod row;
mod scene;
mod shape;
mod word;

pub(crate) use address::address;
pub(crate) use fact::fact;
pub(crate) use fields::{Fields, fields};
pub(crate) use mark::Mark;
pub(crate) use parser::Records;
pub(crate) use row::{Row, time_of};
pub(crate) use scene::{Scene, Setting, by};
pub(crate) use shape::Shape;
pub(super) use shape::surest;
pub(crate) use word::{Said, Words, outcome, small, words};
