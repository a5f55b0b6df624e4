//! A snapshot at any point changes nothing.

use keytrail_schemas::{Event, Outcome, Text};
use proptest::prelude::*;

use super::stage::{Dice, Stage, at, event, in_order};
use crate::baseline::{Baseline, Config, Features};

pub fn bytes(baseline: &Baseline) -> Vec<u8> {
    pieces(baseline).concat()
}

fn pieces(baseline: &Baseline) -> [Vec<u8>; 4] {
    let profiles: Vec<_> = baseline.profiles().collect();
    [
        postcard::to_allocvec(&baseline.shared()).unwrap(),
        postcard::to_allocvec(&baseline.values()).unwrap(),
        postcard::to_allocvec(&baseline.aliases()).unwrap(),
        postcard::to_allocvec(&profiles).unwrap(),
    ]
}

fn of(bytes: &[Vec<u8>; 4]) -> Baseline {
    let [shared, values, aliases, profiles] = bytes;
    Baseline::of(
        postcard::from_bytes(shared).unwrap(),
        postcard::from_bytes(values).unwrap(),
        postcard::from_bytes(aliases).unwrap(),
        postcard::from_bytes(profiles).unwrap(),
    )
}

fn busy(seed: u64) -> Vec<(u32, Event)> {
    let mut dice = Dice(seed);
    let events = (0..1_500)
        .map(|_| {
            let who = dice.below(12) as u32;
            let mut event = event(who, at(0, dice.below(60) as i64, dice.below(60) as i64));
            if dice.chance(0.1) {
                event.source_ip = Some(Text::from(format!("10.{}.{}.{}", dice.below(4), dice.below(5), dice.below(20))));
            }
            if dice.chance(0.1) {
                event.destination = Some(Text::from(format!("aws:s3/logs-{}", dice.below(300))));
            }
            if dice.chance(0.05) {
                (event.outcome, event.reason) = (Outcome::Denied, Some("AccessDenied".into()));
            }
            (who, event)
        })
        .collect();
    // Within the lateness that is allowed, out of order.
    let mut events = in_order(events);
    for i in (0..events.len() - 3).step_by(7) {
        events.swap(i, i + 2);
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_restart_at_any_point_changes_nothing(seed in 0_u64..1_000, cuts in prop::collection::vec(0_usize..1_500, 1..4)) {
        let config = Config { values_max: 200, aliases_max: 40, seen_values_max: 12, ..Config::default() };
        let events = busy(seed);
        let (mut whole, mut cut) = (Stage::new(config.clone()), Stage::new(config.clone()));
        for (i, (who, event)) in events.iter().enumerate() {
            if cuts.contains(&i) {
                let mut restored = of(&pieces(&cut.baseline));
                restored.configure(config.clone());
                prop_assert_eq!(bytes(&restored), bytes(&cut.baseline));
                cut.baseline = restored;
            }
            let (a, b): (Features, Features) = (whole.tell(*who, event), cut.tell(*who, event));
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(bytes(&whole.baseline), bytes(&cut.baseline));
        prop_assert_eq!(whole.absences, cut.absences);
    }
}
