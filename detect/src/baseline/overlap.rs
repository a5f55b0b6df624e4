//! A new network while the old one goes on. A workload that moves leaves its old place; a stolen credential is used in two.

use keytrail_schemas::Micros;
use serde::{Deserialize, Serialize};

use super::config::Config;

/// New networks that are watched at once.
const WATCHED_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Arrival {
    network: u32,
    first: Micros,
    reported: bool,
}

/// Networks that an identity came to lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrivals(Vec<Arrival>);

impl Arrivals {
    /// The identity met `network`, which it did not know, at `time`.
    pub fn arrive(&mut self, network: u32, time: Micros, config: &Config) {
        if self.0.iter().any(|arrival| arrival.network == network) {
            return;
        }
        self.0.retain(|arrival| time.0 - arrival.first.0 < i64::from(config.overlap_hours) * Micros::HOUR);
        if self.0.len() >= WATCHED_MAX {
            self.0.remove(0);
        }
        self.0.push(Arrival { network, first: time, reported: false });
    }

    /// The identity is heard from `network`, which it knows, at `time`. The new network that this overlaps with, once for each.
    #[inline]
    pub fn overlap(&mut self, network: u32, time: Micros, config: &Config) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        self.overlap_among(network, time, config)
    }

    fn overlap_among(&mut self, network: u32, time: Micros, config: &Config) -> Option<u32> {
        self.0.retain(|arrival| time.0 - arrival.first.0 < i64::from(config.overlap_hours) * Micros::HOUR);
        if self.0.iter().any(|arrival| arrival.network == network) {
            return None;
        }
        let grace = i64::from(config.overlap_grace_minutes) * Micros::MINUTE;
        let arrival = self.0.iter_mut().find(|arrival| !arrival.reported && time.0 - arrival.first.0 > grace)?;
        arrival.reported = true;
        Some(arrival.network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(minutes: i64) -> Micros {
        Micros(minutes * Micros::MINUTE)
    }

    #[test]
    fn a_clean_move_is_none() {
        let (mut arrivals, config) = (Arrivals::default(), Config::default());
        arrivals.arrive(2, at(0), &config);
        assert_eq!(arrivals.overlap(1, at(5), &config), None, "the last requests of the old place");
        assert!((1..200).all(|i| arrivals.overlap(2, at(10 * i), &config).is_none()));
    }

    #[test]
    fn the_old_place_going_on_is_one() {
        let (mut arrivals, config) = (Arrivals::default(), Config::default());
        arrivals.arrive(2, at(0), &config);
        assert_eq!(arrivals.overlap(1, at(40), &config), Some(2));
        assert_eq!(arrivals.overlap(1, at(50), &config), None, "said once");
        arrivals.arrive(3, at(60), &config);
        assert_eq!(arrivals.overlap(1, at(60 + 25 * 60), &config), None, "a day later it is no overlap");
    }
}
