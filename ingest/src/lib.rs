//! The edge of keytrail: where records come from (`source`), how each log format is understood (`format`), and what must not pass
//! (`redact`); what the operator's own databases add is `enrich`'s. It does not judge an event.

pub mod enrich;
pub mod error;
pub mod format;
pub mod json;
pub mod redact;
pub mod source;
