//! What was read, by format, so that nothing is lost in silence.

use std::collections::BTreeMap;

use keytrail_schemas::Text;

/// What was read of one format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FormatCounts {
    /// Records: lines or values.
    pub records: u64,
    /// Records that say nothing about an identity by their nature, or that were joined with a held one: understood, nothing to store of their own.
    pub control: u64,
    /// Records that were held until their counterpart arrived.
    pub held: u64,
    /// Events yielded.
    pub events: u64,
    /// Dead letters yielded.
    pub dead_letters: u64,
}

/// What was read. `read = stored + duplicate + dead-lettered` holds with `read` as in [`Counts::read`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By format; `unknown` where none was recognised.
    pub formats: BTreeMap<Text, FormatCounts>,
}

impl Counts {
    /// Events and dead letters yielded.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.formats.values().map(|counts| counts.events + counts.dead_letters).sum()
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        for (format, counts) in &other.formats {
            let sum = self.of(format);
            sum.records += counts.records;
            sum.control += counts.control;
            sum.held += counts.held;
            sum.events += counts.events;
            sum.dead_letters += counts.dead_letters;
        }
    }

    pub(super) fn of(&mut self, format: &str) -> &mut FormatCounts {
        if !self.formats.contains_key(format) {
            self.formats.insert(format.into(), FormatCounts::default());
        }
        self.formats.entry(format.into()).or_default()
    }
}
