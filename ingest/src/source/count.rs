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

impl FormatCounts {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.control += other.control;
        self.held += other.held;
        self.events += other.events;
        self.dead_letters += other.dead_letters;
    }
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
            self.of(format).add(counts);
        }
    }

    fn of(&mut self, format: &str) -> &mut FormatCounts {
        self.formats.entry(format.into()).or_default()
    }
}

/// The counts of items in a row that are of one format, before they are added to the others: a look-up for each item would cost more than all else that
/// is done with it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    format: &'static str,
    counts: FormatCounts,
}

impl Tally {
    /// The counts of `format`; what was counted of another goes into `all`.
    pub fn of(&mut self, format: &'static str, all: &mut Counts) -> &mut FormatCounts {
        if self.format != format {
            self.end(all);
            self.format = format;
        }
        &mut self.counts
    }

    /// Adds what was counted to `all`.
    pub fn end(&mut self, all: &mut Counts) {
        let counts = std::mem::take(&mut self.counts);
        if counts != FormatCounts::default() {
            all.of(self.format).add(&counts);
        }
    }
}
