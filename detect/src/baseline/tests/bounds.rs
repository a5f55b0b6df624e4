//! Memory stays within what is configured, whatever comes.

use keytrail_schemas::{Event, Micros, Text};

use super::stage::{Dice, Stage, at, event};
use crate::IdentityIx;
use crate::baseline::Config;

#[test]
fn a_flood_of_names_stays_within_the_bounds() {
    let config = Config {
        values_max: 2_000,
        aliases_max: 500,
        seen_values_max: 64,
        audiences_max: 300,
        groups_max: 8,
        incidents_max: 50,
        sources_max: 10,
        window_news_max: 40,
        ..Config::default()
    };
    let mut stage = Stage::new(config);
    let mut dice = Dice(9);
    let mut sizes = Vec::new();
    for i in 0..30_000_i64 {
        let who = dice.below(50) as u32;
        let word = |dice: &mut Dice| super::stage::letters(dice.below(1 << 30) as u32);
        let event = Event {
            destination: Some(Text::from(format!("aws:s3/{}", word(&mut dice)))),
            user_agent: Some(Text::from(word(&mut dice))),
            action: Some(Text::from(word(&mut dice))),
            source_ip: Some(Text::from(format!("{}.{}.{}.{}", dice.below(250) + 1, dice.below(256), dice.below(256), dice.below(256)))),
            source: Text::from(word(&mut dice)),
            identity_account: Text::from(word(&mut dice)),
            ..event(who, at(0, 0, i / 10))
        };
        stage.tell(who, &event);
        if i % 10_000 == 9_999 {
            sizes.push(super::snapshot::bytes(&stage.baseline).len());
        }
    }
    assert!(sizes[2] < sizes[1] * 5 / 4, "{sizes:?}");
}

#[test]
fn a_forgotten_identity_leaves_its_number_to_another() {
    let mut stage = Stage::new(Config::default());
    for hour in 0..50 {
        stage.tell(1, &event(1, at(0, hour, 0)));
    }
    assert_eq!(stage.baseline.windows(IdentityIx(1)), 48, "the last two hours are open: events may be twenty minutes late");
    stage.baseline.forget(IdentityIx(1));
    assert_eq!(stage.baseline.windows(IdentityIx(1)), 0);
    let features = stage.tell(1, &event(2, at(0, 50, 0)));
    assert!(features.learning && features.idle_days.is_none() && features.total == 0.0);
    stage.tick(at(9, 0, 0));
    assert_eq!(stage.baseline.windows(IdentityIx(1)), 1);
}

#[test]
fn odd_events_do_no_harm() {
    let mut stage = Stage::new(Config::default());
    let long = "é".repeat(100_000);
    let odd = [
        Event::default(),
        Event {
            time: Micros::MAX,
            destination: Some(Text::from(long.as_str())),
            action: Some(Text::default()),
            source_ip: Some("999.1.1.1".into()),
            source_asn: Some(i64::MIN),
            ..Event::default()
        },
        Event { time: Micros(i64::MIN / 2), ..Event::default() },
    ];
    for event in &odd {
        stage.tell(0, event);
        stage.tell(0, event);
    }
    assert!(super::snapshot::bytes(&stage.baseline).len() < 60_000);
}
