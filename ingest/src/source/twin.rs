//! One act that two logs tell of: where both come, the one that says more stands, and the other is its duplicate. Today for Modbus, which Zeek writes into
//! `modbus.log` and ICSNPP into `modbus_detailed.log`, with registers, values and sub-functions.
//!
//! Both give the act one id (`format::zeek::modbus`), so that the event log keeps one of them however they are delivered; what is done here, behind the merge where
//! they stand beside each other, is that it keeps the better one. Nothing waits for what may come.

use keytrail_schemas::{Event, EventId, Outcome};

/// Among so many acts before it a twin is looked for: answers may come in another order than requests.
const WINDOW: usize = 16;
/// Functions that only the detailed log tells apart.
const TOLD_APART: [&str; 2] = ["modbus.DIAGNOSTICS", "modbus.ENCAP_INTERFACE_TRANSPORT"];

/// Completes the acts of a batch by their twins. The later one stays, and is a duplicate of the first.
pub(super) fn join(events: &mut [Box<Event>]) {
    let mut before: [Option<(usize, EventId)>; WINDOW] = [None; WINDOW];
    let mut turn = 0;
    for at in 0..events.len() {
        let Some((earlier, [event, ..])) = events.split_at_mut_checked(at) else { return };
        if event.protocol.as_deref() != Some("modbus") {
            continue;
        }
        let known = before.iter().flatten().find(|(_, id)| *id == event.event_id).map(|(first, _)| *first);
        let known =
            known.or_else(|| before.iter().flatten().map(|(first, _)| *first).find(|first| earlier.get(*first).is_some_and(|first| are_one(first, event))));
        if let Some(first) = known.and_then(|first| earlier.get_mut(first)) {
            complete(first, event);
        }
        if let Some(place) = before.get_mut(turn % WINDOW) {
            *place = Some((at, event.event_id));
            turn += 1;
        }
    }
}

/// Whether one tells of the other's function, and more of it.
fn are_one(one: &Event, other: &Event) -> bool {
    let (Some(a), Some(b)) = (one.action.as_deref(), other.action.as_deref()) else { return false };
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    one.time == other.time
        && TOLD_APART.contains(&short)
        && long.strip_prefix(short).is_some_and(|detail| detail.starts_with('.'))
        && one.session == other.session
        && one.destination == other.destination
        && one.identity == other.identity
}

/// Makes two tellings of one act the one that says more.
fn complete(first: &mut Event, second: &mut Event) {
    let says = |event: &Event| (event.action.as_ref().map(|action| action.len()), event.raw.as_ref().map(String::len));
    let (better, outcome) = if says(second) > says(first) { (&*second, &*first) } else { (&*first, &*second) };
    let mut whole = better.clone();
    if whole.outcome == Outcome::Unknown {
        (whole.outcome, whole.reason) = (outcome.outcome, outcome.reason.clone());
    }
    second.clone_from(&whole);
    *first = whole;
}

#[cfg(test)]
mod tests {
    use keytrail_schemas::Micros;

    use super::*;

    fn event(id: u8, at: i64, action: &'static str, raw: &str) -> Box<Event> {
        Box::new(Event {
            event_id: EventId([id; 16]),
            time: Micros(at),
            protocol: Some("modbus".into()),
            action: Some(action.into()),
            raw: Some(raw.to_owned()),
            outcome: if raw == "row" { Outcome::Success } else { Outcome::Unknown },
            ..Event::default()
        })
    }

    fn told(events: &[Box<Event>]) -> Vec<(u8, &str, &str, Outcome)> {
        events.iter().map(|event| (event.event_id.0[0], event.action.as_deref().unwrap(), event.raw.as_deref().unwrap(), event.outcome)).collect()
    }

    #[test]
    fn what_says_more_stands_in_whichever_order_they_come() {
        for order in [[0, 1], [1, 0]] {
            let both = [event(1, 5, "modbus.READ_COILS", "row"), event(1, 5, "modbus.READ_COILS", "row with values")];
            let mut events: Vec<_> = order.into_iter().map(|at| both[at].clone()).collect();
            join(&mut events);
            assert_eq!(told(&events), [(1, "modbus.READ_COILS", "row with values", Outcome::Success); 2]);
        }
    }

    #[test]
    fn a_sub_function_is_told_by_one_of_them_alone() {
        let detail = "modbus.DIAGNOSTICS.restart_communications_option";
        for order in [[0, 1], [1, 0]] {
            let both = [event(1, 5, "modbus.DIAGNOSTICS", "row"), event(2, 5, detail, "row with values")];
            let mut events: Vec<_> = order.into_iter().map(|at| both[at].clone()).collect();
            events.insert(1, event(3, 4, "modbus.READ_COILS", "row"));
            join(&mut events);
            assert_eq!(told(&events)[0], (2, detail, "row with values", Outcome::Success));
            assert_eq!(told(&events)[2], told(&events)[0]);
            assert_eq!(told(&events)[1].0, 3);
        }
        let mut apart = [event(1, 5, "modbus.DIAGNOSTICS", "row"), event(2, 6, detail, "row with values")];
        join(&mut apart);
        assert_eq!((told(&apart)[0].0, told(&apart)[1].0), (1, 2), "another moment: another act");
    }
}
