//! Makes events, and feeds them in the way the detector does.

use keytrail_schemas::{Activity, Event, IdentityKind, Micros, Outcome, Text};

use crate::IdentityIx;
use crate::baseline::{Absence, Baseline, Config, Context, Features};

/// Seeded numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

/// 2026-01-05, a Monday.
pub const START: i64 = 1_767_571_200 * Micros::SECOND;

pub fn at(day: i64, hour: i64, minute: i64) -> Micros {
    Micros(START + day * Micros::DAY + hour * Micros::HOUR + minute * Micros::MINUTE)
}

/// An ordinary event of identity `who`.
pub fn event(who: u32, time: Micros) -> Event {
    Event {
        time,
        activity: Activity::Use,
        outcome: Outcome::Success,
        identity: Text::from(format!("aws:1:role/{who}")),
        identity_kind: IdentityKind::Service,
        identity_provider: "aws".into(),
        identity_account: "1".into(),
        source_ip: Some(Text::from(format!("10.1.{}.{}", who / 200, who % 200 + 1))),
        user_agent: Some("Boto3/1.34 md/Botocore".into()),
        destination: Some(Text::from(format!("aws:s3/bucket-of-{}", letters(who)))),
        destination_kind: Some("bucket".into()),
        destination_service: Some("s3".into()),
        protocol: Some("https".into()),
        auth_method: Some("sigv4".into()),
        action: Some("s3:PutObject".into()),
        source: "cloudtrail".into(),
        ..Event::default()
    }
}

/// A number in letters, so that a name stays as it is.
pub fn letters(n: u32) -> String {
    n.to_string().bytes().map(|b| char::from(b'g' + b - b'0')).collect()
}

/// A baseline and its clock.
#[derive(Debug, Clone)]
pub struct Stage {
    pub baseline: Baseline,
    pub watermark: Micros,
    pub absences: Vec<Absence>,
}

impl Stage {
    pub fn new(config: Config) -> Self {
        Self { baseline: Baseline::new(config), watermark: Micros(0), absences: Vec::new() }
    }

    pub fn tell(&mut self, who: u32, event: &Event) -> Features {
        self.tell_with(who, event, Context::default())
    }

    pub fn tell_with(&mut self, who: u32, event: &Event, context: Context) -> Features {
        self.tick(event.time);
        self.baseline.observe(IdentityIx(who), event, &Context { watermark: self.watermark, ..context })
    }

    /// Time passes.
    pub fn tick(&mut self, time: Micros) {
        if time > self.watermark {
            self.watermark = time;
            self.baseline.advance(time, &mut self.absences);
        }
    }
}

/// Tells events in order of time.
pub fn in_order(mut events: Vec<(u32, Event)>) -> Vec<(u32, Event)> {
    events.sort_by_cached_key(|(who, event)| (event.time, *who));
    events
}
