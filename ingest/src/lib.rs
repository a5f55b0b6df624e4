//! The edge of keytrail: where records come from (`source`), how each log format is understood (`format`), what must not pass
//! (`redact`), and the event log that everything else reads (`log`). It does not judge an event.

pub mod error;
pub mod format;
pub mod json;
pub mod log;
pub mod redact;
pub mod source;
