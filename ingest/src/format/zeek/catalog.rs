//! The kinds of Zeek logs: which are read, which are known to say nothing about a machine identity, and how a kind is told.

use super::kind::Kind;
use super::{
    dnp3, ftp, kerberos, ldap, ldap_search, modbus, mqtt_connect, mqtt_publish, mqtt_subscribe, mysql, ntlm, opcua_activate_session, opcua_create_session,
    radius, ssh, ssl, x509,
};

/// Every kind that is read.
static READ: [&Kind; 17] = [
    &modbus::KIND,
    &ssl::KIND,
    &x509::KIND,
    &kerberos::KIND,
    &ntlm::KIND,
    &ssh::KIND,
    &dnp3::KIND,
    &mqtt_connect::KIND,
    &mqtt_publish::KIND,
    &mqtt_subscribe::KIND,
    &ldap_search::KIND,
    &ldap::KIND,
    &opcua_create_session::KIND,
    &opcua_activate_session::KIND,
    &radius::KIND,
    &mysql::KIND,
    &ftp::KIND,
];

/// Logs that are recognised and not read: they describe traffic, files, names or Zeek itself, and name no machine identity beyond
/// addresses that the logs above name with more. A log that stands in neither list is treated likewise.
const OTHER: [&str; 50] = [
    "analyzer",
    "capture_loss",
    "cluster",
    "config",
    "conn",
    "dce_rpc",
    "dhcp",
    "dns",
    "dpd",
    "files",
    "http",
    "intel",
    "irc",
    "known_certs",
    "known_devices",
    "known_hosts",
    "known_modbus",
    "known_routers",
    "known_services",
    "loaded_scripts",
    "modbus_register_change",
    "notice",
    "notice_alarm",
    "ntp",
    "ocsp",
    "packet_filter",
    "pe",
    "postgresql",
    "print",
    "profinet",
    "quic",
    "rdp",
    "redis",
    "reporter",
    "rfb",
    "signatures",
    "sip",
    "smb_cmd",
    "smb_files",
    "smb_mapping",
    "smtp",
    "snmp",
    "socks",
    "software",
    "stats",
    "syslog",
    "telemetry",
    "traceroute",
    "tunnel",
    "weird",
];

/// What a log's name says.
#[derive(Clone, Copy)]
pub(super) enum Name {
    /// It is read.
    Read(&'static Kind),
    /// It is not.
    Other,
}

/// The kind of a log called `name`.
pub(super) fn named(name: &str) -> Name {
    READ.iter().find(|kind| same_name(kind.path, name)).map_or(Name::Other, |kind| Name::Read(kind))
}

/// The kind that a file's name tells: the longest log name in it that stands between other characters than letters, such as
/// `ssl` in `ssl.00:00:00-01:00:00.log`.
pub(super) fn of_file(name: &str) -> Option<Name> {
    let names = READ.iter().map(|kind| (kind.path, Name::Read(kind))).chain(OTHER.iter().map(|path| (*path, Name::Other)));
    names.filter(|(path, _)| stands_in(name, path)).max_by_key(|(path, _)| path.len()).map(|(_, found)| found)
}

fn stands_in(name: &str, path: &str) -> bool {
    let bytes = name.as_bytes();
    let letter = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
    (0..bytes.len()).any(|from| {
        bytes.get(from..from + path.len()).and_then(|part| std::str::from_utf8(part).ok()).is_some_and(|part| same_name(part, path))
            && !(from > 0 && letter(bytes.get(from - 1)))
            && !letter(bytes.get(from + path.len()))
    })
}

/// The kind of which a row has a mark.
pub(super) fn marked(has: impl Fn(&str) -> bool) -> Option<&'static Kind> {
    READ.iter().copied().find(|kind| kind.marks.iter().any(|mark| has(mark)))
}

fn same_name(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_')))
}

#[cfg(test)]
mod tests {
    use super::super::row::{OWN, SLOTS_MAX};
    use super::*;

    #[test]
    fn files_tell_their_kind() {
        let read = |name: &str| match of_file(name) {
            Some(Name::Read(kind)) => kind.path,
            Some(Name::Other) => "other",
            None => "none",
        };
        for (name, kind) in [
            ("ssl.log", "ssl"),
            ("test-modbus.log", "modbus"),
            ("mqtt_connect.json", "mqtt_connect"),
            ("x509.2026-01-01-00-00-00.log.gz", "x509"),
            ("test-known-certs.log", "other"),
            ("conn.log", "other"),
            ("ldap_search.log", "ldap_search"),
            ("sslstrip.log", "none"),
            ("current.json", "none"),
            ("\u{e4}ssl", "ssl"),
        ] {
            assert_eq!(read(name), kind, "{name}");
        }
    }

    #[test]
    fn every_kind_fits_its_row() {
        for kind in READ {
            assert!(OWN + kind.fields.len() <= SLOTS_MAX, "{}", kind.path);
        }
    }
}
