//! One way of abusing somebody, as the library states it: of an estate's identities, or of a plant's hosts. How it is planned is each stage's own.

use std::fmt::Write as _;

/// Where attacks are played: what plans them.
pub trait Stage: 'static {
    /// Plans a technique; `None` when nobody fits.
    type Plan: Copy + std::fmt::Debug;
}

/// One way of abusing an identity.
#[derive(Debug, Clone, Copy)]
pub struct Technique<S: Stage> {
    /// Its kind: a label's `attack`.
    pub attack: &'static str,
    /// How it is done: a label's `variant`.
    pub variant: &'static str,
    /// ATT&CK tactic.
    pub tactic: &'static str,
    /// ATT&CK technique.
    pub id: &'static str,
    /// What happens, for a person.
    pub description: &'static str,
    /// By what it should be seen: what is true of the records and of nothing that is usual.
    pub seen_by: &'static str,
    /// Why it is realistic: where such a thing is described.
    pub source: &'static str,
    /// Plans it.
    pub(crate) plan: S::Plan,
}

impl<S: Stage> Technique<S> {
    /// Its entry in docs/attacks.md, under a heading.
    pub(crate) fn to_markdown(&self, heading: &str, out: &mut String) {
        let Self { tactic, id, description, seen_by, source, .. } = self;
        // Writing to a string does not fail.
        let _ = writeln!(out, "\n**{heading}** · {id} · {tactic}  \n{description}  \n*Seen by:* {seen_by}.  \n*Why:* {source}.");
    }
}
