//! On normal traffic p-values are uniform, and the day's budget holds.

use std::collections::BTreeMap;

use keytrail_schemas::{Micros, Text};

use super::estate::Estate;
use super::stage::Stage;
use crate::baseline::Config;

/// Lowest p-value of each window (identity, hour) of the days from `from` on.
fn windows(estate: &Estate, config: Config, from: i64) -> (BTreeMap<(u32, i64), f64>, usize) {
    let mut stage = Stage::new(config);
    let mut lowest: BTreeMap<(u32, i64), f64> = BTreeMap::new();
    let mut findings = std::collections::BTreeSet::new();
    for (who, event) in &estate.events {
        let features = stage.tell(*who, event);
        if event.time < super::stage::at(from, 0, 0) {
            continue;
        }
        let hour = event.time.0 / Micros::HOUR;
        let p = lowest.entry((*who, hour)).or_insert(1.0);
        *p = p.min(features.p_value);
        if features.exceeds_budget {
            let finding =
                features.incident.as_ref().map_or_else(|| Text::from(format!("{who} {hour}")), |incident| Text::from(format!("incident {}", incident.id)));
            findings.insert(finding);
        }
    }
    (lowest, findings.len())
}

#[test]
fn p_values_are_uniform_on_normal_traffic() {
    let estate = Estate::new(11, 40, false);
    let (lowest, _) = windows(&estate, Config::default(), 25);
    let mut p: Vec<f64> = lowest.into_values().collect();
    p.sort_unstable_by(f64::total_cmp);
    let n = p.len() as f64;
    // Most windows bring nothing: their p is 1, and the share of such windows differs between young and old identities. Below that,
    // Kolmogorov and Smirnov's distance at the values attained.
    let steps = p.iter().enumerate().filter(|(i, value)| **value < 0.15 && p.get(i + 1) != Some(value));
    let distance = steps.map(|(i, value)| ((i + 1) as f64 / n - value).abs()).fold(0.0, f64::max);
    println!("{} windows, distance below 0.15: {distance:.4}", p.len());
    for t in [0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001] {
        let share = p.iter().filter(|p| **p <= t).count() as f64 / n;
        println!("share of windows with p <= {t}: {share:.5}");
        assert!(share < t * 1.6 + 3.0 * (t / n).sqrt() && share > t * 0.6 - 3.0 * (t / n).sqrt(), "{share} at {t}");
    }
    assert!(distance < 0.02, "{distance}");
}

#[test]
fn the_budget_holds_on_normal_traffic() {
    let estate = Estate::new(12, 36, false);
    for budget in [2.0, 20.0] {
        let config = Config { findings_per_day: budget, signs_per_finding: 1.0, finding_p_value_max: 1.0, ..Config::default() };
        let (_, findings) = windows(&estate, config, 20);
        let per_day = findings as f64 / 16.0;
        println!("budget {budget}: {per_day} a day");
        assert!(per_day < budget * 1.5 + 0.5 && per_day > budget * 0.4 - 0.5, "budget {budget}: {per_day} a day");
    }
}
