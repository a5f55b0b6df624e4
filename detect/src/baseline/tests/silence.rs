//! Heartbeats that are missed.

use super::stage::{Stage, at, event};
use crate::IdentityIx;
use crate::baseline::{Config, Subject};

/// Thirty sensors that report each half hour; other sources keep the clock going.
fn sensors(stage: &mut Stage, from_hour: i64, to_hour: i64, absent: &[u32]) {
    for hour in from_hour..to_hour {
        for minute in 0..60 {
            if minute % 30 == 7 {
                for who in (0..30).filter(|who| !absent.contains(who)) {
                    stage.tell(who, &event(who, at(0, hour, minute)));
                }
            }
            let mut other = event(900, at(0, hour, minute));
            other.source = "zeek".into();
            stage.tell(900, &other);
        }
    }
}

#[test]
fn a_missed_heartbeat_is_told_once() {
    let mut stage = Stage::new(Config::default());
    sensors(&mut stage, 0, 100, &[]);
    assert!(stage.absences.is_empty(), "{:?}", stage.absences);
    sensors(&mut stage, 100, 130, &[4]);
    assert_eq!(stage.absences.len(), 1, "{:?}", stage.absences);
    let absence = &stage.absences[0];
    assert_eq!(absence.subject, Subject::Identity(IdentityIx(4)));
    assert!(absence.due < at(0, 101, 30) && absence.last_seen == at(0, 99, 37) && absence.evidence >= 2.0, "{absence:?}");
    assert!(absence.expected.starts_with("every 30 min") || absence.expected.starts_with("every 31 min"), "{absence:?}");
    // It comes back, is expected again, and is missed again.
    sensors(&mut stage, 130, 180, &[]);
    assert_eq!(stage.absences.len(), 1);
    sensors(&mut stage, 180, 190, &[4]);
    assert_eq!(stage.absences.len(), 2, "{:?}", stage.absences);
}

#[test]
fn many_that_fall_silent_together_are_one_outage() {
    let mut stage = Stage::new(Config::default());
    sensors(&mut stage, 0, 100, &[]);
    let absent: Vec<u32> = (0..20).collect();
    sensors(&mut stage, 100, 110, &absent);
    assert_eq!(stage.absences.len(), 1, "{:?}", stage.absences);
    assert_eq!(stage.absences[0].members.len(), 19);
}

#[test]
fn a_silent_source_speaks_for_its_identities() {
    let mut stage = Stage::new(Config::default());
    sensors(&mut stage, 0, 100, &[]);
    let absent: Vec<u32> = (0..30).collect();
    sensors(&mut stage, 100, 110, &absent);
    let sources: Vec<_> = stage.absences.iter().filter(|absence| absence.subject == Subject::Source("cloudtrail".into())).collect();
    assert_eq!((stage.absences.len(), sources.len()), (1, 1), "{:?}", stage.absences);
}
