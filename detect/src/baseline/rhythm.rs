//! The gaps between an identity's (or a source's) bursts of activity, as a histogram whose bins are 6 % wide; and from it whether
//! it is clocklike, by when it is due, and how far off its schedule a moment is.

use keytrail_schemas::Micros;
use serde::{Deserialize, Serialize};

/// What lies closer together than this is one burst, in seconds.
pub const BURST_GAP_SECONDS: i64 = 60;
/// The histogram is halved when it holds this many gaps.
const GAPS_MAX: u32 = 2_048;
/// Long gaps before a rhythm is called one.
const LONG_GAPS_MIN: u32 = 15;
/// A long gap is longer than this part of the longest ordinary one: a job that rests on weekends has gaps of one and three days.
const LONG_PART: f64 = 1.0 / 3.2;
/// Least share of time that long gaps fill in a clocklike rhythm.
const LONG_TIME_SHARE: f64 = 0.8;
/// Share of the long gaps, the longest ones, that are taken for accidents.
const ACCIDENT_SHARE: f64 = 0.02;

/// Bin of a gap: sixteen to the octave, from 32 seconds on. `None` for what belongs to one burst.
#[must_use]
pub fn bin(gap_micros: i64) -> Option<u8> {
    let seconds = gap_micros / Micros::SECOND;
    if seconds < BURST_GAP_SECONDS {
        return None;
    }
    let octave = seconds.ilog2();
    let sub = (seconds >> (octave - 4)) & 15;
    Some(u8::try_from(i64::from(octave - 5) * 16 + sub).unwrap_or(u8::MAX))
}

/// The middle of each bin, in seconds: whole numbers.
const MIDDLES: [u32; 256] = {
    let mut middles = [0; 256];
    let mut bin = 0;
    while bin < middles.len() {
        middles[bin] = (2 * (bin as u32 % 16) + 33) << (bin / 16);
        bin += 1;
    }
    middles
};

/// The middle of a bin, in seconds.
#[inline]
fn middle_seconds(bin: u8) -> f64 {
    f64::from(middle(bin))
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "there are 256 bins")]
const fn middle(bin: u8) -> u32 {
    MIDDLES[bin as usize]
}

/// Seconds in all, of gaps by bin.
fn span(gaps: &[(u8, u16)]) -> u64 {
    gaps.iter().map(|(b, count)| u64::from(middle(*b)) * u64::from(*count)).sum()
}

/// The rhythm of a clocklike identity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// The middle one of its long gaps, in seconds.
    pub usual_seconds: f64,
    /// The longest ordinary one.
    pub longest_seconds: f64,
    /// How many long gaps that is learned from.
    pub gaps: u32,
}

impl Period {
    /// How long it may be silent before it is missed, in microseconds: its longest ordinary gap, half a usual one, ten minutes.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a gap is at most a few weeks")]
    pub fn silence_allowed(&self) -> i64 {
        ((self.longest_seconds * 1.04 + 0.5 * self.usual_seconds) * 1e6) as i64 + 10 * Micros::MINUTE
    }
}

/// Gaps between bursts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rhythm {
    /// (bin, count), sorted by bin.
    gaps: Vec<(u8, u16)>,
    total: u32,
}

impl Rhythm {
    /// How many gaps are remembered.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// Looks where a look-up will begin.
    #[inline]
    #[must_use]
    pub fn touch(&self) -> u32 {
        self.gaps.first().map_or(0, |(bin, _)| u32::from(*bin))
    }

    /// The longest gap remembered, in seconds; 0 when there is none.
    #[must_use]
    pub fn longest_seconds(&self) -> f64 {
        self.gaps.last().map_or(0.0, |(b, _)| middle_seconds(*b))
    }

    /// Whether a gap of that length, within 6 %, was met before.
    #[must_use]
    pub fn knows(&self, bin: u8) -> bool {
        let from = self.gaps.partition_point(|(b, _)| *b < bin.saturating_sub(1));
        self.gaps.get(from).is_some_and(|(b, _)| *b <= bin.saturating_add(1))
    }

    /// Learns a gap.
    pub fn learn(&mut self, bin: u8) {
        match self.gaps.binary_search_by_key(&bin, |(b, _)| *b) {
            Ok(at) => {
                if let Some((_, count)) = self.gaps.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.gaps.insert(at, (bin, 1)),
        }
        self.total += 1;
        if self.total >= GAPS_MAX {
            self.gaps.retain_mut(|(_, count)| {
                *count /= 2;
                *count > 0
            });
            self.total = self.gaps.iter().map(|(_, count)| u32::from(*count)).sum();
        }
    }

    /// Seconds between `gap_seconds` and the nearest gap known; 0 within a bin's width.
    #[must_use]
    pub fn seconds_off(&self, gap_seconds: f64) -> f64 {
        let nearest = self.gaps.iter().map(|(b, _)| (middle_seconds(*b) - gap_seconds).abs()).fold(f64::INFINITY, f64::min);
        if nearest.is_finite() && nearest > gap_seconds * 0.05 { nearest } else { 0.0 }
    }

    /// The period, when the identity is clocklike: its long gaps are many, alike, and fill nearly all of its time.
    #[must_use]
    pub fn period(&self) -> Option<Period> {
        if self.total < LONG_GAPS_MIN {
            return None;
        }
        // The shortest gap that no more than accidents exceed is the longest ordinary one.
        let mut above = 0.0;
        let mut found = None;
        // The bound falls with the gap, so that one walk from the longest down counts what lies above it.
        let (mut long, mut uncounted) = (0_u32, self.gaps.iter().rev().peekable());
        for (b, count) in self.gaps.iter().rev() {
            let seconds = middle_seconds(*b);
            while let Some((_, more)) = uncounted.next_if(|(b, _)| middle_seconds(*b) >= seconds * LONG_PART) {
                long += u32::from(*more);
            }
            if above <= ACCIDENT_SHARE * f64::from(long) {
                found = Some((seconds, long));
            }
            above += f64::from(*count);
            if above > ACCIDENT_SHARE * f64::from(self.total) {
                // Too many already, even if all that is left were long.
                break;
            }
        }
        let (longest, long) = found.filter(|(_, long)| *long >= LONG_GAPS_MIN)?;
        let bound = longest * LONG_PART;
        let from = self.gaps.partition_point(|(b, _)| middle_seconds(*b) < bound);
        let to = self.gaps.partition_point(|(b, _)| middle_seconds(*b) <= longest);
        let (short, rest) = self.gaps.split_at_checked(from).unwrap_or_default();
        let (long_gaps, longer) = rest.split_at_checked(to.saturating_sub(from)).unwrap_or_default();
        let long_time = span(long_gaps);
        let time = span(short) + long_time + span(longer);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand gaps of a few weeks are below 2^53 seconds")]
        let (time, long_time) = (time as f64, long_time as f64);
        if long_time < LONG_TIME_SHARE * time {
            return None;
        }
        let mut half = long / 2;
        let usual = self.gaps.iter().filter(|(b, _)| middle_seconds(*b) >= bound).find_map(|(b, count)| {
            if u32::from(*count) > half {
                return Some(middle_seconds(*b));
            }
            half -= u32::from(*count);
            None
        })?;
        Some(Period { usual_seconds: usual, longest_seconds: longest, gaps: long })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = Micros::DAY;

    fn learned(gaps: impl IntoIterator<Item = i64>) -> Rhythm {
        let mut rhythm = Rhythm::default();
        gaps.into_iter().filter_map(bin).for_each(|b| rhythm.learn(b));
        rhythm
    }

    #[test]
    fn bins_are_a_sixteenth_of_an_octave() {
        assert_eq!(bin(59 * Micros::SECOND), None);
        for seconds in [60_i64, 97, 3_600, 86_400, 259_200] {
            let b = bin(seconds * Micros::SECOND).unwrap();
            assert!((middle_seconds(b) / seconds as f64 - 1.0).abs() < 0.04, "{seconds}: {}", middle_seconds(b));
        }
        assert!(bin(i64::MAX).is_some());
    }

    #[test]
    fn a_nightly_job_that_rests_on_weekends_is_clocklike() {
        let rhythm = learned((0..40).map(|i| if i % 5 == 4 { 3 * DAY } else { DAY + i * Micros::SECOND }));
        let period = rhythm.period().unwrap();
        assert!((period.usual_seconds / 86_400.0 - 1.0).abs() < 0.04 && (period.longest_seconds / 259_200.0 - 1.0).abs() < 0.04);
        assert!(period.silence_allowed() > 3 * DAY && period.silence_allowed() < 4 * DAY);
    }

    #[test]
    fn an_hourly_job_with_bursts_inside_is_clocklike() {
        let period = learned((0..200).flat_map(|_| [90, 90, 3_400]).map(|s| s * Micros::SECOND)).period().unwrap();
        assert!((period.usual_seconds / 3_400.0 - 1.0).abs() < 0.04);
    }

    #[test]
    fn office_hours_and_chance_are_not() {
        let office = learned((0..300).map(|i| {
            if i % 45 == 44 {
                63 * Micros::HOUR
            } else if i % 9 == 8 {
                15 * Micros::HOUR
            } else {
                Micros::HOUR
            }
        }));
        assert_eq!(office.period(), None);
        let mut state = 1_u64;
        let chance = learned((0..500).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (60.0 * 1_000_f64.powf((state >> 33) as f64 / 2_147_483_648.0)) as i64 * Micros::SECOND
        }));
        assert_eq!(chance.period(), None);
    }

    #[test]
    fn one_missed_beat_does_not_change_the_period() {
        let mut gaps = vec![Micros::HOUR; 200];
        gaps.push(5 * Micros::HOUR);
        let period = learned(gaps).period().unwrap();
        assert!(period.longest_seconds < 4_000.0);
    }

    #[test]
    fn off_schedule_is_measured_from_the_nearest_gap() {
        let rhythm = learned(vec![Micros::HOUR; 50]);
        assert!((rhythm.seconds_off(1_800.0) - 1_800.0).abs() < 120.0);
        assert_eq!(rhythm.seconds_off(3_600.0), 0.0);
        assert!(rhythm.knows(bin(3_650 * Micros::SECOND).unwrap()) && !rhythm.knows(bin(2_000 * Micros::SECOND).unwrap()));
    }
}
