//! What can go wrong before anything is read. Whatever goes wrong later concerns one file or one record, and is a dead letter.

/// An input that cannot be begun with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path names nothing. (user; a retry does not help)
    #[error("{path}: there is no such file or folder")]
    Missing {
        /// The path as it was given.
        path: String,
    },
    /// A pattern matches nothing. (user; a retry does not help)
    #[error("{pattern}: no file matches this pattern")]
    NoMatch {
        /// The pattern as it was given.
        pattern: String,
    },
    /// A pattern is none. (user; a retry does not help)
    #[error("{pattern}: not a pattern: {message}")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A path that was named cannot be read. (external; a retry helps when its cause is removed)
    #[error("{path}: {message}")]
    Unreadable {
        /// The path as it was given.
        path: String,
        /// Why, and what to do.
        message: String,
    },
    /// Standard input was named more than once. (user; a retry does not help)
    #[error("standard input (\"-\") can be read only once: name it once")]
    StdinTwice,
    /// Nothing was named. (user; a retry does not help)
    #[error("nothing to read: name files, folders, patterns, or \"-\" for standard input")]
    Nothing,
    /// A thread cannot be started. (external; a retry helps)
    #[error("a reading thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}
