//! Many at once: as many connections as there may be on each door, and readers that take nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use keytrail_serve::Options;

use crate::house::{House, rows_of};
use crate::wire::Wire;

/// An answer that is larger than what sockets and buffers hold, and takes long to make.
const HEAVY: &str = "SELECT a.*, b.event_id AS other FROM events a CROSS JOIN events b";

/// Connections of a door: 1,000, or fewer where this process may not open the files for both ends of both doors.
fn most() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let files = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok()).unwrap_or(1_024);
    let most = (files.saturating_sub(300) / 4).min(1_000);
    if most < 1_000 {
        eprintln!("{most} connections a door instead of 1,000: this process may open {files} files");
    }
    most
}

/// One request on a connection that stays open; status and body.
fn get(stream: &mut BufReader<TcpStream>, path: &str) -> (u16, Vec<u8>) {
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut line = String::new();
    let mut next = |stream: &mut BufReader<TcpStream>| {
        line.clear();
        stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let status = next(stream).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = next(stream).to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        length = header.strip_prefix("content-length: ").and_then(|text| text.parse().ok()).unwrap_or(length);
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    while chunked || length > 0 {
        let piece = if chunked { usize::from_str_radix(&next(stream), 16).unwrap() } else { std::mem::take(&mut length) };
        let from = body.len();
        body.resize(from + piece, 0);
        stream.read_exact(&mut body[from..]).unwrap();
        if chunked {
            next(stream);
        }
        if piece == 0 {
            break;
        }
    }
    (status, body)
}

#[test]
fn a_thousand_connections_on_each_door_are_answered_and_one_more_waits_its_turn() {
    let most = most();
    let house = House::new(Options { no_auth: true, connections_max: most, ..Options::default() }, keytrail_query::Options::default());
    let mut wires: Vec<Wire> = (0..most).map(|number| Wire::open(house.postgres, &format!("user-{number}"), "").unwrap()).collect();
    let mut https: Vec<_> = (0..most).map(|_| BufReader::new(TcpStream::connect(house.http).unwrap())).collect();
    // Every one of them is open: each is answered.
    for stream in &mut https {
        assert_eq!(get(stream, "/health").0, 200);
    }
    for wire in &mut wires {
        assert_eq!(wire.ask("SELECT 1 AS one").rows.len(), 1);
    }
    let rows = rows_of("worker-03");
    for number in (0..most).step_by(most / 20) {
        let told = wires[number].ask("SELECT * FROM touched('worker-03')");
        assert!(told.error.is_none() && told.rows.len() == rows, "{told:?}");
        let (status, body) = get(&mut https[number], "/v1/touched?identity=worker-03&format=ndjson");
        assert_eq!((status, body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"")).count()), (200, rows));
    }

    // One more is let in once another has gone.
    for address in [house.postgres, house.http] {
        let mut late = TcpStream::connect(address).unwrap();
        late.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let hello: &[u8] = if address == house.http { b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" } else { b"\0\0\0\x10\0\x03\0\0user\0a\0\0" };
        late.write_all(hello).unwrap();
        assert!(late.read(&mut [0; 16]).is_err(), "there is no place, and no answer");
        if address == house.http {
            drop(https.pop())
        } else {
            drop(wires.pop())
        }
        late.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(late.read(&mut [0; 16]).unwrap() > 0, "there is a place");
    }
}

#[test]
fn readers_that_take_nothing_keep_nobody_waiting_and_are_given_up() {
    let options = Options { no_auth: true, statements_max: 12, per_user_max: 50, reader_ms_max: 2_000, ..Options::default() };
    let house = House::new(options, keytrail_query::Options::default());
    let mut slow_wires: Vec<Wire> = (0..5).map(|_| Wire::open(house.postgres, "slow", "").unwrap()).collect();
    slow_wires.iter_mut().for_each(|wire| wire.begin(HEAVY));
    let body = serde_json::json!({ "sql": HEAVY }).to_string();
    let mut slow_https: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(house.http).unwrap()).collect();
    for stream in &mut slow_https {
        write!(
            stream,
            "POST /v1/sql?format=ndjson HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    }
    // Findings that nobody reads: a listener that is behind misses some, and costs no more.
    let mut listeners: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(house.http).unwrap()).collect();
    for stream in &mut listeners {
        stream.write_all(b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    let rows = rows_of("worker-03");
    let (mut wire, mut http) = (Wire::open(house.postgres, "quick", "").unwrap(), BufReader::new(TcpStream::connect(house.http).unwrap()));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let told = wire.ask("SELECT * FROM touched('worker-03')");
        assert!(told.error.is_none() && told.rows.len() == rows, "{told:?}");
        assert_eq!(get(&mut http, "/v1/touched?identity=worker-03").0, 200);
    }
    let given_up = || house.record().into_iter().filter(|entry| entry["outcome"] == "stopped" && entry["text"] == HEAVY).count();
    let began = Instant::now();
    while given_up() < 10 {
        assert!(began.elapsed() < Duration::from_secs(60), "{} of 10 readers that take nothing were given up", given_up());
        std::thread::sleep(Duration::from_millis(200));
    }
    // Their places are free again, and half an answer does not look whole.
    let told = slow_wires.swap_remove(0).until_ready();
    assert!(told.error.is_some_and(|(code, message)| code == "57014" && message.contains("took nothing")), "{} rows", told.rows.len());
    let mut rest = Vec::new();
    let _ = slow_https.swap_remove(0).read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the transfer is broken off");
    assert!(wire.ask("SELECT count(*) FROM events").error.is_none());
}
