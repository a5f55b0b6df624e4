//! Where secrets stand in Zeek's logs, as TSV and as JSON: the fields that hold a password by their nature, payloads, and the texts.

use serde_json::{Value, json};

use super::place::{Place, Takes, closed, kept};

const FORMAT: &str = "zeek";

/// A log, its fields behind the connection's, and a row of them.
type Log = (&'static str, &'static [(&'static str, &'static str)]);

const FTP: Log =
    ("ftp", &[("user", "backup"), ("password", "<hidden>"), ("command", "STOR"), ("arg", "ftp://10.0.0.2/f"), ("reply_code", "226"), ("reply_msg", "done")]);
const MYSQL: Log = ("mysql", &[("cmd", "query"), ("arg", "select 1"), ("success", "T"), ("rows", "1"), ("response", "ok")]);
const LDAP: Log = (
    "ldap",
    &[
        ("message_id", "1"),
        ("version", "3"),
        ("opcode", "bind simple"),
        ("result", "success"),
        ("diagnostic_message", "-"),
        ("object", "cn=app,dc=x"),
        ("argument", "-"),
    ],
);
const LDAP_SEARCH: Log =
    ("ldap_search", &[("message_id", "2"), ("deref_aliases", "never"), ("base_object", "dc=x"), ("result", "success"), ("filter", "(uid=a)")]);
const MQTT_CONNECT: Log = (
    "mqtt_connect",
    &[
        ("proto_name", "MQTT"),
        ("proto_version", "3.1.1"),
        ("client_id", "meter-7"),
        ("connect_status", "Connection Accepted"),
        ("will_topic", "lwt"),
        ("will_payload", "bye"),
    ],
);
const MQTT_PUBLISH: Log = (
    "mqtt_publish",
    &[("from_client", "T"), ("retain", "F"), ("qos", "at most once"), ("status", "ok"), ("topic", "plant/a"), ("payload", "12.5"), ("payload_len", "4")],
);
const MQTT_SUBSCRIBE: Log =
    ("mqtt_subscribe", &[("action", "MQTT::SUBSCRIBE"), ("topics", "plant/#"), ("qos_levels", "0"), ("granted_qos_level", "0"), ("ack", "T")]);
const RADIUS: Log = (
    "radius",
    &[("username", "host/pc1"), ("mac", "00:11:22:33:44:55"), ("framed_addr", "-"), ("connect_info", "CONNECT"), ("reply_msg", "ok"), ("result", "success")],
);
const KERBEROS: Log = (
    "kerberos",
    &[("request_type", "TGS"), ("client", "app/EX.ORG"), ("service", "cifs/fs1"), ("success", "F"), ("error_msg", "KDC_ERR"), ("forwardable", "T")],
);
const SSH: Log =
    ("ssh", &[("version", "2"), ("auth_success", "T"), ("auth_attempts", "1"), ("client", "SSH-2.0-OpenSSH"), ("server", "SSH-2.0-x"), ("host_key", "aa:bb")]);
const NTLM: Log = ("ntlm", &[("username", "svc$"), ("hostname", "PC1"), ("domainname", "CORP"), ("success", "T")]);
const SSL: Log = (
    "ssl",
    &[
        ("version", "TLSv12"),
        ("server_name", "api.example.org"),
        ("resumed", "F"),
        ("established", "T"),
        ("client_subject", "CN=meter-7,O=Plant"),
        ("client_issuer", "CN=Plant CA"),
        ("client_cert_chain_fps", "abababababababababababababababababababababababababababababababab"),
    ],
);
const OPCUA: Log = (
    "opcua_binary_activate_session",
    &[
        ("ext_obj_type_id_str", "UserNameIdentityToken"),
        ("ext_obj_policy_id", "1"),
        ("ext_obj_user_name", "operator"),
        ("ext_obj_password", "x"),
        ("ext_obj_encryption_algorithom", "none"),
        ("ext_obj_token_data", "-"),
        ("client_signature", "-"),
        ("user_token_signature", "-"),
        ("server_nonce", "-"),
    ],
);

fn connection(n: u64) -> [(&'static str, String); 6] {
    [
        ("ts", format!("{}.000000", 1_772_600_000 + n * 13)),
        ("uid", format!("Cx{n}")),
        ("id.orig_h", format!("10.20.{}.{}", n / 200 % 200, n % 200 + 1)),
        ("id.orig_p", "50000".to_owned()),
        ("id.resp_h", "10.30.0.2".to_owned()),
        ("id.resp_p", "21".to_owned()),
    ]
}

/// One file's worth of TSV: its header and one row, so that rows of every log can stand behind each other.
fn tsv(log: Log, field: &str, value: &str, n: u64) -> String {
    let (path, fields) = log;
    let escaped: String = value
        .chars()
        .map(|c| match c {
            '\t' => "\\x09".to_owned(),
            '\n' => "\\x0a".to_owned(),
            '\\' => "\\\\".to_owned(),
            other => other.to_string(),
        })
        .collect();
    let names: Vec<&str> = connection(n).iter().map(|(name, _)| *name).chain(fields.iter().map(|(name, _)| *name)).collect();
    let values: Vec<String> = connection(n)
        .into_iter()
        .map(|(_, value)| value)
        .chain(fields.iter().map(|(name, default)| if *name == field { escaped.clone() } else { (*default).to_owned() }))
        .collect();
    let types = vec!["string"; names.len()];
    format!(
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{path}\n#open\t2026-03-04-00-00-00\n#fields\t{}\n#types\t{}\n{}\n#close\t2026-03-04-01-00-00",
        names.join("\t"),
        types.join("\t"),
        values.join("\t")
    )
}

fn json(log: Log, field: &str, value: &str, n: u64) -> String {
    let (path, fields) = log;
    let mut row = json!({"_path": path});
    for (name, value) in connection(n) {
        row[name] = if name == "ts" {
            json!(value.parse::<f64>().unwrap())
        } else if name.ends_with("_p") {
            json!(value.parse::<u16>().unwrap())
        } else {
            json!(value)
        };
    }
    for (name, default) in fields {
        row[*name] = match *default {
            _ if *name == field && *name == "topics" => json!([value]),
            _ if *name == field => json!(value),
            "T" => json!(true),
            "F" => json!(false),
            "-" => Value::Null,
            other => json!(other),
        };
    }
    row.to_string()
}

/// Both encodings of a field.
fn both(log: Log, field: &'static str, takes: Takes) -> Vec<Place> {
    let (path, _) = log;
    let mut all = Vec::new();
    for (encoding, file, write) in [("TSV", "zeek/all.log", tsv as fn(Log, &str, &str, u64) -> String), ("JSON", "zeek/all.json", json)] {
        let name = format!("{encoding} {path}.{field}");
        if takes == Takes::Anything {
            all.push(closed(FORMAT, file, &name, move |s, n| write(log, field, s, n)));
        } else {
            all.extend(kept(FORMAT, file, &name, move |s: &str, n| write(log, field, s, n)));
        }
    }
    all
}

/// A row of the log of this name.
pub fn row(path: &str, n: u64) -> String {
    let log = [KERBEROS, SSL, SSH].into_iter().find(|(name, _)| *name == path).unwrap();
    json(log, "", "", n)
}

/// A message to a topic that is a text.
pub fn topic(text: &str, n: u64) -> String {
    json(MQTT_PUBLISH, "topic", text, n)
}

/// Every place.
pub fn places() -> Vec<Place> {
    let closed = [
        (FTP, "password"),
        (MYSQL, "arg"),
        (LDAP, "argument"),
        (MQTT_CONNECT, "will_payload"),
        (MQTT_PUBLISH, "payload"),
        (OPCUA, "ext_obj_password"),
        (OPCUA, "ext_obj_token_data"),
        (OPCUA, "server_nonce"),
        (MYSQL, "response"),
        (LDAP_SEARCH, "filter"),
    ];
    let texts = [
        (FTP, "user"),
        (FTP, "reply_msg"),
        (FTP, "arg"),
        (LDAP, "object"),
        (LDAP, "diagnostic_message"),
        (MQTT_CONNECT, "client_id"),
        (MQTT_PUBLISH, "topic"),
        (MQTT_SUBSCRIBE, "topics"),
        (RADIUS, "username"),
        (RADIUS, "reply_msg"),
        (KERBEROS, "client"),
        (KERBEROS, "service"),
        (KERBEROS, "error_msg"),
        (SSH, "client"),
        (NTLM, "username"),
        (NTLM, "hostname"),
        (SSL, "server_name"),
        (SSL, "client_subject"),
        (OPCUA, "ext_obj_user_name"),
    ];
    let closed = closed.into_iter().flat_map(|(log, field)| both(log, field, Takes::Anything));
    closed.chain(texts.into_iter().flat_map(|(log, field)| both(log, field, Takes::Token))).collect()
}
