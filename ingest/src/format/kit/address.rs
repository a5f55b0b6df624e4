//! Addresses, as sources write them.

use keytrail_schemas::Text;

use crate::format::ip_address;

/// The IP address in `text`, without brackets, zone and port.
pub(crate) fn address(text: &str) -> Option<Text> {
    address_and_port(text).map(|(address, _)| address)
}

/// The IP address and the port in `text`: `10.0.0.1`, `10.0.0.1:443`, `[::1]:443`, `::1`, `fe80::1%eth0`.
pub(crate) fn address_and_port(text: &str) -> Option<(Text, Option<u16>)> {
    let bytes = text.as_bytes();
    // Most need no trimming, and one look tells how they are made.
    let text = if [bytes.first(), bytes.last()].into_iter().flatten().all(u8::is_ascii_graphic) { text } else { text.trim() };
    let (mut colons, mut others) = (0, false);
    for byte in text.bytes() {
        colons += u32::from(byte == b':');
        others |= matches!(byte, b'[' | b']' | b'%');
    }
    match (colons, others) {
        (0, false) => return Some((ip_address(text)?, None)),
        // No address of version 6 has less than two.
        (1, false) => {
            let (host, port) = text.split_once(':')?;
            return Some((ip_address(host)?, Some(port.parse().ok()?)));
        }
        _ => {}
    }
    if let Some((inside, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Some((ip_address(inside.split('%').next()?)?, rest.strip_prefix(':').and_then(|port| port.parse().ok())));
    }
    if let Some(address) = ip_address(text.split('%').next()?) {
        return Some((address, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    Some((ip_address(host)?, Some(port.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_brackets_and_zones_are_left_out() {
        for (text, address, port) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:443", "10.0.0.1", Some(443)),
            ("[2001:db8::1]:22", "2001:db8::1", Some(22)),
            ("2001:db8::1", "2001:db8::1", None),
            ("fe80::1%eth0", "fe80::1", None),
        ] {
            assert_eq!(address_and_port(text), Some((Text::from(address), port)), "{text}");
        }
        for text in ["", "gce-internal-ip", "private", "host:22", "1.2.3.4:x"] {
            assert_eq!(super::address(text), None, "{text}");
        }
    }
}
