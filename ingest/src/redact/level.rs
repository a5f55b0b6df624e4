//! How much of a record is kept beside its event.

/// What is kept of the original record, and of the values in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// The record in its structure, of its values those that cannot be secrets: what the format's list names, and what has a harmless form.
    #[default]
    Safe,
    /// The record with its values, but for those that are known to be secrets by their key, their place or their form.
    Open,
    /// Its hash alone: that of the record as `safe` keeps it.
    Hash,
}

/// A word that is no level. (user; a retry does not help)
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected safe, open or hash: safe keeps the record's structure and the values that cannot be secrets, open all values that are not known to be secrets, hash only the record's hash{hint}"
)]
pub struct UnknownLevel {
    hint: &'static str,
}

impl std::str::FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(word: &str) -> Result<Self, UnknownLevel> {
        match word {
            // The word of before there were levels; what was kept then is what `open` keeps, and nobody gets it unasked.
            "safe" | "keep" => Ok(Self::Safe),
            "open" => Ok(Self::Open),
            "hash" => Ok(Self::Hash),
            "drop" => Err(UnknownLevel { hint: "; drop is no more: hash keeps no record either" }),
            _ => Err(UnknownLevel { hint: "" }),
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Safe => "safe",
            Self::Open => "open",
            Self::Hash => "hash",
        })
    }
}
