//! What the plant floor's logs become, by small logs of our own; the real ones are read by `tests/real_logs_plant.rs`.

use keytrail_schemas::Event;

use super::super::Zeek;
use crate::format::{Context, Disposition, Draft, guarded};
use crate::redact::Redactor;

const CONNECTION: &str = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tis_orig\tsource_h\tsource_p\tdestination_h\tdestination_p";
const ASKS: &str = "C1\t10.0.0.5\t50000\t10.0.0.9\t102\tT\t10.0.0.5\t50000\t10.0.0.9\t102";
const ANSWERS: &str = "C1\t10.0.0.5\t50000\t10.0.0.9\t102\tF\t10.0.0.9\t102\t10.0.0.5\t50000";

fn read(path: &str, columns: &str, rows: &[String]) -> (Vec<Draft>, Vec<Disposition>) {
    let context = Context {
        redactor: Redactor::new(&[7; 32]),
        level: crate::redact::Level::Safe,
        cluster: "lab".into(),
        depth_max: 16,
        file_name: format!("{path}.log"),
    };
    let mut parser = guarded(&Zeek, &context);
    let mut out = Vec::new();
    let header = format!("#separator \\x09\n#path\t{path}\n#fields\t{CONNECTION}\t{columns}");
    let mut answers = Vec::new();
    for (line, number) in header.lines().map(str::to_owned).chain(rows.iter().cloned()).zip(1..) {
        answers.push(parser.record(line.as_bytes(), number, &mut out).unwrap());
    }
    parser.finish(&mut out);
    (out, answers.split_off(3))
}

fn row(at: f64, side: &str, cells: &str) -> String {
    format!("{:.6}\t{side}\t{cells}", 1_772_323_200.0 + at)
}

fn told(drafts: &[Draft]) -> Vec<(String, &'static str, Option<String>, String)> {
    let one = |event: &Event| {
        (
            event.action.as_deref().unwrap_or_default().to_owned(),
            event.outcome.as_str(),
            event.reason.as_deref().map(str::to_owned),
            event.destination.as_deref().unwrap_or_default().to_owned(),
        )
    };
    drafts.iter().map(|draft| one(&draft.event)).collect()
}

const S7: &str = "rosctr_code\trosctr_name\tpdu_reference\tfunction_code\tfunction_name\tsubfunction_code\tsubfunction_name\terror_class\terror_code";

#[test]
fn a_request_and_its_answer_are_one_event() {
    let rows = [
        row(0.0, ASKS, "1\tJob-Request\t7\t0x29\tPLC Stop\t-\t-\t-\t-"),
        row(0.1, ASKS, "1\tJob-Request\t8\t0x28\tPLC Control\tP_PROGRAM\tPLC Start / Stop\t-\t-"),
        row(0.2, ANSWERS, "3\tACK-Data\t8\t0x28\tPLC Control\t-\t-\tAccess error\t0x04"),
        row(0.3, ANSWERS, "3\tACK-Data\t7\t0x29\tPLC Stop\t-\t-\tNo error\t0x00"),
        row(0.4, ASKS, "7\tUser-Data\t9\t0x47\tRequest: Time Functions\t0x02\tSet Clock\t-\t-"),
    ];
    let (drafts, answers) = read("s7comm", S7, &rows);
    let to = "s7comm:10.0.0.9".to_owned();
    assert_eq!(
        told(&drafts),
        [
            ("s7comm.plc_control.p_program".into(), "failure", Some("Access error".into()), to.clone()),
            ("s7comm.plc_stop".into(), "success", None, to.clone()),
            ("s7comm.time_functions.set_clock".into(), "unknown", None, to),
        ]
    );
    assert_eq!(answers, [Disposition::Held, Disposition::Held, Disposition::Yielded, Disposition::Yielded, Disposition::Held]);
    assert!(
        drafts.iter().all(|draft| draft.event.identity == "zeek:lab:host/10.0.0.5" && draft.event.raw.as_deref().is_some_and(|raw| raw.contains("10.0.0.9")))
    );
}

#[test]
fn mirrored_traffic_is_no_second_act() {
    let mut rows = Vec::new();
    for n in 0..3 {
        let at = f64::from(n);
        for copy in [0.0, 0.000_05] {
            rows.push(row(at + copy, ASKS, &format!("1\tJob-Request\t{n}\t0x05\tWrite Variable\t-\t-\t-\t-")));
        }
        for copy in [0.01, 0.010_05] {
            rows.push(row(at + copy, ANSWERS, &format!("3\tACK-Data\t{n}\t0x05\tWrite Variable\t-\t-\tNo error\t0x00")));
        }
    }
    assert_eq!(told(&read("s7comm", S7, &rows).0).len(), 3);
}

#[test]
fn unknown_functions_keep_their_code() {
    let columns = "cip_sequence_count\tdirection\tcip_service_code\tcip_service\tcip_status_code\tcip_status\tcip_extended_status_code\tcip_extended_status\tclass_id\tclass_name\tinstance_id\tattribute_id";
    let rows = [
        row(0.0, ASKS, "5\trequest\t0x4f\tunknown\t-\t-\t-\t-\t0x68\tunknown\t0x01\t-"),
        row(0.1, ANSWERS, "5\tresponse\t0x4f\tunknown\t0x0f\tPrivilege Violation\t-\t-\t-\t-\t-\t-"),
    ];
    assert_eq!(told(&read("cip", columns, &rows).0), [("cip.service_0x4f".into(), "denied", Some("Privilege Violation".into()), "cip:10.0.0.9".into())]);
}

#[test]
fn passwords_of_device_control_stand_nowhere() {
    let columns = "invoke_id\tpdu_service\ttime_duration\tdevice_state\tpassword\tresult\tresult_code";
    let rows = [
        row(0.0, ASKS, "1\tdevice_communication_control\t1\tdisable\thunter2-abc\t-\t-"),
        row(0.1, ANSWERS, "1\tdevice_communication_control\t-\t-\t-\tERROR\tpassword-failure"),
        row(0.2, ASKS, "2\treinitialize_device\t-\tcoldstart\t(empty)\t-\t-"),
        row(0.3, ANSWERS, "2\treinitialize_device\t-\t-\t-\tSUCCESS\t-"),
    ];
    let (drafts, _) = read("bacnet_device_control", columns, &rows);
    assert_eq!(
        told(&drafts),
        [
            ("bacnet.device_communication_control.disable".into(), "denied", Some("password-failure".into()), "bacnet:10.0.0.9".into()),
            ("bacnet.reinitialize_device.coldstart".into(), "success", None, "bacnet:10.0.0.9".into()),
        ]
    );
    assert!(!format!("{drafts:?}").contains("hunter2"));
    assert_eq!([&drafts[0], &drafts[1]].map(|draft| draft.event.auth_method.as_deref().unwrap().to_owned()), ["password", "none"]);
}

#[test]
fn rows_without_a_number_or_an_answer_are_acts_of_unknown_outcome() {
    let (drafts, _) = read(
        "s7comm_plus",
        "version\topcode\topcode_name\tfunction_code\tfunction_name",
        &[
            row(0.0, ANSWERS, "3\t0x33\tNotification\t-\t-"),
            row(0.1, ASKS, "3\t0x31\tRequest\t0x04f2\tSet Variable"),
            row(40.0, ASKS, "3\t0x31\tRequest\t0x04f2\tSet Variable"),
            row(40.1, ANSWERS, "3\t0x32\tResponse\t0x04f2\tSet Variable"),
        ],
    );
    let outcomes: Vec<_> = told(&drafts).into_iter().map(|(action, outcome, ..)| (action, outcome)).collect();
    // The answer goes to the oldest that waits; who waited longer than half a minute has left by the end of that row.
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|(action, _)| action == "s7comm_plus.set_variable"), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == "unknown").count(), 1, "{outcomes:?}");
}
