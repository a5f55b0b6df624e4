//! Whole, cut and hostile logs: lines come of what can be read, and a line that says so of what cannot.

use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::{DAMAGE_KEY, recast};

const ONE: &str = r#"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='P' Guid='{5}'/><EventID>4624</EventID><TimeCreated SystemTime='2026-11-22T12:00:00.123Z'/><Computer>DC1.example.org</Computer></System><EventData><Data Name='TargetUserName'>svc&amp;a &lt;&#x41;&gt;</Data><Data>x</Data><Data>y</Data><Data Name='Empty'/></EventData></Event>"#;

fn lines(bytes: &[u8]) -> Vec<serde_json::Value> {
    let head = bytes.get(..4096).unwrap_or(bytes).to_vec();
    let mut text = String::new();
    let Ok(mut stream) = recast(&head, Box::new(Cursor::new(bytes.to_vec()))) else { return Vec::new() };
    stream.read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn xml_of_every_writer_is_read() {
    let whole = format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Events>{ONE}\r\n{ONE}</Events>");
    for text in [whole, format!("{ONE}\r\n{ONE}\r\n"), format!("{ONE}{ONE}")] {
        let read = lines(text.as_bytes());
        assert_eq!(read.len(), 2, "{text}");
        let event = &read[1]["Event"];
        assert_eq!(event["System"]["EventID"], "4624");
        assert_eq!(event["System"]["TimeCreated"]["#attributes"]["SystemTime"], "2026-11-22T12:00:00.123Z");
        assert_eq!(event["EventData"]["TargetUserName"], "svc&a <A>");
        assert_eq!(event["EventData"]["Data"], serde_json::json!(["x", "y"]));
        assert_eq!(event["EventData"]["Empty"], "");
    }
}

#[test]
fn damaged_xml_costs_its_event_alone() {
    let broken = ONE.replace("</System>", "</Sys>");
    let entity = ONE.replace("&amp;", "&lol;");
    let deep = ONE.replace("<Computer>", &"<a>".repeat(100));
    let text = format!("{ONE}{broken}{entity}{deep}{ONE}{}", &ONE[..200]);
    let read = lines(text.as_bytes());
    let damaged: Vec<bool> = read.iter().map(|line| line.get(DAMAGE_KEY).is_some()).collect();
    assert_eq!(damaged, [false, true, true, true, false, true]);
    let endless = format!("{ONE}{}{ONE}", ONE.replace("</Event>", &"x".repeat(3 << 20)));
    let read = lines(endless.as_bytes());
    assert!(read.iter().any(|line| line.get(DAMAGE_KEY).is_some()) && read.len() >= 2);
}

#[test]
fn what_claims_to_be_an_event_log_is_no_end() {
    assert!(lines(b"ElfFile\0 and nothing more")[0].get(DAMAGE_KEY).is_some());
    let mut log = b"ElfFile\0".to_vec();
    log.resize(4096, 0xff);
    assert_eq!(lines(&log), Vec::<serde_json::Value>::new());
    log.extend_from_slice(&[0; 65_536]);
    log.extend_from_slice(b"ElfChnk\0");
    log.resize(4096 + 2 * 65_536, 0xff);
    log.extend_from_slice(b"ElfChnk\0 cut");
    let read = lines(&log);
    assert!(read.len() >= 2 && read.iter().all(|line| line.get(DAMAGE_KEY).is_some()), "{read:?}");
    assert!(lines(b"<html>").is_empty() && lines(b"{}").is_empty());
}

/// Real files of Windows, where they are, cut and changed in places: nothing panics, nothing grows without bound, every line is JSON.
#[test]
fn changed_event_logs_are_survived() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/windows_security/evtx-attacks");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 16).unwrap_or(0)
    };
    let mut whole = 0;
    for file in files.flatten() {
        let bytes = std::fs::read(file.path()).unwrap();
        whole += lines(&bytes).iter().filter(|line| line.get("Event").is_some()).count();
        for _ in 0..20 {
            let mut changed = bytes.clone();
            for _ in 0..1 + next() % 24 {
                let at = next() % changed.len();
                changed[at] = u8::try_from(next() % 256).unwrap_or(0);
            }
            changed.truncate(4_096 + next() % (bytes.len() - 4_096));
            lines(&changed);
        }
    }
    println!("{whole} events of whole files");
    assert!(whole > 0);
}

proptest! {
    #[test]
    fn no_xml_panics(text in "\\PC{0,200}", at in any::<prop::sample::Index>()) {
        let (head, tail) = ONE.split_at(ONE.floor_char_boundary(at.index(ONE.len())));
        lines(format!("{ONE}{head}{text}{tail}").as_bytes());
    }
}
