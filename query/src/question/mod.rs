//! The named questions: one file each, with documented columns, and the typed [`Question`] that the command line and HTTP
//! share.

mod blast_radius;
mod call;
mod candidates;
mod compare;
mod coverage;
mod credential_history;
mod credentials;
mod detections;
mod findings;
mod first_seen;
mod function;
mod identities;
mod lineage;
mod period;
pub(crate) mod posture;
mod sessions;
mod spoken;
mod timeline;
mod touch;
mod touched;
mod typed;
mod who;
mod who_touched;

pub use call::Call;
pub(crate) use coverage::{Memo, Remembered, covered, line};
pub use function::{Argument, Kind};
pub(crate) use function::{Function, Period, TableFunction, run, values};
pub use typed::{Question, Who};

use std::sync::Arc;

use keytrail_schemas::Column;

/// A table function, for documentation and for `--help`.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Its name in SQL.
    pub name: &'static str,
    /// What it answers, in one line.
    pub doc: &'static str,
    /// What it takes, in order.
    pub arguments: &'static [Argument],
    /// The columns of its rows, in order.
    pub columns: &'static [Column],
}

impl Description {
    /// How it is called, optional arguments in brackets.
    #[must_use]
    pub fn usage(&self) -> String {
        by_name(self.name).map(|function| function::usage(function.as_ref())).unwrap_or_default()
    }
}

/// Every table function.
#[must_use]
pub fn functions() -> Vec<Description> {
    all()
        .iter()
        .map(|function| Description { name: function.name(), doc: function.doc(), arguments: function.arguments(), columns: function.columns() })
        .collect()
}

/// Every question, as it answers.
pub(crate) fn all() -> Vec<Arc<dyn Function>> {
    vec![
        Arc::new(touched::Touched),
        Arc::new(who_touched::WhoTouched),
        Arc::new(timeline::Timeline),
        Arc::new(sessions::Sessions),
        Arc::new(candidates::Candidates),
        Arc::new(compare::Compare),
        Arc::new(first_seen::FirstSeen),
        Arc::new(identities::Identities),
        Arc::new(credentials::Credentials),
        Arc::new(credential_history::CredentialHistory),
        Arc::new(lineage::Lineage),
        Arc::new(blast_radius::BlastRadius),
        Arc::new(findings::Findings),
        Arc::new(detections::Detections),
        Arc::new(posture::Posture),
        Arc::new(coverage::Coverage),
    ]
}

/// The question of that name.
pub(crate) fn by_name(name: &str) -> Option<Arc<dyn Function>> {
    all().into_iter().find(|function| function.name() == name)
}
