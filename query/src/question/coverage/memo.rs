//! Coverage that was computed before: every answer comes with its line, and most are about the same few periods. It holds for the versions of the tables
//! that it came from.

use std::sync::{Arc, Mutex, PoisonError};

use super::Covered;
use crate::question::function::Period;

/// Periods that are remembered.
const PERIODS_MAX: usize = 32;

/// Of `events` and of `dead_letters`.
pub(super) type Versions = [Option<u64>; 2];

/// Dead letters by source and reason.
type DeadLetters = Arc<Vec<(String, String, i64)>>;

#[derive(Debug, Default)]
pub(crate) struct Memo {
    periods: Mutex<Vec<(Period, Versions, Arc<Covered>)>>,
    dead_letters: Mutex<Option<(Option<u64>, DeadLetters)>>,
    /// Held by who computes the coverage of all history: others wait for it and have the same.
    pub(super) computing: tokio::sync::Mutex<()>,
}

impl Memo {
    pub(super) fn covered(&self, period: Period, versions: Versions) -> Option<Arc<Covered>> {
        let periods = self.periods.lock().unwrap_or_else(PoisonError::into_inner);
        periods.iter().find(|(of, at, _)| *of == period && *at == versions).map(|(.., covered)| covered.clone())
    }

    pub(super) fn keep(&self, period: Period, versions: Versions, covered: &Arc<Covered>) {
        let mut periods = self.periods.lock().unwrap_or_else(PoisonError::into_inner);
        periods.retain(|(of, at, _)| *of != period && *at == versions);
        if periods.len() >= PERIODS_MAX {
            periods.remove(0);
        }
        periods.push((period, versions, covered.clone()));
    }

    pub(super) fn dead_letters(&self, versions: Versions) -> Option<DeadLetters> {
        let known = self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(version, _)| *version == versions[1]).map(|(_, letters)| letters.clone())
    }

    pub(super) fn keep_dead_letters(&self, versions: Versions, letters: &DeadLetters) {
        *self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner) = Some((versions[1], letters.clone()));
    }
}
