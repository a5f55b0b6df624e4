//! From where a source goes on: kept with the records that it hands on, in the same write.

use std::collections::VecDeque;

use keytrail_schemas::Micros;
use serde::{Deserialize, Serialize};

use super::gap::Gap;
use super::memory::Memory;

/// How many of keytrail's own sessions are remembered: a server tells of the end of one long after it was lost.
const OWN_SESSIONS_MAX: usize = 32;

/// The state of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The number of the last record.
    pub sequence: u64,
    /// When the subscription was last known to be alive; nothing is known to be missing before.
    pub alive: Option<Micros>,
    /// The gap that has begun and not ended.
    #[serde(default)]
    pub gap: Option<Gap>,
    /// Sessions of keytrail's own, newest last.
    #[serde(default)]
    pub own: VecDeque<String>,
    /// Sessions of others.
    #[serde(default)]
    pub memory: Memory,
}

impl Position {
    /// Reads what was written; what cannot be read is as if there were none.
    pub fn read(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::default() };
        serde_json::from_slice(bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "the position of the source cannot be read: it begins anew, and what was missed is not known");
            Self::default()
        })
    }

    /// As bytes.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Remembers a session of keytrail's own.
    pub fn remember_own(&mut self, session: String) {
        if self.own.back() == Some(&session) {
            return;
        }
        self.own.push_back(session);
        while self.own.len() > OWN_SESSIONS_MAX {
            self.own.pop_front();
        }
    }
}
