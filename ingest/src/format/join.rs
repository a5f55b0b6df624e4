//! Canonical ids are put together of parts.

use keytrail_schemas::Text;

/// The parts as one text, allocated once.
pub(crate) fn join(parts: &[&str]) -> Text {
    /// So many bytes stand in a text itself.
    const INLINE: usize = size_of::<Text>();
    let len = parts.iter().map(|part| part.len()).sum();
    if len <= INLINE {
        let mut out = Text::default();
        parts.iter().for_each(|part| out.push_str(part));
        return out;
    }
    let mut out = String::with_capacity(len);
    parts.iter().for_each(|part| out.push_str(part));
    // It takes the allocation over.
    Text::from(out)
}
