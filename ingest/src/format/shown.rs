//! Drafts as snapshots show them: what is empty is left out.

use super::Draft;

/// The draft's event with its coordinates in the source.
pub(crate) fn shown(draft: &Draft) -> serde_json::Value {
    let mut value = serde_json::to_value(&draft.event).unwrap();
    let fields = value.as_object_mut().unwrap();
    for added_later in ["event_id", "ingested_at", "source", "raw_hash", "log_partition", "log_offset"] {
        fields.remove(added_later);
    }
    fields.retain(|_, field| !field.is_null());
    fields.insert("_at".to_owned(), format!("line {} part {} of {}", draft.line, draft.part, draft.provider_id.as_deref().unwrap_or("-")).into());
    // In the order of the keys, whichever order the map keeps.
    let sorted: std::collections::BTreeMap<_, _> = std::mem::take(fields).into_iter().collect();
    fields.extend(sorted);
    value
}
