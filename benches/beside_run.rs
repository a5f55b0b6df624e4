//! Questions over the PostgreSQL wire while `keytrail run` reads, judges and stores as fast as it can, upkeep beside: the whole program, asked as its users
//! ask it. Every answer is held against a model of what was written.
//!
//!     cargo bench --bench beside_run
//!
//! `KEYTRAIL_BENCH_EVENTS` (default 3,000,000) events are in a file; the first third is read with nobody asking, then `KEYTRAIL_BENCH_CONNECTIONS` (default
//! 50) ask `KEYTRAIL_BENCH_RATE` (default 200) questions a second in all until all is stored. Questions are due at fixed times: one that waits for
//! another counts from when it was due. `KEYTRAIL_BENCH_DAY_EVENTS` says how many events are a day.
//!
//! What is checked: an answer holds exactly the first so many events of its identity, every row with its count, its failures, its first and its last
//! time, and none besides; and no fewer than were stored when it was asked for, as `/metrics` said.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs, reason = "a benchmark reads its size from the environment and ends on any failure")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use model::{IDENTITIES, check_model, destination, identity, is_failure, setting, time};
use wire::Wire;

#[path = "../serve/benches/model/mod.rs"]
mod model;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../serve/tests/doors/wire.rs"]
mod wire;

/// `keytrail run` over the file, with its doors open; ended with the benchmark.
struct Running {
    process: Child,
    metrics: SocketAddr,
    postgres: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    fn start(home: &Path, input: &Path) -> Self {
        let [metrics, postgres] = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let config = format!(
            "[[source]]\nname = \"bench\"\npaths = [{input:?}]\nformat = \"keytrail\"\n[metrics]\nlisten = \"{metrics}\"\n[serve]\nlisten = \"\"\npostgres = \"{postgres}\"\nno_auth = true\n[store]\nupkeep_interval_ms = 2000\n"
        );
        std::fs::write(home.join("keytrail.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
        command.current_dir(home).args(["--quiet", "--dir"]).arg(home.join("data")).arg("run").stdin(Stdio::null()).stdout(Stdio::null());
        Self { process: command.spawn().unwrap(), metrics, postgres }
    }

    /// Events in the lake, as the program counts them.
    fn stored(&mut self) -> usize {
        if let Some(status) = self.process.try_wait().unwrap() {
            panic!("keytrail ended with {status}");
        }
        let Ok(mut stream) = TcpStream::connect(self.metrics) else { return 0 };
        let mut text = String::new();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        if stream.read_to_string(&mut text).is_err() {
            return 0;
        }
        let of = |table: &str| {
            let named = format!("table=\"{table}\"");
            let line = text.lines().find(|line| line.starts_with("keytrail_store_committed") && line.contains(&named));
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
        };
        assert_eq!(of("dead_letters"), 0, "every line is an event");
        of("events")
    }

    /// Waits until so many are stored.
    fn until(&mut self, events: usize, seen: &AtomicUsize) {
        while seen.load(Ordering::Acquire) < events {
            std::thread::sleep(Duration::from_millis(20));
            seen.fetch_max(self.stored(), Ordering::AcqRel);
        }
    }
}

fn line(into: &mut String, number: usize) {
    let (who, id) = (number % IDENTITIES, number + 1);
    let outcome = if is_failure(number) { "denied" } else { "success" };
    let (at, name, target) = (time(number).to_rfc3339(), identity(who), destination(number));
    let _ = writeln!(
        into,
        r#"{{"event_id":"{id:032x}","time":"{at}","identity":"{name}","identity_kind":"workload","identity_provider":"bench","credential":"key-{who}","credential_kind":"api_token","activity":"use","destination":"{target}","action":"get","protocol":"https","outcome":"{outcome}"}}"#
    );
}

fn main() {
    let (events, connections, rate) =
        (setting("KEYTRAIL_BENCH_EVENTS", 3_000_000), setting("KEYTRAIL_BENCH_CONNECTIONS", 50), setting("KEYTRAIL_BENCH_RATE", 200));
    check_model();
    let home = tempfile::tempdir().unwrap();
    let input = home.path().join("bench.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&input).unwrap());
    let mut text = String::new();
    for number in 0..events {
        text.clear();
        line(&mut text, number);
        file.write_all(text.as_bytes()).unwrap();
    }
    file.into_inner().unwrap();

    let seen = AtomicUsize::new(0);
    let mut running = Running::start(home.path(), &input);
    running.until(1, &seen);
    let (first, began) = (seen.load(Ordering::Acquire), Instant::now());
    running.until(events / 3, &seen);
    let (third, alone) = (seen.load(Ordering::Acquire), began.elapsed());
    println!("nobody asking: {:.0} events/s", (third - first) as f64 / alone.as_secs_f64());

    let (over, began) = (AtomicBool::new(false), Instant::now());
    let every = Duration::from_secs_f64(connections as f64 / rate as f64);
    let postgres = running.postgres;
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..connections)
            .map(|number| {
                let (seen, over) = (&seen, &over);
                scope.spawn(move || ask(postgres, number, (seen, over), began + every.mul_f64(number as f64 / connections as f64), every))
            })
            .collect();
        running.until(events, &seen);
        let took = began.elapsed();
        println!("beside questions: {:.0} events/s", (events - third) as f64 / took.as_secs_f64());
        over.store(true, Ordering::Release);
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut took: Vec<Duration> = asked.iter().flat_map(|asked| asked.took.iter().copied()).collect();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 1_000].as_secs_f64() * 1e3;
    let count = took.len();
    println!(
        "{count} questions from {connections} connections in {seconds:.1} s: {:.0} a second (asked for: {rate}); p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}, longest {:.1}",
        count as f64 / seconds,
        at(500),
        at(990),
        at(999),
        at(1_000)
    );
    let wrong: Vec<&String> = asked.iter().flat_map(|asked| &asked.wrong).collect();
    wrong.iter().take(5).for_each(|what| println!("WRONG: {what}"));
    assert!(wrong.is_empty(), "{} of {count} answers are wrong", wrong.len());
    println!("every answer holds the first so many events of its identity, and what was stored when it was asked for");
}

#[derive(Default)]
struct Asked {
    took: Vec<Duration>,
    wrong: Vec<String>,
}

fn ask(address: SocketAddr, number: usize, (seen, over): (&AtomicUsize, &AtomicBool), first: Instant, every: Duration) -> Asked {
    let mut wire = Wire::open(address, &format!("bench-{number}"), "").unwrap();
    let mut asked = Asked::default();
    let (mut due, mut turn) = (first, number);
    while !over.load(Ordering::Acquire) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let who = turn % IDENTITIES;
        turn += 37;
        let least = seen.load(Ordering::Acquire);
        let answer = wire.ask(&format!("SELECT * FROM touched('{}')", identity(who)));
        asked.took.push(due.elapsed());
        if let Some((code, message)) = answer.error {
            asked.wrong.push(format!("{code}: {message}"));
        } else if let Err(what) = check(who, &answer.rows, least) {
            asked.wrong.push(what);
        }
        due += every;
    }
    asked
}

/// Holds an answer against the model; `least` events were stored when it was asked for.
fn check(who: usize, answer: &[Vec<Option<String>>], least: usize) -> Result<(), String> {
    let (events, rows) = model::read(answer).map_err(|what| format!("{who}: {what}"))?;
    if events < least / IDENTITIES {
        return Err(format!("{}: {events} events, and {} were stored", identity(who), least / IDENTITIES));
    }
    if model::model(who, events) != rows {
        return Err(format!("{}: {events} events in {} rows that are not its first {events}", identity(who), rows.len()));
    }
    Ok(())
}
