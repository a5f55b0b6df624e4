//! What kind of place an event came from, as its address or host name itself says: no database is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

words! {
    /// What kind of place a source is.
    SourceClass default Unknown {
        /// An address of the internet.
        Public = "public",
        /// An address within an organisation's own networks (RFC 1918, RFC 4193).
        Private = "private",
        /// An address behind a carrier's translation (RFC 6598).
        Shared = "shared",
        /// The machine itself.
        Loopback = "loopback",
        /// An address of one link alone (RFC 3927): a cloud's metadata service among them.
        LinkLocal = "link_local",
        /// An address that nobody has: documentation, benchmarks, multicast, reserved.
        Reserved = "reserved",
        /// A service of a cloud provider, by its name: `cloudformation.amazonaws.com`.
        CloudService = "cloud_service",
        /// The inside of a cloud provider, of which no more is said: `AWS Internal`, `gce-internal-ip`.
        CloudInternal = "cloud_internal",
        /// Another host, by its name.
        Host = "host",
        /// The record does not say.
        Unknown = "unknown",
    }
}

/// Names under which providers say that a call came from within.
const INSIDE: &[&str] = &["AWS Internal", "gce-internal-ip", "private", "Google internal", "Microsoft internal", "Internal"];
/// Domains of the providers' own services.
const SERVICES: &[&str] =
    &[".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".googleapis.com", ".azure.com", ".azure.net", ".windows.net", ".microsoft.com"];

impl SourceClass {
    /// Of an event's source address and source host.
    #[must_use]
    pub fn of(address: Option<&str>, host: Option<&str>) -> Self {
        if let Some(address) = address.and_then(|text| text.parse::<IpAddr>().ok()) {
            return match address.to_canonical() {
                IpAddr::V4(v4) => of_v4(v4),
                IpAddr::V6(v6) => of_v6(v6),
            };
        }
        match host.or(address).map(str::trim).filter(|name| !name.is_empty()) {
            None => Self::Unknown,
            Some(name) if INSIDE.iter().any(|inside| name.eq_ignore_ascii_case(inside)) => Self::CloudInternal,
            // A machine's own name under the provider's domain (`ec2-198-51-100-1.compute-1.amazonaws.com`) is a host like any other.
            Some(name) if is_service(name) => Self::CloudService,
            Some(_) => Self::Host,
        }
    }
}

fn is_service(name: &str) -> bool {
    SERVICES.iter().any(|domain| {
        let head = name.len().checked_sub(domain.len()).and_then(|at| name.split_at_checked(at));
        head.is_some_and(|(head, tail)| {
            tail.eq_ignore_ascii_case(domain) && !head.is_empty() && !head.starts_with("ec2-") && !head.ends_with(".compute") && !head.contains(".compute-")
        })
    })
}

fn of_v4(address: Ipv4Addr) -> SourceClass {
    match address.octets() {
        _ if address.is_private() => SourceClass::Private,
        [100, 64..=127, ..] => SourceClass::Shared,
        _ if address.is_loopback() => SourceClass::Loopback,
        _ if address.is_link_local() => SourceClass::LinkLocal,
        [0 | 224..=255, ..] | [198, 18 | 19, ..] | [192, 0, 0, _] => SourceClass::Reserved,
        _ if address.is_documentation() => SourceClass::Reserved,
        _ => SourceClass::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> SourceClass {
    match address.segments() {
        [0xfc00..=0xfdff, ..] => SourceClass::Private,
        [0xfe80..=0xfebf, ..] => SourceClass::LinkLocal,
        _ if address.is_loopback() => SourceClass::Loopback,
        [0x2001, 0x0db8, ..] | [0xff00..=0xffff, ..] | [0x0100, 0, 0, 0, ..] => SourceClass::Reserved,
        _ if address.is_unspecified() => SourceClass::Reserved,
        _ => SourceClass::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_classed_by_address_and_name() {
        for (address, host, class) in [
            (Some("203.0.112.9"), None, SourceClass::Public),
            (Some("10.1.2.3"), Some("build-7"), SourceClass::Private),
            (Some("::ffff:192.168.1.1"), None, SourceClass::Private),
            (Some("fd00::1"), None, SourceClass::Private),
            (Some("100.64.0.1"), None, SourceClass::Shared),
            (Some("100.128.0.1"), None, SourceClass::Public),
            (Some("127.0.0.1"), None, SourceClass::Loopback),
            (Some("::1"), None, SourceClass::Loopback),
            (Some("169.254.169.254"), None, SourceClass::LinkLocal),
            (Some("fe80::1"), None, SourceClass::LinkLocal),
            (Some("198.51.100.1"), None, SourceClass::Reserved),
            (Some("2001:db8::1"), None, SourceClass::Reserved),
            (Some("2a00:1450::1"), None, SourceClass::Public),
            (None, Some("AWS Internal"), SourceClass::CloudInternal),
            (None, Some("gce-internal-ip"), SourceClass::CloudInternal),
            (None, Some("cloudformation.amazonaws.com"), SourceClass::CloudService),
            (None, Some("ec2-198-51-100-1.compute-1.amazonaws.com"), SourceClass::Host),
            (None, Some("evil-amazonaws.com"), SourceClass::Host),
            (None, Some(".amazonaws.com"), SourceClass::Host),
            (None, Some("build-7"), SourceClass::Host),
            (None, Some(" "), SourceClass::Unknown),
            (None, None, SourceClass::Unknown),
        ] {
            assert_eq!(SourceClass::of(address, host), class, "{address:?} {host:?}");
        }
    }
}
