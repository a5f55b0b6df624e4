//! Canonical ids are put together of parts.

use keytrail_schemas::Text;

/// The parts as one text, allocated once.
pub(crate) fn join(parts: &[&str]) -> Text {
    let mut out = Text::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.push_str(part);
    }
    out
}
