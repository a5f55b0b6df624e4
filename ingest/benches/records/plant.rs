//! Rows of a plant's polls, as ICSNPP's parsers write them: a request and its answer, over and over, of seventy connections.

use super::Workload;

type Row = fn(u64) -> String;

/// Name, the log's own, its columns, its rows.
const LOGS: [(&str, &str, &str, Row); 3] = [
    (
        "zeek/s7comm",
        "s7comm",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p is_orig source_h source_p destination_h destination_p rosctr_code rosctr_name pdu_reference function_code function_name subfunction_code subfunction_name error_class error_code",
        s7comm,
    ),
    (
        "zeek/cip",
        "cip",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p is_orig source_h source_p destination_h destination_p cip_sequence_count direction cip_service_code cip_service cip_status_code cip_status cip_extended_status_code cip_extended_status class_id class_name instance_id attribute_id",
        cip,
    ),
    (
        "zeek/modbus_detailed",
        "modbus_detailed",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p tid unit func address quantity request_values response_values modbus_detailed_link_id matched request_subfunction_code response_subfunction_code request_data response_data exception_code mei_type",
        modbus,
    ),
];

/// So many rows of each log whose name has `wanted` in it.
pub fn workloads(count: u64, wanted: &str) -> impl Iterator<Item = Workload> {
    LOGS.into_iter().filter(move |(name, ..)| name.contains(wanted)).map(move |(name, path, fields, row)| {
        let fields = fields.replace(' ', "\t");
        let header =
            [r"#separator \x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", &format!("#path\t{path}"), &format!("#fields\t{fields}")];
        Workload {
            name,
            file_name: "",
            header: header.map(|line| line.as_bytes().to_vec()).to_vec(),
            records: (0..count).map(|n| row(n).into_bytes()).collect(),
        }
    })
}

/// The beginning of a row: when, and over which connection; from its client, or to it.
fn begin(poll: u64, answer: bool, port: u16, directed: bool) -> String {
    let (time, connection) = (1_789_689_610_775_706 + poll * 20_000 + u64::from(answer) * 13_002, poll * 7 % 70);
    let (client, server) = (format!("10.{}.5.1{}", 101 + connection % 3, connection % 7), format!("10.{}.15.{}", 101 + connection % 3, 10 + connection));
    let mut out = format!(
        "{}.{:06}\tC{connection}kUJE1B0mCFRk9{}\t{client}\t5{connection:04}\t{server}\t{port}",
        time / 1_000_000,
        time % 1_000_000,
        connection * 31 % 97
    );
    if directed {
        let sent = [format!("{client}\t5{connection:04}"), format!("{server}\t{port}")];
        let [from, to] = if answer { [&sent[1], &sent[0]] } else { [&sent[0], &sent[1]] };
        out.push_str(&format!("\t{}\t{from}\t{to}", if answer { 'F' } else { 'T' }));
    }
    out
}

fn s7comm(n: u64) -> String {
    let (poll, answer) = (n / 2, n % 2 == 1);
    let rest = if answer { "3\tACK-Data\t{n}\t0x04\tRead Variable\t-\t-\tNo error\t0x00" } else { "1\tJob-Request\t{n}\t0x04\tRead Variable\t-\t-\t-\t-" };
    format!("{}\t{}", begin(poll, answer, 102, true), rest.replace("{n}", &(poll % 65_536).to_string()))
}

fn cip(n: u64) -> String {
    let (poll, answer) = (n / 2, n % 2 == 1);
    let rest =
        if answer { "response\t0x4c\tRead Data\t0x00\tSuccess\t-\t-\t-\t-\t-\t-" } else { "request\t0x4c\tRead Data\t-\t-\t-\t-\t0x6b\tunknown\t0x01\t-" };
    format!("{}\t{}\t{rest}", begin(poll, answer, 44_818, true), poll % 65_536)
}

fn modbus(n: u64) -> String {
    format!("{}\t{}\t1\tREAD_HOLDING_REGISTERS\t1\t1\t-\t-\t-\tT\t-\t-\t-\t-\t-\t-", begin(n, false, 502, false), n % 65_536)
}
