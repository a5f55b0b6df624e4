//! Reads the real ICSNPP logs of the shared data folder, where it exists, and says what came of each, by log.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use keytrail_ingest::format::{Context, Disposition, Draft, guarded, zeek::Zeek};
use keytrail_ingest::redact::{Level, Redactor};
use keytrail_ingest::source::{Choice, Options, Reader};
use keytrail_schemas::{Event, Micros, Text};

fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/zeek/icsnpp");
    let found = path.is_dir();
    if !found {
        println!("skipped: {} does not exist", path.display());
    }
    found.then_some(path)
}

/// Every log below, by its path in the folder.
fn logs(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(&below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|end| end == "gz") {
                let packed = std::mem::take(&mut bytes);
                flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
            }
            found.insert(path.strip_prefix(folder).unwrap().display().to_string().trim_end_matches(".gz").to_owned(), bytes);
        }
    }
    found
}

#[derive(Default)]
struct Came {
    rows: usize,
    held: usize,
    control: usize,
    drafts: Vec<Draft>,
}

fn read(name: &str, bytes: &[u8]) -> Came {
    let context = Context {
        redactor: Redactor::new(&[7; 32]),
        level: Level::Safe,
        cluster: Text::from("lab"),
        depth_max: 64,
        file_name: name.rsplit('/').next().unwrap().to_owned(),
    };
    let mut parser = guarded(&Zeek, &context);
    let mut came = Came::default();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let is_row = !line.is_empty() && !line.starts_with(b"#");
        came.rows += usize::from(is_row);
        match parser.record(line, number, &mut came.drafts).unwrap_or_else(|reject| panic!("{name} line {number}: {reject}")) {
            Disposition::Held => came.held += 1,
            Disposition::Control => came.control += usize::from(is_row),
            _ => {}
        }
    }
    parser.finish(&mut came.drafts);
    came
}

fn acts(came: &Came) -> BTreeMap<String, usize> {
    let mut acts = BTreeMap::new();
    for Draft { event, .. } in &came.drafts {
        *acts.entry(format!("{} {}", event.action.as_deref().unwrap(), event.outcome.as_str())).or_default() += 1;
    }
    acts
}

#[test]
fn every_log_is_read_or_rightly_passed_over() {
    let Some(folder) = folder() else { return };
    let all: BTreeMap<String, Came> = logs(&folder).into_iter().map(|(name, bytes)| (name.clone(), read(&name, &bytes))).collect();
    println!("{:<72} {:>6} {:>6} {:>7} {:>6}", "log", "rows", "events", "waited", "passed");
    let (mut rows, mut events) = (0, 0);
    for (name, came) in &all {
        println!("{name:<72} {:>6} {:>6} {:>7} {:>6}", came.rows, came.drafts.len(), came.held, came.control);
        rows += came.rows;
        events += came.drafts.len();
        for Draft { event, .. } in &came.drafts {
            assert!(!event.identity.is_empty() && event.destination.is_some() && event.protocol.is_some() && event.raw.is_some(), "{name}: {event:?}");
        }
    }
    println!("{rows} rows, {events} events");
    let one = |name: &str| acts(&all[name]);
    let told = |name: &str, expected: &[(&str, usize)]| {
        let found = one(name);
        let expected: BTreeMap<String, usize> = expected.iter().map(|(act, count)| ((*act).to_owned(), *count)).collect();
        assert_eq!(found, expected, "{name}");
    };
    told(
        "bacnet/services/bacnet_device_control.log",
        &[
            ("bacnet.device_communication_control.disable denied", 1),
            ("bacnet.device_communication_control.disable success", 1),
            ("bacnet.device_communication_control.enable denied", 1),
            ("bacnet.device_communication_control.enable success", 1),
            ("bacnet.reinitialize_device.coldstart denied", 1),
            ("bacnet.reinitialize_device.coldstart success", 1),
            ("bacnet.reinitialize_device.warmstart denied", 1),
            ("bacnet.reinitialize_device.warmstart success", 1),
        ],
    );
    let bacnet = one("bacnet/services/bacnet.log");
    assert_eq!((bacnet["bacnet.write_property success"], bacnet["bacnet.atomic_write_file success"]), (9, 63));
    assert_eq!((bacnet["bacnet.read_property success"], bacnet["bacnet.read_property failure"]), (3_263, 2));
    told(
        "s7comm/snap7/s7comm.log",
        &[
            ("s7comm.block_functions.get_block_info failure", 1),
            ("s7comm.block_functions.list_blocks success", 1),
            ("s7comm.plc_control.garb success", 1),
            ("s7comm.plc_control.modu success", 1),
            ("s7comm.plc_control.p_program success", 1),
            ("s7comm.plc_stop success", 1),
            ("s7comm.read_variable success", 2),
            ("s7comm.setup_communication success", 1),
            ("s7comm.time_functions.read_clock success", 1),
            ("s7comm.time_functions.set_clock success", 1),
            ("s7comm.write_variable success", 2),
        ],
    );
    let transfer = one("s7comm/snap7/s7comm_upload_download.log");
    assert_eq!((transfer["s7comm.start_upload success"], transfer["s7comm.start_upload unknown"]), (4, 1));
    let plus = one("s7comm/s7comm_plus/s7comm_plus.log");
    assert_eq!((plus["s7comm_plus.set_multi_variables success"], plus["s7comm_plus.set_variable unknown"]), (2, 26));
    assert_eq!(one("s7comm/s7comm_plus/s7comm.log")["s7comm.write_variable success"], 8);
    let cip = one("enip/basic/cip.log");
    assert_eq!((cip["cip.set_attribute_list success"], cip["cip.get_attribute_list success"]), (1, 532));
    told("enip/set_attr_single_service/cip.log", &[("cip.set_attributes_single unknown", 1)]);
    let dnp3 = one("dnp3/basic/dnp3_control.log");
    let of = |act: &str| dnp3.iter().filter(|(name, _)| name.starts_with(act)).map(|(_, count)| count).sum::<usize>();
    assert_eq!((of("dnp3_control.operate.trip"), of("dnp3_control.operate.close"), of("dnp3_control.select")), (63, 70, 134));
    let modbus = one("modbus/basic/modbus_detailed.log");
    for act in ["WRITE_SINGLE_COIL", "WRITE_SINGLE_REGISTER", "WRITE_MULTIPLE_COILS", "WRITE_MULTIPLE_REGISTERS", "WRITE_FILE_RECORD"] {
        assert_eq!(modbus[&format!("modbus.{act} success")], 1);
    }
    assert_eq!((modbus["modbus.REPORT_SLAVE_ID success"], modbus["modbus.READ_HOLDING_REGISTERS failure"]), (1, 1));
    let device = &all["enip/basic/cip_identity.log"].drafts[0].event;
    assert_eq!(device.destination.as_deref(), Some("cip:10.1.1.164"));
    assert!(device.user_agent.as_deref().unwrap().contains("Rockwell Automation/Allen-Bradley 1756-ENBT/A 4.3 serial 0x00524d8e"));
}

fn options() -> Options {
    let mut options = Options::new("plant", Choice::Auto, Redactor::new(&[7; 32]), || Micros(0));
    options.cluster = "lab".into();
    options
}

fn events(folder: &Path) -> Vec<Event> {
    Reader::open(&[folder.display().to_string()], options()).unwrap().flat_map(|batch| batch.events).map(|event| *event).collect()
}

#[test]
fn services_of_a_session_are_the_users_that_activated_it() {
    let Some(folder) = folder() else { return };
    for folder in ["opcua/basic", "opcua/no-handshake"].map(|name| folder.join(name)) {
        let events = events(&folder);
        let who = |action: &str| -> Vec<&str> {
            events.iter().filter(|event| event.action.as_deref() == Some(action)).map(|event| event.identity.as_str()).collect()
        };
        for action in
            ["opcua.Read", "opcua.Browse", "opcua.CreateSubscription", "opcua.CreateMonitoredItems", "opcua.Call", "opcua.AddNodes", "opcua.CloseSession"]
        {
            assert!(!who(action).is_empty() && who(action).iter().all(|who| *who == "opcua:::1:user/user1"), "{action}: {:?}", who(action));
        }
        // Two writes, and the server's refusal of each.
        let writes: Vec<_> = events
            .iter()
            .filter(|event| event.action.as_deref() == Some("opcua.Write"))
            .map(|event| (event.outcome.as_str(), event.reason.as_deref()))
            .collect();
        assert_eq!(writes.iter().filter(|(outcome, _)| *outcome == "success").count(), 2, "{writes:?}");
        assert_eq!(writes.iter().filter(|(_, reason)| *reason == Some("BadNodeIdUnknown")).count(), 2, "{writes:?}");
        assert!(who("opcua.Write").iter().all(|who| *who == "opcua:::1:user/user1"));
    }
}

/// BACnet's and OPC UA's passwords stand in clear in the files.
#[test]
fn no_password_is_written() {
    let Some(folder) = folder() else { return };
    let clear = logs(&folder).values().any(|bytes| memchr::memmem::find(bytes, b"filister").is_some());
    assert!(clear, "the files have them");
    let events = events(&folder);
    assert!(events.len() > 4_000, "{}", events.len());
    for event in events {
        let all = format!("{event:?}");
        assert!(!all.contains("filister") && !all.contains("ethereal"), "{all}");
        let raw = event.raw.as_deref().unwrap_or_default();
        assert!(!raw.split('\t').any(|cell| cell == "password"), "the OPC UA user's password: {raw}");
        assert!(!all.contains("39121615-46f3"), "the session's token: {all}");
    }
}
