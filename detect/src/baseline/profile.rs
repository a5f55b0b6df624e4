//! What is known of one identity.

use keytrail_schemas::{Event, IdentityKind, Micros};
use serde::{Deserialize, Serialize};

use super::client::Products;
use super::config::Config;
use super::count::Counts;
use super::facet::{Facet, PerFacet};
use super::group::Key;
use super::habit::Habits;
use super::hours::Hours;
use super::overlap::Arrivals;
use super::rate::Own;
use super::reach::Reach;
use super::rhythm::Rhythm;
use super::seen::{Seen, Touch};
use super::share::Share;
use super::value::{Resolved, Side};
use super::window::Window;

/// Windows after which the peer group is settled.
pub const SETTLED_WINDOWS: u32 = 8;

/// One identity's history, bounded. Laid out so that what each event looks at lies together, before what is looked at once an hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[repr(C)]
pub struct Profile {
    /// Windows not yet closed, nearly always one.
    pub open: Vec<Window>,
    /// Time of the latest event.
    pub last: Micros,
    /// What decides the group, until it is settled.
    pub key: Option<Box<Key>>,
    /// Windows learned.
    pub windows: u32,
    /// Machine or person.
    pub side: Side,
    /// Whether the identity stands in the queue of those that are expected.
    pub watched: bool,
    /// The source that it was last heard through, by its number.
    pub source: u32,
    /// How far the latest burst was off the learned schedule.
    pub off_schedule_minutes: Option<f32>,
    /// How many hours of the day the latest window was from those that it knows.
    pub hours_away: u8,
    /// Networks come to lately.
    pub arrivals: Arrivals,
    #[serde(skip)]
    recent: Recent,
    /// Gaps between bursts.
    pub rhythm: Rhythm,
    /// Values met, per facet of those that are remembered.
    pub seen: PerFacet<Seen>,
    /// Number that is never given out again, unlike an identity's.
    pub uid: u32,
    /// Peer group.
    pub group: u32,
    /// Time of the first event.
    pub first: Micros,
    /// How often windows met something new, per facet.
    pub own: PerFacet<Own>,
    /// Hours of the week.
    pub hours: Hours,
    /// Events per window.
    pub volume: Counts,
    /// Destinations per window.
    pub spread: Counts,
    /// Failures among events.
    pub failures: Share,
    /// Days of privileged acts.
    pub habits: Habits,
    /// Products that its clients are of.
    pub products: Products,
    /// Hours of the last day that met a new destination.
    pub reach: Reach,
    /// The same of secrets.
    pub secrets: Reach,
}

/// Values that were stamped with one hour, a few per facet: what is found here need not be looked up. No outcome depends on it.
#[derive(Debug, Clone, Default)]
struct Recent {
    hour: u32,
    values: [[u32; RECENT]; Facet::SEEN],
}

/// A power of two.
const RECENT: usize = 4;

impl Recent {
    /// The place of `value`, in the hour that is remembered.
    const fn of(values: &mut [u32; RECENT], value: u32) -> &mut u32 {
        #[expect(clippy::indexing_slicing, reason = "a remainder is within bounds")]
        &mut values[value as usize % RECENT]
    }
}

impl Profile {
    /// From the first event.
    #[must_use]
    pub fn new(uid: u32, event: &Event, group: u32, key: Key) -> Self {
        Self {
            uid,
            side: if event.identity_kind == IdentityKind::Human { Side::Human } else { Side::Machine },
            group,
            key: Some(Box::new(key)),
            windows: 0,
            first: event.time,
            last: event.time,
            seen: PerFacet::default(),
            own: PerFacet::default(),
            hours: Hours::default(),
            rhythm: Rhythm::default(),
            off_schedule_minutes: None,
            hours_away: 0,
            arrivals: Arrivals::default(),
            volume: Counts::default(),
            spread: Counts::default(),
            failures: Share::default(),
            habits: Habits::default(),
            products: Products::default(),
            reach: Reach::default(),
            secrets: Reach::default(),
            watched: false,
            source: 0,
            open: Vec::new(),
            recent: Recent::default(),
        }
    }

    /// Looks at what an event will ask for: the profile itself (`behind` false), then what lies behind it.
    #[inline]
    #[must_use]
    pub fn touch_ahead(&self, behind: bool) -> u32 {
        if behind {
            let window =
                self.open.last().map_or(0, |window| window.hour ^ window.assessed ^ window.check_events ^ u32::from(window.spent) ^ window.news.len() as u32);
            return self.seen.iter().fold(window, |all, (_, seen)| all ^ seen.touch_lightly()) ^ self.rhythm.touch();
        }
        let recent = self.recent.values.iter().step_by(4).fold(self.recent.hour, |all, values| all ^ values[0]);
        let seen = self.seen.iter().step_by(2).fold(0, |all, (_, seen)| all ^ seen.len());
        let own = self.own.iter().step_by(2).fold(0, |all, (_, own)| all ^ own.quiet());
        let hours = self.hours.known_on(0) ^ self.uid ^ self.group;
        self.windows ^ self.open.len() as u32 ^ self.rhythm.total() ^ recent ^ seen as u32 ^ own ^ hours
    }

    /// Looks the values of an event up, stamps those that are known, and gives the facets that are new, as bits.
    #[inline]
    pub fn touch(&mut self, at: usize, values: &[Resolved; Facet::SEEN], hour: u32) -> u32 {
        let Some(window) = self.open.get_mut(at) else { return 0 };
        if self.recent.hour != hour {
            self.recent = Recent { hour, ..Recent::default() };
        }
        let mut new = 0;
        for (((facet, seen), resolved), recent) in self.seen.iter_mut().zip(values).zip(&mut self.recent.values) {
            if resolved.value == 0 {
                continue;
            }
            window.assessed |= facet.bit();
            let recent = Recent::of(recent, resolved.value);
            if *recent == resolved.value {
                continue;
            }
            match seen.touch(resolved.value, hour) {
                Touch::Again => *recent = resolved.value,
                Touch::FirstThisHour => {
                    *recent = resolved.value;
                    window.destinations += u32::from(facet as u8 == Facet::Destination as u8);
                }
                Touch::New => new |= facet.bit(),
            }
        }
        if window.assessed & Facet::Action.bit() != 0 {
            // An act that is not privileged is an act without a new kind of privileged one, and without a new secret.
            window.assessed |= Facet::Deed.bit() | Facet::Secret.bit();
        }
        new
    }

    /// The values to learn from: whoever changes them may push others out.
    pub fn seen_mut(&mut self, facet: Facet) -> Option<&mut Seen> {
        self.recent = Recent::default();
        self.seen.of_mut(facet)
    }

    /// Learns the gap before a burst. The facet's bit when the gap is a new one.
    #[inline]
    pub fn gap(&mut self, time: Micros) -> Gap {
        let Some(bin) = super::rhythm::bin(time.0.saturating_sub(self.last.0)) else { return Gap::Burst };
        self.burst(time, bin)
    }

    fn burst(&mut self, time: Micros, bin: u8) -> Gap {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a gap")]
        let seconds = (time.0 - self.last.0) as f64 / 1e6;
        #[expect(clippy::cast_possible_truncation, reason = "minutes of a gap")]
        let off = self.rhythm.period().map(|_| (self.rhythm.seconds_off(seconds) / 60.0) as f32);
        self.off_schedule_minutes = off;
        let gap = match self.rhythm.total() {
            0 => Gap::Burst,
            _ if self.rhythm.knows(bin) => Gap::Known,
            _ => Gap::New(bin),
        };
        self.rhythm.learn(bin);
        gap
    }

    /// The class of quiet in a facet: log2 of the windows since something new was met; of times, of days, for a job that runs once a night has met as
    /// much of the week after a month as one that runs all day.
    #[must_use]
    pub fn maturity(&self, facet: Facet) -> usize {
        let own = self.own.of(facet).copied().unwrap_or_default();
        match facet {
            Facet::DayHour | Facet::DayKindHour | Facet::WeekHour | Facet::Gap => {
                let today = u32::try_from(self.last.0.div_euclid(Micros::DAY)).unwrap_or(0);
                // Who came twice in a month knows two days of it.
                let days = self.days().min(today.saturating_sub(own.day()).saturating_add(1)).min(self.windows.max(1));
                super::rate::maturity(days.saturating_mul(days))
            }
            _ => super::rate::maturity(self.windows.min(own.quiet().saturating_add(1))),
        }
    }

    /// Days since it was first seen, the first one included.
    fn days(&self) -> u32 {
        u32::try_from((self.last.0 - self.first.0).max(0) / Micros::DAY).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Which of the four calibrations judges it: by the days that it is known for, and never the later ones with few windows.
    #[must_use]
    pub fn calibration(&self) -> usize {
        match (self.days(), self.windows) {
            (_, 0..=7) => 0,
            (0..=3, _) => 1,
            (4..=14, _) | (_, 8..=15) => 2,
            _ => 3,
        }
    }

    /// Whether it is too young to be judged by its own history.
    #[must_use]
    pub const fn is_learning(&self, config: &Config) -> bool {
        self.windows < config.learning_windows
    }
}

/// What the time since the identity was last active says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Nothing: part of a burst, or the first gap of all.
    Burst,
    /// A gap like others before.
    Known,
    /// Like none before; its bin.
    New(u8),
}
