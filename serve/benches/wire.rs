//! What a door costs: the same hot question inside the process, at the desk (who asks, bounds, the record, the coverage line), over HTTP and over the PostgreSQL
//! wire, in turns of one run. Both ends are on this machine, in this process.
//!
//!     keytrail demo --dir FOLDER
//!     KEYTRAIL_BENCH_DIR=FOLDER cargo bench -p keytrail-serve --bench wire
//!
//! `KEYTRAIL_BENCH_IDENTITY` (default `svc-deploy`; more with commas between) is asked about, `KEYTRAIL_BENCH_ROUNDS` (default 200) times. A lake of any size is what
//! `cargo bench -p keytrail-query --bench touched` leaves in its `KEYTRAIL_BENCH_LAKE=FOLDER/lake`. With `KEYTRAIL_BENCH_PYTHON` (a Python that has duckdb, chdb and deltalake) the
//! same is asked of these engines on the same files, in the same run; names must be whole then.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use keytrail_query::{Call, Session};
use keytrail_serve::access::{Access, Caller};
use keytrail_serve::record::Record;
use keytrail_serve::{Desk, Doors, Options, Visit};
use tokio::runtime::Runtime;

#[expect(clippy::disallowed_methods, reason = "a benchmark is told from outside what to measure")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn main() {
    let Some(dir) = setting("KEYTRAIL_BENCH_DIR") else {
        return eprintln!("SKIPPED: KEYTRAIL_BENCH_DIR names no data folder; `keytrail demo --dir FOLDER` makes one");
    };
    let identities = setting("KEYTRAIL_BENCH_IDENTITY").unwrap_or_else(|| "svc-deploy".to_owned());
    let rounds = setting("KEYTRAIL_BENCH_ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(200);
    let runtime = Runtime::new().unwrap();
    let lake = format!("{dir}/lake");
    let session = runtime.block_on(Session::open(&lake, keytrail_query::Options::default())).unwrap();
    let options = Options { listen: "127.0.0.1:0".to_owned(), postgres: "127.0.0.1:0".to_owned(), no_auth: true, ..Options::default() };
    let written = tempfile::tempdir().unwrap();
    let desk = Desk::new(session.clone(), Access::open(|| keytrail_schemas::Micros(0)), Record::of(written.path()), options);
    let doors = runtime.block_on(keytrail_serve::serve(&desk)).unwrap();
    let own: Vec<_> = identities.split(',').map(|identity| measured(&runtime, &session, &desk, &doors, identity, rounds)).collect();
    if let Some(python) = setting("KEYTRAIL_BENCH_PYTHON") {
        peers(&python, &lake, &own);
    }
    runtime.block_on(doors.close());
}

/// Asks each way in turns; gives the name, p50 over the wire in milliseconds, and the rows.
fn measured(runtime: &Runtime, session: &Session, desk: &Desk, doors: &Doors, identity: &str, rounds: usize) -> (String, f64, usize) {
    let (mut http, mut wire) = (Http::open(doors.http.unwrap(), identity), Wire::open(doors.postgres.unwrap(), identity));
    let call = Call::new("touched", [("identity", identity)]).unwrap();
    let visit = Visit { caller: Caller::trusted("bench"), door: "cli", from: None };

    let mut took: [(&str, Vec<Duration>); 4] = [("inside the process", vec![]), ("at the desk", vec![]), ("HTTP, NDJSON", vec![]), ("PostgreSQL wire", vec![])];
    let mut count = 0;
    for round in 0..rounds + 20 {
        let ways: [&mut dyn FnMut() -> usize; 4] =
            [&mut || inside(runtime, session, &call), &mut || at_the_desk(runtime, desk, &visit, &call), &mut || http.ask(), &mut || wire.ask()];
        let mut rows = Vec::new();
        for (way, (_, took)) in ways.into_iter().zip(&mut took) {
            let began = Instant::now();
            rows.push(way());
            if round >= 20 {
                took.push(began.elapsed());
            }
        }
        assert!(rows.windows(2).all(|pair| pair[0] == pair[1]) && rows[0] > 0, "the doors differ: {rows:?}");
        count = rows[0];
    }
    let share = |took: &mut Vec<Duration>, share: usize| {
        took.sort_unstable();
        took[(took.len() - 1) * share / 100]
    };
    let base = share(&mut took[0].1, 50);
    println!("touched({identity:?}), {count} rows, hot, {rounds} times each, in turns:");
    for (way, took) in &mut took {
        let (least, half, most) = (share(took, 0), share(took, 50), share(took, 99));
        println!("  {way:<20} least {:>7.2} ms   p50 {:>7.2} ms   p99 {:>7.2} ms   {:+.2} ms", ms(least), ms(half), ms(most), ms(half) - ms(base));
    }
    (identity.to_owned(), ms(share(&mut took[3].1, 50)), count)
}

/// The same of other engines on the same files.
fn peers(python: &str, lake: &str, own: &[(String, f64, usize)]) {
    let asked: Vec<_> =
        own.iter().map(|(name, ..)| serde_json::json!({ "label": name, "kind": "touched", "column": "identity", "value": name, "from": null })).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../query/benches/peers/touched.py");
    let mut child = Command::new(python).args([script, lake, "15"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(serde_json::Value::from(asked).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the peers' script failed");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{}", said["versions"]);
    for result in said["results"].as_array().unwrap() {
        let (label, took) = (result["label"].as_str().unwrap(), result["p50_ms"].as_f64().unwrap());
        let (_, wire_ms, rows) = own.iter().find(|(name, ..)| name == label).unwrap();
        let (engine, found) = (result["engine"].as_str().unwrap(), result["rows"].as_u64().unwrap());
        // The roll-up alone has nothing of a day that is still open.
        let less = if engine.contains("roll-up") && found < *rows as u64 { format!(", {found} rows: without the open day") } else { String::new() };
        assert!(found == *rows as u64 || !less.is_empty(), "{label}: {engine} has another answer, {found} rows and not {rows}");
        println!("  {label} {engine:<46} p50 {took:>8.2} ms   {:.1} times the PostgreSQL wire's{less}", took / wire_ms);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn inside(runtime: &Runtime, session: &Session, call: &Call) -> usize {
    let rows = runtime.block_on(async { session.call(call.clone()).await.unwrap().batches.try_collect::<Vec<_>>().await.unwrap() });
    rows.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

fn at_the_desk(runtime: &Runtime, desk: &Desk, visit: &Visit, call: &Call) -> usize {
    let rows = runtime.block_on(async { desk.call(visit, call.clone()).await.unwrap().batches.try_collect::<Vec<_>>().await.unwrap() });
    rows.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

/// A connection that stays open.
struct Http {
    stream: BufReader<TcpStream>,
    request: String,
}

impl Http {
    fn open(address: SocketAddr, identity: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET /v1/touched?format=ndjson&identity={identity} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Self { stream: BufReader::new(stream), request }
    }

    /// The rows of a chunked answer.
    fn ask(&mut self) -> usize {
        self.stream.get_mut().write_all(self.request.as_bytes()).unwrap();
        let mut line = String::new();
        let mut next = |stream: &mut BufReader<TcpStream>| {
            line.clear();
            stream.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        assert!(next(&mut self.stream).contains(" 200 "), "HTTP refuses");
        while !next(&mut self.stream).is_empty() {}
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&next(&mut self.stream), 16).unwrap();
            let from = body.len();
            body.resize(from + length, 0);
            self.stream.read_exact(&mut body[from..]).unwrap();
            next(&mut self.stream);
            if length == 0 {
                return body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")).count();
            }
        }
    }
}

/// A connection that speaks the simple protocol.
struct Wire {
    stream: BufReader<TcpStream>,
    query: Vec<u8>,
}

impl Wire {
    fn open(address: SocketAddr, identity: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let text = format!("SELECT * FROM touched('{identity}')\0");
        let mut wire = Self { stream: BufReader::new(stream), query: message(Some(b'Q'), text.as_bytes()) };
        wire.stream.get_mut().write_all(&message(None, b"\0\x03\0\0user\0bench\0database\0keytrail\0\0")).unwrap();
        wire.until_ready();
        wire
    }

    fn ask(&mut self) -> usize {
        let query = std::mem::take(&mut self.query);
        self.stream.get_mut().write_all(&query).unwrap();
        self.query = query;
        self.until_ready()
    }

    /// Reads until the server is ready for more; gives the rows that came.
    fn until_ready(&mut self) -> usize {
        let mut rows = 0;
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            self.stream.read_exact(&mut body).unwrap();
            match head[0] {
                b'D' => rows += 1,
                b'E' => panic!("{}", String::from_utf8_lossy(&body)),
                b'Z' => return rows,
                _ => {}
            }
        }
    }
}

/// A message with its length before it.
fn message(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend(body);
    message
}
