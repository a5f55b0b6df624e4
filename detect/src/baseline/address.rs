//! An address by its prefixes: host, /24 and /16 of IPv4, /64 and /48 of IPv6. Nothing else is known of it here; country and ASN come
//! with the event.

use std::fmt::Write as _;
use std::net::IpAddr;

use keytrail_schemas::Text;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::facet::Facet;
use super::value::{Values, clip, drop_oldest};

/// The numbers of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address itself.
    pub host: u32,
    /// Its /24 or /64.
    pub narrow: u32,
    /// Its /16 or /48.
    pub wide: u32,
}

/// The addresses of one partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Addresses {
    #[serde(with = "crate::sorted::map")]
    known: FxHashMap<Text, (Address, u32)>,
}

impl Addresses {
    /// Looks where `text` is known, if it is.
    #[inline]
    #[must_use]
    pub fn touch(&self, text: &str) -> u32 {
        self.known.get(text).map_or(0, |(address, _)| address.host)
    }

    /// The numbers of `text`; `None` when it is not an address.
    #[inline]
    pub fn resolve(&mut self, text: &str, day: u32, values: &mut Values, config: &Config) -> Option<Address> {
        match self.known.get(text) {
            Some(&(address, met)) if met >= day => Some(address),
            _ => self.resolve_anew(text, day, values, config),
        }
    }

    #[cold]
    fn resolve_anew(&mut self, text: &str, day: u32, values: &mut Values, config: &Config) -> Option<Address> {
        let ip: IpAddr = clip(text, 64).parse().ok()?;
        let ip = ip.to_canonical();
        let mut name = String::with_capacity(48);
        let mut number = |facet, bits: u8| {
            name.clear();
            // Writing to a string cannot fail.
            let _ = write!(name, "{}", prefix(ip, bits));
            if bits < 128 {
                let _ = write!(name, "/{bits}");
            }
            values.resolve(facet, &name, day, config).value
        };
        let (wide, narrow) = if ip.is_ipv4() { (16, 24) } else { (48, 64) };
        let address = Address { host: number(Facet::Host, 128), narrow: number(Facet::Narrow, narrow), wide: number(Facet::Wide, wide) };
        if self.known.len() >= config.aliases_max.max(4) && !self.known.contains_key(text) {
            drop_oldest(&mut self.known, 4, |(_, day)| *day);
        }
        self.known.insert(Text::from(text), (address, day));
        Some(address)
    }
}

/// The address with all but its first `bits` cleared.
fn prefix(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => IpAddr::V4(if bits >= 32 { v4 } else { (v4.to_bits() & !(u32::MAX >> bits)).into() }),
        IpAddr::V6(v6) => IpAddr::V6(if bits >= 128 { v6 } else { (v6.to_bits() & !(u128::MAX >> bits)).into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_shared() {
        let (mut addresses, mut values, config) = (Addresses::default(), Values::default(), Config::default());
        let mut of = |text| addresses.resolve(text, 1, &mut values, &config);
        let (a, b, c) = (of("10.2.3.4").unwrap(), of("10.2.3.9").unwrap(), of("10.2.7.9").unwrap());
        assert!(a.narrow == b.narrow && a.host != b.host && a.wide == c.wide && a.narrow != c.narrow);
        assert_eq!(of("::ffff:10.2.3.4"), Some(a), "an IPv4 address in IPv6's clothes");
        let (d, e) = (of("2001:db8:1:2::1").unwrap(), of("2001:db8:1:3::1").unwrap());
        assert!(d.wide == e.wide && d.narrow != e.narrow);
        assert_eq!(of("not an address"), None);
        assert_eq!(values.name(a.wide).unwrap(), "10.2.0.0/16");
        assert_eq!(values.name(d.narrow).unwrap(), "2001:db8:1:2::/64");
        assert_eq!(values.name(a.host).unwrap(), "10.2.3.4");
    }
}
