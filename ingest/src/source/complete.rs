//! Events of one id that two files tell of, where their format says how they complete one another. Within a batch alone: nothing waits for what may come.

use keytrail_schemas::{Event, EventId};
use rustc_hash::FxHashMap;

use crate::format::Format;

/// Completes the events of `format` by one another. The later one stays, and is a duplicate of the first.
pub(super) fn complete(events: &mut [Box<Event>], format: &dyn Format) {
    let Some(completes) = format.completes() else { return };
    let mut known: FxHashMap<EventId, usize> = FxHashMap::default();
    for at in 0..events.len() {
        let Some((earlier, [event, ..])) = events.split_at_mut_checked(at) else { return };
        if event.format != format.name() {
            continue;
        }
        match known.get(&event.event_id).and_then(|first| earlier.get_mut(*first)) {
            Some(first) => completes(first, event),
            None => {
                known.insert(event.event_id, at);
            }
        }
    }
}
