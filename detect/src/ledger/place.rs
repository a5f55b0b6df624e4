//! Where a credential was used lately: a few source networks with the times of their use.

use std::net::IpAddr;

use keytrail_schemas::{Event, Micros};

use super::distinct::hash_of;

/// Places remembered per credential; at the bound the one not used for longest is forgotten.
const PLACES_MAX: usize = 16;
/// Uses within this span of each other are concurrent.
const CONCURRENT_US: i64 = Micros::HOUR;

/// The places of one credential, the latest first.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Places(Vec<Place>);

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Place {
    /// Hash of the address as it stood in the event.
    address: u64,
    /// Hash of its network.
    network: u64,
    /// Hash of its country, 0 when unknown.
    country: u64,
    /// Start of the present stay: uses no further apart than [`CONCURRENT_US`].
    since: Micros,
    last: Micros,
}

/// Counts of places at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Distinct networks within 24 hours.
    pub day: u32,
    /// Networks whose use interleaves with that of the present one, which counts too.
    pub concurrent: u32,
    /// Distinct countries among the interleaving ones.
    pub countries: u32,
    /// Hash of the present network, when it was not at hand already.
    pub new_network: Option<u64>,
}

impl Places {
    /// Looks at the latest place.
    #[inline]
    pub fn touch(&self) -> u64 {
        self.0.first().map_or(0, |place| place.address)
    }

    /// Takes a use at `event`'s source, and counts. Sources that are no addresses (a provider's own services) are no places.
    pub fn observe(&mut self, event: &Event) -> Count {
        let mut new_network = None;
        if let Some(text) = &event.source_ip {
            let address = hash_of(text.as_str());
            let position = self.0.iter().position(|place| place.address == address);
            let at = match position {
                Some(at) => Some(at),
                None => network(text).map(|network| {
                    new_network = Some(network);
                    // Another address of a known network is the same place.
                    self.0.iter().position(|place| place.network == network).unwrap_or_else(|| {
                        if self.0.len() >= PLACES_MAX {
                            self.0.pop();
                        }
                        let country = event.source_country.as_ref().map_or(0, |country| hash_of(country.as_str()));
                        self.0.push(Place { address, network, country, since: event.time, last: event.time });
                        self.0.len() - 1
                    })
                }),
            };
            if let Some(at) = at {
                if let Some(place) = self.0.get_mut(at) {
                    place.address = address;
                    if event.time.0 - place.last.0 > CONCURRENT_US {
                        place.since = event.time;
                    }
                    place.last = place.last.max(event.time);
                }
                self.0.get_mut(..=at).unwrap_or_default().rotate_right(1);
            }
        }
        Count { new_network, ..self.count(event.time) }
    }

    fn count(&self, time: Micros) -> Count {
        let Some((here, others)) = self.0.split_first() else { return Count::default() };
        let mut count = Count { day: 1, concurrent: 1, countries: 1, new_network: None };
        for place in others {
            let ago = time.0 - place.last.0;
            count.day += u32::from(ago < Micros::DAY);
            if ago < CONCURRENT_US && place.last > here.since {
                count.concurrent += 1;
                count.countries += u32::from(place.country != 0 && here.country != 0 && place.country != here.country);
            }
        }
        count
    }
}

/// Hash of the /24 (IPv4) or /48 (IPv6) of an address; `None` when the text is none.
fn network(text: &str) -> Option<u64> {
    Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(v4) => hash_of(&(4_u8, v4.to_bits() >> 8)),
        IpAddr::V6(v6) => hash_of(&(6_u8, v6.to_bits() >> 80)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64, ip: &str) -> Event {
        Event { time: Micros(minute * Micros::MINUTE), source_ip: Some(ip.into()), ..Event::default() }
    }

    #[test]
    fn a_clean_move_is_one_place_at_a_time_and_going_back_and_forth_is_two() {
        let mut places = Places::default();
        places.observe(&at(0, "10.0.0.1"));
        places.observe(&at(10, "10.0.0.9"));
        assert_eq!(places.observe(&at(20, "192.0.2.7")).concurrent, 1, "the first move");
        let back = places.observe(&at(30, "10.0.0.1"));
        assert_eq!((back.concurrent, back.day), (2, 2));
    }

    #[test]
    fn a_service_name_is_no_place() {
        let mut places = Places::default();
        assert_eq!(places.observe(&at(0, "cloudformation.amazonaws.com")), Count::default());
    }

    #[test]
    fn more_places_than_the_bound_are_forgotten_oldest_first() {
        let mut places = Places::default();
        for i in 0..100 {
            places.observe(&at(i, &format!("10.0.{i}.1")));
        }
        assert_eq!(places.0.len(), PLACES_MAX);
    }
}
