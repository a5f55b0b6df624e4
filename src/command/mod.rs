//! One file per command: what it wires together and what it tells.

pub mod assert;
pub mod compact;
pub mod completion;
pub mod config;
pub mod dead_letters;
pub mod demo;
pub mod doctor;
pub mod evaluate;
pub mod ingest;
pub mod keys;
pub mod live;
pub mod question;
pub mod rebuild;
pub mod redact;
pub mod rules;
pub mod run;
pub mod serve;
pub mod tokens;
pub mod told;
pub mod topics;
pub mod views;
mod watched;
