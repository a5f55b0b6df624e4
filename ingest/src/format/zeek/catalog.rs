//! The kinds of Zeek logs: which are read, which are known to say nothing about a machine identity, and how a kind is told.

use super::kind::Kind;
use super::plant::{
    bacnet, bacnet_control, bacnet_discovery, cip, cip_identity, dnp3_control, enip, modbus_detailed, opcua, opcua_activate_session, opcua_create_session,
    opcua_service, opcua_status, s7comm, s7comm_plus, s7comm_transfer,
};
use super::{dhcp, dnp3, ftp, kerberos, ldap, ldap_search, modbus, mqtt_connect, mqtt_publish, mqtt_subscribe, mysql, ntlm, radius, ssh, ssl, x509};

/// Every kind that is read.
static READ: [&Kind; 41] = [
    // Before `modbus`, whose mark it has too.
    &modbus_detailed::KIND,
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
    &opcua_service::KIND,
    &opcua_status::KIND,
    &opcua::READ,
    &opcua::WRITE,
    &opcua::BROWSE,
    &opcua::SUBSCRIBE,
    &opcua::MONITOR,
    &opcua::ENDPOINTS,
    &opcua::CHANNEL,
    &opcua::CLOSE,
    &s7comm::KIND,
    &s7comm_plus::KIND,
    &s7comm_transfer::TRANSFER,
    &s7comm_transfer::SZL,
    &s7comm_transfer::DEVICE,
    &cip::KIND,
    &enip::KIND,
    &cip_identity::KIND,
    &bacnet_control::KIND,
    &bacnet_discovery::KIND,
    &bacnet::KIND,
    &dnp3_control::KIND,
    &radius::KIND,
    &mysql::KIND,
    &ftp::KIND,
    &dhcp::KIND,
];

/// Logs that are recognised and not read: they describe traffic, files, names or Zeek itself, and name no machine identity beyond
/// addresses that the logs above name with more. A log that stands in neither list is treated likewise.
const OTHER: [&str; 78] = [
    "analyzer",
    "bacnet_property",
    "capture_loss",
    "cip_io",
    "cluster",
    "config",
    "conn",
    "dce_rpc",
    "dnp3_objects",
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
    "modbus_mask_write_register",
    "modbus_read_device_identification",
    "modbus_read_write_multiple_registers",
    "modbus_register_change",
    "notice",
    "notice_alarm",
    "ntp",
    "ocsp",
    "opcua_binary_aggregate_filter",
    "opcua_binary_browse_description",
    "opcua_binary_browse_request_continuation_point",
    "opcua_binary_browse_response_references",
    "opcua_binary_browse_result",
    "opcua_binary_close_session_diag",
    "opcua_binary_create_monitored_items_create_item",
    "opcua_binary_create_session_discovery",
    "opcua_binary_create_session_endpoints",
    "opcua_binary_create_session_user_token",
    "opcua_binary_data_change_filter",
    "opcua_binary_diag_info_detail",
    "opcua_binary_event_filter",
    "opcua_binary_get_endpoints_description",
    "opcua_binary_get_endpoints_discovery",
    "opcua_binary_get_endpoints_locale_id",
    "opcua_binary_get_endpoints_profile_uri",
    "opcua_binary_get_endpoints_user_token",
    "opcua_binary_read_nodes_to_read",
    "opcua_binary_read_results",
    "opcua_binary_variant_array_dims",
    "opcua_binary_variant_data",
    "opcua_binary_variant_metadata",
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
            ("opcua_binary.log", "opcua_binary"),
            ("opcua-binary-read.log", "opcua_binary_read"),
            ("opcua_binary_read_results.log", "other"),
            ("bacnet_property.log.gz", "other"),
            ("s7comm_known_devices.log", "s7comm_known_devices"),
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
