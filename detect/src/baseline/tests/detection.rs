//! How many attacks the baselines find alone, at a stated number of findings a day, and how fast they are.

use std::collections::{BTreeMap, BTreeSet};

use keytrail_schemas::Micros;

use super::estate::Estate;
use super::stage::Stage;
use crate::IdentityIx;
use crate::baseline::{Baseline, Config, Context};

/// Attacks found, findings a day that are not attacks, and what was found of each kind.
fn measure(estate: &Estate, budget: f64) -> (usize, usize, f64, BTreeMap<&'static str, (usize, usize)>) {
    let mut stage = Stage::new(Config { findings_per_day: budget, signs_per_finding: 1.0, ..Config::default() });
    let mut found = BTreeSet::new();
    let mut others = BTreeSet::new();
    for (who, event) in &estate.events {
        let features = stage.tell(*who, event);
        if !features.exceeds_budget {
            continue;
        }
        // A finding within the attack or the hour after it is the attack's.
        let attack = estate.attacks.iter().position(|attack| attack.who == *who && event.time >= attack.from && event.time.0 <= attack.to.0 + Micros::HOUR);
        match (attack, &features.incident) {
            (Some(attack), _) => drop(found.insert(attack)),
            (None, Some(incident)) => drop(others.insert((0, i64::try_from(incident.id).unwrap()))),
            (None, None) => drop(others.insert((who + 1, event.time.0 / Micros::HOUR))),
        }
    }
    let mut kinds: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    for (i, attack) in estate.attacks.iter().enumerate() {
        let kind = kinds.entry(attack.kind).or_default();
        kind.0 += usize::from(found.contains(&i));
        kind.1 += 1;
    }
    (found.len(), estate.attacks.len(), others.len() as f64 / estate.days as f64, kinds)
}

#[test]
fn attacks_are_found_within_a_small_budget() {
    for seed in [21, 22] {
        let estate = Estate::new(seed, 38, true);
        for (budget, least) in [(1.0, 0.45), (5.0, 0.6)] {
            let (found, all, others, kinds) = measure(&estate, budget);
            println!("budget {budget} a day, seed {seed}: {found} of {all} attacks, {others:.2} other findings a day, {kinds:?}");
            assert!(found as f64 >= least * all as f64, "{found} of {all} at {budget} a day");
            assert!(others <= budget * 1.3 + 0.2, "{others} others a day at {budget}");
        }
    }
}

/// Not a benchmark, only a floor far below what is measured, so that a mistake of a factor of ten is seen.
#[test]
fn nothing_new_is_cheap() {
    let mut baseline = Baseline::new(Config::default());
    let mut events = Vec::new();
    for minute in 0..60 {
        for who in 0..400 {
            events.push((IdentityIx(who), super::stage::event(who, super::stage::at(0, 0, minute))));
        }
    }
    let context = Context::default();
    let mut total = 0.0;
    // Five days to learn, then the measured one.
    for hour in 0..24 * 5 {
        for (who, event) in events.iter_mut().step_by(if hour < 119 { 7 } else { 1 }) {
            event.time.0 = super::stage::START + hour * Micros::HOUR + event.time.0 % Micros::HOUR;
            baseline.advance(event.time, &mut Vec::new());
            total += baseline.observe(*who, event, &context).total;
        }
    }
    for (_, event) in &mut events {
        event.time.0 += Micros::HOUR;
    }
    baseline.advance(events[0].1.time, &mut Vec::new());
    let start = busy_seconds();
    let mut out = Vec::new();
    for (who, event) in &events {
        baseline.advance(event.time, &mut out);
        total += baseline.observe(*who, event, &context).total;
    }
    let rate = events.len() as f64 / (busy_seconds() - start);
    println!("{:.2} M events/s, total {total:.1}", rate / 1e6);
    assert!(rate > 100_000.0, "{rate} events/s");
}

/// Seconds for which this thread has had a processor, from Linux' own count; elsewhere the seconds that passed.
fn busy_seconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next().and_then(|word| word.parse::<f64>().ok()));
    nanos.map_or_else(|| START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}
