//! What can go wrong in the detector: rules that do not hold, and snapshots that cannot be read.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule file does not parse. The rule's author must mend it; trying again does not help.
    #[error("rule {rule}: {reason}")]
    Rule {
        /// The file's name or the rule's id.
        rule: String,
        /// What is wrong, in words.
        reason: String,
    },
    /// Two rules carry one id. Rename one file.
    #[error("rule {0} stands twice: rule ids are file stems, and must be unique")]
    RuleTwice(String),
    /// All rules together cannot be compiled. Leave some out.
    #[error("the rules cannot be compiled together: {0}")]
    Rules(String),
    /// The bytes are not a set of rules. Put the rules there again; trying again does not help.
    #[error("not a set of rules: {0}")]
    RuleSet(String),
    /// The bytes are not a snapshot of a detector. Discard it, and replay the log.
    #[error("not a snapshot of a keytrail detector")]
    NotASnapshot,
    /// The snapshot was written by another version. Discard it, and replay the log.
    #[error("the snapshot has version {found}, and this keytrail reads version {expected}")]
    SnapshotVersion {
        /// What the snapshot says.
        found: u32,
        /// What this build reads.
        expected: u32,
    },
    /// The snapshot's checksum does not hold: the file is damaged. Use an older one, or replay the log.
    #[error("the snapshot is damaged: its checksum does not hold")]
    SnapshotChecksum,
    /// The snapshot's compressed block cannot be unpacked.
    #[error("the snapshot is damaged")]
    SnapshotBlock(#[source] lz4_flex::block::DecompressError),
    /// The snapshot's content cannot be decoded.
    #[error("the snapshot cannot be decoded")]
    SnapshotContent(#[source] postcard::Error),
}
