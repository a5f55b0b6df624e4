//! One scene per promise of the design.

use keytrail_schemas::{Event, IdentityKind, Outcome, Text};

use super::stage::{Dice, Stage, at, event, in_order};
use crate::baseline::{Aspect, Config, Context, DimensionState, Features, Novelty};

/// Forty backup jobs that run each night at three, ten events a run, for `days` days.
fn backups(days: i64) -> Vec<(u32, Event)> {
    let mut dice = Dice(1);
    let mut events = Vec::new();
    for day in 0..days {
        for who in 0..40 {
            for i in 0..10 {
                let mut event = event(who, at(day, 3, i64::from(who) / 2 + i));
                event.time.0 += dice.below(20_000_000) as i64;
                events.push((who, event));
            }
        }
    }
    in_order(events)
}

fn after_backups(days: i64) -> Stage {
    let mut stage = Stage::new(Config::default());
    for (who, event) in backups(days) {
        stage.tell(who, &event);
    }
    stage
}

fn evidence(features: &Features, aspect: Aspect) -> f32 {
    features.score(aspect).evidence
}

#[test]
fn a_backup_job_that_meets_its_first_new_address_costs_three_decimal_places() {
    let mut stage = after_backups(36);
    let usual = stage.tell(7, &event(7, at(36, 3, 3)));
    assert_eq!(evidence(&usual, Aspect::Network), 0.0);
    let mut moved = event(7, at(36, 3, 4));
    moved.source_ip = Some("203.0.113.9".into());
    let features = stage.tell(7, &moved);
    assert!(evidence(&features, Aspect::Network) >= 3.0, "{features:?}");
    assert_eq!(features.score(Aspect::Network).novelty, Novelty::NewToEveryone);
    assert!(features.exceeds_budget, "{features:?}");
    let said = &features.dimensions[0];
    assert!(said.aspect == Aspect::Network && said.observed.contains("203.0.0.0/16") && said.learned.starts_with("36 windows"), "{said:?}");
}

#[test]
fn a_runner_with_a_new_address_each_hour_costs_nothing() {
    let mut stage = after_backups(20);
    let mut dice = Dice(5);
    let mut last = Features::default();
    for hour in 0..200 {
        for minute in [1, 9, 30] {
            let mut run = event(100, at(20, hour, minute));
            run.source_ip = Some(Text::from(format!("{}.{}.{}.{}", 20 + hour, dice.below(256), dice.below(256), dice.below(256))));
            last = stage.tell(100, &run);
        }
    }
    assert_eq!(evidence(&last, Aspect::Network), 0.0, "{last:?}");
    assert!(last.score(Aspect::Network).novelty.is_new());
    assert!(evidence(&last, Aspect::Overlap) < 0.5, "{last:?}");
}

#[test]
fn a_neighbours_bucket_is_worse_than_a_new_one() {
    let mut stage = after_backups(30);
    let mut fresh = event(7, at(30, 3, 4));
    fresh.destination = Some("aws:s3/bucket-made-today".into());
    let mut neighbour = event(8, at(30, 3, 5));
    neighbour.destination = event(30, at(0, 0, 0)).destination;
    let (fresh, neighbour) = (stage.tell(7, &fresh), stage.tell(8, &neighbour));
    assert_eq!(evidence(&fresh, Aspect::Audience), 0.0);
    assert!(evidence(&neighbour, Aspect::Audience) > 2.0, "{neighbour:?}");
    assert!(neighbour.total > fresh.total + 1.5, "{} {}", neighbour.total, fresh.total);
    assert_eq!((fresh.score(Aspect::Destination).novelty, neighbour.score(Aspect::Destination).novelty), (Novelty::NewToEveryone, Novelty::NewToIdentity));
}

/// Forty services that work each hour.
fn services(days: i64) -> Stage {
    let mut stage = Stage::new(Config::default());
    for hour in 0..days * 24 {
        for minute in [5, 25, 45] {
            for who in 0..40 {
                stage.tell(who, &event(who, at(0, hour, minute)));
            }
        }
    }
    stage
}

fn elsewhere(who: u32, day: i64, hour: i64, minute: i64) -> Event {
    Event { source_ip: Some("198.51.100.77".into()), ..event(who, at(day, hour, minute)) }
}

#[test]
fn a_clean_move_is_no_overlap_and_theft_is() {
    let mut stage = services(10);
    let moved: Vec<Features> = (0..6).map(|i| stage.tell(1, &elsewhere(1, 10, i / 3, 5 + 20 * (i % 3)))).collect();
    assert!(moved.iter().all(|features| evidence(features, Aspect::Overlap) == 0.0));
    stage.tell(2, &elsewhere(2, 10, 2, 5));
    let old_place_goes_on = stage.tell(2, &event(2, at(10, 2, 25)));
    assert!(evidence(&old_place_goes_on, Aspect::Overlap) > 2.5, "{old_place_goes_on:?}");
    assert!(old_place_goes_on.total > moved.iter().map(|features| features.total).fold(0.0, f64::max) + 2.0);
}

#[test]
fn a_job_off_its_schedule_is_noticed() {
    let mut stage = after_backups(36);
    stage.tell(9, &event(9, at(36, 3, 5)));
    let features = stage.tell(7, &event(7, at(36, 14, 0)));
    assert!(evidence(&features, Aspect::Schedule) >= 2.5, "{features:?}");
    let off = features.off_schedule_minutes.unwrap();
    assert!((600.0..900.0).contains(&off), "{off}");
    let on_time = stage.tell(9, &event(9, at(37, 3, 5)));
    assert_eq!(evidence(&on_time, Aspect::Schedule), 0.0);
}

#[test]
fn an_outage_of_fifty_is_one_incident() {
    let mut stage = Stage::new(Config::default());
    for hour in 0..20 * 24 {
        for minute in [5, 25, 45] {
            for who in 0..60 {
                stage.tell(who, &event(who, at(0, hour, minute)));
            }
        }
    }
    let (mut alone, mut incidents, mut told) = (Vec::new(), Vec::new(), 0);
    for minute in [5, 6, 7, 8, 9, 25, 45] {
        for who in 0..50 {
            let failing = Event { outcome: Outcome::Failure, reason: Some("ServiceUnavailable".into()), ..event(who, at(20, 0, minute)) };
            let features = stage.tell(who, &failing);
            if features.exceeds_budget {
                told += 1;
                match &features.incident {
                    Some(incident) if incident.opened => incidents.push(incident.clone()),
                    Some(_) => {}
                    None => alone.push(who),
                }
            }
        }
    }
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert!(incidents[0].cause.contains("ServiceUnavailable"), "{incidents:?}");
    alone.dedup();
    assert!(alone.len() <= 4, "before it was an incident: {alone:?}");
    assert!(alone.iter().all(|who| incidents[0].members.iter().any(|member| member.0 == *who)), "the incident names those who came first");
    assert!(told <= 8, "{told}");
}

#[test]
fn a_burst_is_noticed_while_it_goes_on() {
    let mut stage = services(10);
    let first = (0..400).map(|i| stage.tell(3, &event(3, at(10, 1, i / 20)))).position(|features| evidence(&features, Aspect::Volume) >= 2.0);
    assert!(first.is_some_and(|first| first < 200), "{first:?}");
}

#[test]
fn a_sweep_over_destinations_is_noticed() {
    let mut stage = services(10);
    let mut last = Features::default();
    for i in 0..30 {
        last = stage.tell(3, &Event { destination: Some(Text::from(format!("aws:s3/bucket-of-{}", super::stage::letters(i)))), ..event(3, at(10, 1, 5)) });
    }
    assert!(evidence(&last, Aspect::Spread) >= 2.0 && last.destinations_in_window == 30, "{last:?}");
}

#[test]
fn an_old_credential_makes_the_same_surprise_count_for_more() {
    let stage = after_backups(36);
    let moved = Event { source_ip: Some("203.0.113.9".into()), ..event(7, at(36, 3, 4)) };
    let young = stage.clone().tell(7, &moved);
    let old = stage.clone().tell_with(7, &moved, Context { credential_age_days: Some(800.0), age_over_policy: true, ..Context::default() });
    assert_eq!(young.credential_evidence, 0.0);
    assert!((old.total - old.credential_evidence - young.total).abs() < 1e-6 && old.credential_evidence > 1.0, "{old:?}");
    let usual = stage.clone().tell_with(7, &event(7, at(36, 3, 4)), Context { credential_age_days: Some(800.0), age_over_policy: true, ..Context::default() });
    assert_eq!(usual.credential_evidence, 0.0, "age alone is no surprise");
}

#[test]
fn what_a_source_does_not_say_is_not_assessable() {
    let mut stage = Stage::new(Config::default());
    for hour in 0..40 {
        stage.tell(1, &Event { source_ip: None, user_agent: None, ..event(1, at(0, hour, 0)) });
    }
    let features = stage.tell(1, &Event { source_ip: None, user_agent: None, ..event(1, at(0, 40, 0)) });
    assert_eq!(features.score(Aspect::Network).novelty, Novelty::NotAssessable);
    let said = stage.baseline.describe(crate::IdentityIx(1));
    assert_eq!(said.len(), Aspect::COUNT);
    assert_eq!(said[Aspect::Network as usize].state, DimensionState::NotAssessable("the source gives no address"));
    assert_eq!(said[Aspect::Destination as usize].state, DimensionState::Assessed);
}

#[test]
fn people_are_learned_and_never_use_the_budget() {
    let mut stage = after_backups(20);
    let human = |event: Event| Event { identity_kind: IdentityKind::Human, ..event };
    for day in 20..40 {
        for minute in 0..10 {
            stage.tell(500, &human(event(500, at(day, 9, minute))));
        }
    }
    let odd = Event {
        source_ip: Some("203.0.113.9".into()),
        destination: event(3, at(0, 0, 0)).destination,
        user_agent: Some("curl".into()),
        ..human(event(500, at(40, 2, 0)))
    };
    let features = stage.tell(500, &odd);
    assert!(features.total > 0.5 && !features.exceeds_budget, "{features:?}");
    // What only people know is still new to every machine.
    let machine = stage.tell(5, &Event { user_agent: Some("curl".into()), ..event(5, at(40, 3, 2)) });
    assert_eq!(machine.score(Aspect::UserAgent).novelty, Novelty::NewToEveryone);
}

#[test]
fn what_is_done_to_an_identity_and_what_is_late_teach_nothing() {
    let mut stage = after_backups(10);
    let before = stage.baseline.clone();
    let issue = Event { activity: keytrail_schemas::Activity::Issue, source_ip: Some("203.0.113.9".into()), ..event(7, at(10, 3, 0)) };
    let features = stage.baseline.observe(crate::IdentityIx(7), &issue, &Context::default());
    assert!(features.total == 0.0 && features.score(Aspect::Network).novelty == Novelty::NotAssessable);
    stage.baseline.observe(crate::IdentityIx(7), &event(7, at(2, 3, 0)), &Context { late: true, ..Context::default() });
    assert_eq!(super::snapshot::bytes(&before), super::snapshot::bytes(&stage.baseline));
}

#[test]
fn ephemeral_names_are_one_destination() {
    let mut stage = services(10);
    for i in 0..100_u64 {
        let task = Event {
            destination: Some(Text::from(format!("aws:ecs/task/{:032x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 << 60))),
            ..event(50, at(10 + i as i64 / 24, i as i64 % 24, 5))
        };
        let features = stage.tell(50, &task);
        if i > 30 {
            assert_eq!(features.score(Aspect::Destination).novelty, Novelty::Known);
        }
    }
}
