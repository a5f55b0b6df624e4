//! Zeek logs as TSV (Zeek 7): header lines, `-` for unset, `(empty)` for an empty set, the default columns of each log,
//! and in ssl.log the four subject and issuer columns that Zeek logs for certificates that it sees (TLS 1.2 and older).

use super::cloudtrail::put;
use crate::chance::{BASE62, Chance};
use crate::clock;
use crate::journal::{Journal, Stream};
use crate::roster::actor::Certificate;

/// One of Zeek's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// TLS connections.
    Ssl,
    /// Certificates seen.
    X509,
    /// MQTT connections.
    MqttConnect,
    /// MQTT messages.
    MqttPublish,
    /// MQTT subscriptions.
    MqttSubscribe,
    /// Modbus requests and responses.
    Modbus,
    /// Kerberos tickets.
    Kerberos,
    /// SSH connections.
    Ssh,
    /// S7 jobs.
    S7comm,
    /// Blocks of S7 programs, up and down.
    S7Transfer,
    /// What S7 controllers say of themselves.
    S7Szl,
    /// CIP services.
    Cip,
    /// BACnet services.
    Bacnet,
    /// BACnet device control.
    BacnetControl,
    /// DNP3 requests.
    Dnp3,
    /// DNP3 controls.
    Dnp3Control,
    /// Modbus with addresses and values.
    ModbusDetailed,
    /// OPC UA sessions opened.
    UaCreate,
    /// OPC UA sessions authenticated.
    UaActivate,
    /// OPC UA reads.
    UaRead,
    /// OPC UA writes.
    UaWrite,
    /// OPC UA browses.
    UaBrowse,
    /// OPC UA messages.
    UaService,
    /// OPC UA answers.
    UaStatus,
}

const CONNECTION: &str = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p";
const CONNECTION_TYPES: &str = "time\tstring\taddr\tport\taddr\tport";

impl Log {
    /// Every log.
    pub const ALL: &'static [Self] = &[
        Self::Ssl,
        Self::X509,
        Self::MqttConnect,
        Self::MqttPublish,
        Self::MqttSubscribe,
        Self::Modbus,
        Self::Kerberos,
        Self::Ssh,
        Self::S7comm,
        Self::S7Transfer,
        Self::S7Szl,
        Self::Cip,
        Self::Bacnet,
        Self::BacnetControl,
        Self::Dnp3,
        Self::Dnp3Control,
        Self::ModbusDetailed,
        Self::UaCreate,
        Self::UaActivate,
        Self::UaRead,
        Self::UaWrite,
        Self::UaBrowse,
        Self::UaService,
        Self::UaStatus,
    ];

    /// The name: its path in Zeek, and its file's stem.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssl => "ssl",
            Self::X509 => "x509",
            Self::MqttConnect => "mqtt_connect",
            Self::MqttPublish => "mqtt_publish",
            Self::MqttSubscribe => "mqtt_subscribe",
            Self::Modbus => "modbus",
            Self::Kerberos => "kerberos",
            Self::Ssh => "ssh",
            Self::S7comm => "s7comm",
            Self::S7Transfer => "s7comm_upload_download",
            Self::S7Szl => "s7comm_read_szl",
            Self::Cip => "cip",
            Self::Bacnet => "bacnet",
            Self::BacnetControl => "bacnet_device_control",
            Self::Dnp3 => "dnp3",
            Self::Dnp3Control => "dnp3_control",
            Self::ModbusDetailed => "modbus_detailed",
            Self::UaCreate => "opcua_binary_create_session",
            Self::UaActivate => "opcua_binary_activate_session",
            Self::UaRead => "opcua_binary_read",
            Self::UaWrite => "opcua_binary_write",
            Self::UaBrowse => "opcua_binary_browse",
            Self::UaService => "opcua_binary",
            Self::UaStatus => "opcua_binary_status_code_detail",
        }
    }

    /// The columns after the connection's (x509: all), and their types.
    const fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Ssl => (
                "version\tcipher\tcurve\tserver_name\tresumed\tlast_alert\tnext_protocol\testablished\tssl_history\tcert_chain_fps\tclient_cert_chain_fps\tsubject\tissuer\tclient_subject\tclient_issuer\tsni_matches_cert",
                "string\tstring\tstring\tstring\tbool\tstring\tstring\tbool\tstring\tvector[string]\tvector[string]\tstring\tstring\tstring\tstring\tbool",
            ),
            Self::X509 => (
                "ts\tfingerprint\tcertificate.version\tcertificate.serial\tcertificate.subject\tcertificate.issuer\tcertificate.not_valid_before\tcertificate.not_valid_after\tcertificate.key_alg\tcertificate.sig_alg\tcertificate.key_type\tcertificate.key_length\tcertificate.exponent\tcertificate.curve\tsan.dns\tsan.uri\tsan.email\tsan.ip\tbasic_constraints.ca\tbasic_constraints.path_len\thost_cert\tclient_cert",
                "time\tstring\tcount\tstring\tstring\tstring\ttime\ttime\tstring\tstring\tstring\tcount\tstring\tstring\tvector[string]\tvector[string]\tvector[string]\tvector[addr]\tbool\tcount\tbool\tbool",
            ),
            Self::MqttConnect => {
                ("proto_name\tproto_version\tclient_id\tconnect_status\twill_topic\twill_payload", "string\tstring\tstring\tstring\tstring\tstring")
            }
            Self::MqttPublish => ("from_client\tretain\tqos\tstatus\ttopic\tpayload\tpayload_len", "bool\tbool\tstring\tstring\tstring\tstring\tcount"),
            Self::MqttSubscribe => ("action\ttopics\tqos_levels\tgranted_qos_level\tack", "enum\tvector[string]\tvector[count]\tcount\tbool"),
            Self::Modbus => ("tid\tunit\tfunc\tpdu_type\texception", "count\tcount\tstring\tstring\tstring"),
            Self::Kerberos => (
                "request_type\tclient\tservice\tsuccess\terror_msg\tfrom\ttill\tcipher\tforwardable\trenewable\tclient_cert_subject\tclient_cert_fuid\tserver_cert_subject\tserver_cert_fuid",
                "string\tstring\tstring\tbool\tstring\ttime\ttime\tstring\tbool\tbool\tstring\tstring\tstring\tstring",
            ),
            Self::S7comm => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\trosctr_code\trosctr_name\tpdu_reference\tfunction_code\tfunction_name\tsubfunction_code\tsubfunction_name\terror_class\terror_code",
                "bool\taddr\tport\taddr\tport\tcount\tstring\tcount\tstring\tstring\tstring\tstring\tstring\tstring",
            ),
            Self::S7Transfer => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\trosctr\tpdu_reference\tfunction_name\tfunction_status\tsession_id\tblocklength\tfilename\tblock_type\tblock_number\tdestination_filesystem",
                "bool\taddr\tport\taddr\tport\tstring\tcount\tstring\tstring\tcount\tcount\tstring\tstring\tstring\tstring",
            ),
            Self::S7Szl => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tpdu_reference\tmethod\tszl_id\tszl_id_name\tszl_index\treturn_code\treturn_code_name",
                "bool\taddr\tport\taddr\tport\tcount\tstring\tstring\tstring\tstring\tstring\tstring",
            ),
            Self::Cip => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tcip_sequence_count\tdirection\tcip_service_code\tcip_service\tcip_status_code\tcip_status\tcip_extended_status_code\tcip_extended_status\tclass_id\tclass_name\tinstance_id\tattribute_id",
                "bool\taddr\tport\taddr\tport\tcount\tstring\tstring\tstring\tstring\tstring\tstring\tstring\tstring\tstring\tstring\tstring",
            ),
            Self::Bacnet => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tbvlc_function\tpdu_type\tpdu_service\tinvoke_id\tresult_code",
                "bool\taddr\tport\taddr\tport\tstring\tstring\tstring\tcount\tstring",
            ),
            Self::BacnetControl => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tinvoke_id\tpdu_service\ttime_duration\tdevice_state\tpassword\tresult\tresult_code",
                "bool\taddr\tport\taddr\tport\tcount\tstring\tcount\tstring\tstring\tstring\tstring",
            ),
            Self::Dnp3 => ("fc_request\tfc_reply\tiin", "string\tstring\tcount"),
            Self::Dnp3Control => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tblock_type\tfunction_code\tindex_number\ttrip_control_code\toperation_type\tclear_bit\texecute_count\ton_time\toff_time\tstatus_code",
                "bool\taddr\tport\taddr\tport\tstring\tstring\tcount\tstring\tstring\tbool\tcount\tcount\tcount\tstring",
            ),
            Self::ModbusDetailed => (
                "tid\tunit\tfunc\taddress\tquantity\trequest_values\tresponse_values\tmodbus_detailed_link_id\tmatched\trequest_subfunction_code\tresponse_subfunction_code\trequest_data\tresponse_data\texception_code\tmei_type",
                "count\tcount\tstring\tcount\tcount\tstring\tstring\tstring\tbool\tstring\tstring\tstring\tstring\tstring\tstring",
            ),
            Self::UaCreate => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tapplication_uri\tserver_uri\tsession_id_encoding_mask\tsession_id_guid",
                "bool\taddr\tport\taddr\tport\tstring\tstring\tstring\tstring",
            ),
            Self::UaActivate => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\text_obj_type_id_str\text_obj_user_name\text_obj_password\tserver_nonce",
                "bool\taddr\tport\taddr\tport\tstring\tstring\tstring\tstring",
            ),
            Self::UaRead => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tmax_age\ttimestamps_to_return\ttimestamps_to_return_str",
                "bool\taddr\tport\taddr\tport\tcount\tcount\tstring",
            ),
            Self::UaWrite => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tnode_id_encoding_mask\tnode_id_namespace_idx\tnode_id_string\tattribute_id_str",
                "bool\taddr\tport\taddr\tport\tstring\tcount\tstring\tstring",
            ),
            Self::UaBrowse => ("is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tbrowse_service_type", "bool\taddr\tport\taddr\tport\tstring"),
            Self::UaService => ("msg_type\terror\treq_identifier_str\tres_identifier_str", "string\tstring\tstring\tstring"),
            Self::UaStatus => (
                "is_orig\tsource_h\tsource_p\tdestination_h\tdestination_p\tsource_str\tstatus_code\tseverity_str\tsub_code_str",
                "bool\taddr\tport\taddr\tport\tstring\tstring\tstring\tstring",
            ),
            Self::Ssh => (
                "version\tauth_success\tauth_attempts\tdirection\tclient\tserver\tcipher_alg\tmac_alg\tcompression_alg\tkex_alg\thost_key_alg\thost_key",
                "count\tbool\tcount\tenum\tstring\tstring\tstring\tstring\tstring\tstring\tstring\tstring",
            ),
        }
    }

    /// The header lines of a file that begins at `open`.
    pub fn header(self, open: i64) -> String {
        let (fields, types) = self.columns();
        let (connection, connection_types) =
            if self == Self::X509 { (String::new(), String::new()) } else { (format!("{CONNECTION}\t"), format!("{CONNECTION_TYPES}\t")) };
        format!(
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{}\n#open\t{}\n#fields\t{connection}{fields}\n#types\t{connection_types}{types}\n",
            self.name(),
            stamp(open)
        )
    }
}

/// The last line of a file that ends at `close`.
pub fn footer(close: i64) -> String {
    format!("#close\t{}\n", stamp(close))
}

fn stamp(time: i64) -> String {
    clock::seconds(time).replace(['T', ':'], "-").trim_end_matches('Z').to_owned()
}

/// Who talks to whom.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    /// When.
    pub time: i64,
    /// From.
    pub from: &'a str,
    /// To.
    pub to: &'a str,
    /// Port there.
    pub port: &'a str,
}

/// Appends the columns of a new connection and a tab; gives the uid.
fn open(out: &mut String, connection: &Connection<'_>, chance: &mut Chance) -> String {
    let uid = chance.letters("C", BASE62, 17);
    within(out, connection, &uid);
    uid
}

/// Appends the columns of a connection that has a uid already; its client's port follows from the uid.
fn within(out: &mut String, connection: &Connection<'_>, uid: &str) {
    clock::push_epoch(out, connection.time);
    put!(out, "\t", uid, "\t", connection.from, "\t");
    let port = uid.bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 28_000);
    clock::push_number(out, 32_768 + port);
    put!(out, "\t", connection.to, "\t", connection.port, "\t");
}

/// A TLS connection with a client certificate.
pub struct Tls<'a> {
    /// Server's name.
    pub server: &'a str,
    /// Client's subject.
    pub subject: &'a str,
    /// Client's issuer.
    pub issuer: &'a str,
    /// Client's certificate.
    pub certificate: &'a Certificate,
    /// Whether an old protocol and cipher were agreed on.
    pub weak: bool,
    /// Whether the handshake went through.
    pub established: bool,
    /// Whether x509.log gets a line: Zeek writes a certificate that it knows once a day.
    pub logged: bool,
}

/// A TLS connection: ssl.log, and x509.log for the client's certificate; gives the uid.
pub fn tls(journal: &mut Journal, connection: &Connection<'_>, tls: &Tls<'_>, chance: &mut Chance) -> String {
    let mut uid = String::new();
    let (version, cipher) = if tls.weak { ("TLSv10", "TLS_RSA_WITH_3DES_EDE_CBC_SHA\t-") } else { ("TLSv12", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\tx25519") };
    let established = if tls.established { "T" } else { "F" };
    journal.record(connection.time, Stream::Zeek(Log::Ssl), |out| {
        uid = open(out, connection, chance);
        put!(
            out,
            version,
            "\t",
            cipher,
            "\t",
            tls.server,
            "\tF\t",
            if tls.established { "-" } else { "certificate_unknown" },
            "\t-\t",
            established,
            "\tCsxnuryGiIti\t"
        );
        // The server's certificate is the same for a server's life: made from its name.
        let mut seed = tls.server.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(byte)));
        seed ^= 0x5eed;
        Chance::new(seed).push_hex(out, 64);
        put!(
            out,
            "\t",
            &tls.certificate.fingerprint,
            "\tCN=",
            tls.server,
            ",O=Example Works,C=DE\t",
            crate::roster::ISSUER,
            "\t",
            tls.subject,
            "\t",
            tls.issuer,
            "\tT"
        );
    });
    if !tls.logged {
        return uid;
    }
    journal.record(connection.time + 900, Stream::Zeek(Log::X509), |out| {
        let Certificate { fingerprint, serial, not_before, not_after } = tls.certificate;
        clock::push_epoch(out, connection.time + 900);
        put!(out, "\t", fingerprint, "\t3\t", serial, "\t", tls.subject, "\t", tls.issuer, "\t");
        clock::push_epoch(out, *not_before);
        put!(out, "\t");
        clock::push_epoch(out, *not_after);
        put!(out, "\trsaEncryption\tsha256WithRSAEncryption\trsa\t2048\t65537\t-\t-\t-\t-\t-\tF\t-\tF\tT");
    });
    uid
}

/// An MQTT client connects; gives the uid.
pub fn mqtt_connect(journal: &mut Journal, connection: &Connection<'_>, client: &str, accepted: bool, chance: &mut Chance) -> String {
    let mut uid = String::new();
    journal.record(connection.time, Stream::Zeek(Log::MqttConnect), |out| {
        uid = open(out, connection, chance);
        put!(out, "MQTT\t3.1.1\t", client, "\t", if accepted { "Connection Accepted" } else { "Refused: not authorized" }, "\t-\t-");
    });
    uid
}

/// An MQTT client subscribes on a connection that it has.
pub fn mqtt_subscribe(journal: &mut Journal, connection: &Connection<'_>, uid: &str, topic: &str) {
    journal.record(connection.time, Stream::Zeek(Log::MqttSubscribe), |out| {
        within(out, connection, uid);
        put!(out, "MQTT::SUBSCRIBE\t", topic, "\t1\t1\tT");
    });
}

/// An MQTT client publishes on a connection that it has.
pub fn mqtt_publish(journal: &mut Journal, connection: &Connection<'_>, uid: &str, topic: &str, chance: &mut Chance) {
    journal.record(connection.time, Stream::Zeek(Log::MqttPublish), |out| {
        within(out, connection, uid);
        put!(out, "T\tF\tat least once\tok\t", topic, "\t{\"v\":");
        clock::push_number(out, chance.range(100, 999));
        put!(out, "}\t9");
    });
}

/// A Modbus request and its response; gives the uid.
pub fn modbus(journal: &mut Journal, connection: &Connection<'_>, unit: &str, function: &str, refused: bool, chance: &mut Chance) -> String {
    let mut uid = String::new();
    let mut port = String::new();
    clock::push_number(&mut port, chance.range(49_152, 65_535));
    let mut transaction = String::new();
    clock::push_number(&mut transaction, chance.range(1, 65_535));
    for (after, kind) in [(0, "REQ"), (chance.range(2_000, 30_000), "RESP")] {
        let time = connection.time + after;
        journal.record(time, Stream::Zeek(Log::Modbus), |out| {
            clock::push_epoch(out, time);
            if uid.is_empty() {
                uid = chance.letters("C", BASE62, 17);
            }
            put!(
                out,
                "\t",
                &uid,
                "\t",
                connection.from,
                "\t",
                &port,
                "\t",
                connection.to,
                "\t",
                connection.port,
                "\t",
                &transaction,
                "\t",
                unit,
                "\t",
                function,
                "\t",
                kind,
                "\t"
            );
            out.push_str(if refused && kind == "RESP" { "ILLEGAL_FUNCTION" } else { "-" });
        });
    }
    uid
}

/// A Kerberos exchange: a ticket-granting ticket (`AS`) or a service ticket (`TGS`).
pub struct Ticket<'a> {
    /// `AS` or `TGS`.
    pub request: &'a str,
    /// Client principal with realm.
    pub client: &'a str,
    /// Service principal.
    pub service: &'a str,
    /// The refusal, if it was refused.
    pub error: Option<&'a str>,
    /// Whether an old cipher was agreed on.
    pub weak: bool,
}

/// A line of kerberos.log; gives the uid.
pub fn kerberos(journal: &mut Journal, connection: &Connection<'_>, ticket: &Ticket<'_>, chance: &mut Chance) -> String {
    let mut uid = String::new();
    journal.record(connection.time, Stream::Zeek(Log::Kerberos), |out| {
        uid = open(out, connection, chance);
        put!(
            out,
            ticket.request,
            "\t",
            ticket.client,
            "\t",
            ticket.service,
            "\t",
            if ticket.error.is_some() { "F" } else { "T" },
            "\t",
            ticket.error.unwrap_or("-"),
            "\t"
        );
        if ticket.error.is_some() {
            put!(out, "-\t-\t-");
        } else {
            clock::push_epoch(out, connection.time);
            put!(out, "\t");
            clock::push_epoch(out, connection.time + 10 * clock::HOUR);
            put!(out, "\t", if ticket.weak { "rc4-hmac" } else { "aes256-cts-hmac-sha1-96" });
        }
        put!(out, "\tT\tT\t-\t-\t-\t-");
    });
    uid
}

/// A line of ssh.log; gives the uid.
pub fn ssh(journal: &mut Journal, connection: &Connection<'_>, success: bool, client: &str, chance: &mut Chance) -> String {
    let mut uid = String::new();
    journal.record(connection.time, Stream::Zeek(Log::Ssh), |out| {
        uid = open(out, connection, chance);
        put!(
            out,
            "2\t",
            if success { "T\t1" } else { "F\t3" },
            "\t-\tSSH-2.0-",
            client,
            "\tSSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.13\tchacha20-poly1305@openssh.com\thmac-sha2-256-etm@openssh.com\tnone\tcurve25519-sha256\tssh-ed25519\t"
        );
        let seed = connection.to.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(byte)));
        let mut key = Chance::new(seed);
        for i in 0..16 {
            if i > 0 {
                out.push(':');
            }
            key.push_hex(out, 2);
        }
    });
    uid
}
