//! The roles on a real Apache Kafka, beside Kafka's own measuring programs on the same broker in the same run: `ProducerPerformance` sending the same
//! log lines (lz4, acks=all), and `ConsumerPerformance` reading the same topic.
//!
//!     KEYTRAIL_KAFKA_LIB=DIR cargo bench --bench kafka
//!
//! With `KEYTRAIL_SPARK_PYTHON` naming a Python that has pyspark and `KEYTRAIL_SPARK_JARS` the folder of the jars that `spark_kafka_to_delta.py` names, Spark structured
//! streaming does Kafka → Delta too, without any detection.
//!
//! `KEYTRAIL_KAFKA_LIB` names the folder of Kafka's jars; `KEYTRAIL_BENCH_EVENTS` (default 500,000) sets the size. Processor seconds are those of the
//! whole process, its start included; the broker's own come on top, for everyone alike. `ConsumerPerformance` is run three times, and its median counts:
//! its own figure begins with its first fetch; so the second figure of a role is without what the same command takes when it finds nothing to do (start,
//! joining the group, reading the window of duplicates back), and the third is whole beside whole, each from when it is called to when it has ended.
//! Linux only (`/proc`).
//!
//! `KEYTRAIL_BENCH_PARTITIONS` (default 1): each has a detector on a thread of its own.
//!
//! `KEYTRAIL_BENCH_IDENTITIES` (say 1000000) measures instead how long `detect` takes from its start to the end of the log, with so many identities in its state.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs, reason = "a benchmark reads its size from the environment and ends on any failure")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/kafka/broker.rs"]
mod broker;
#[path = "../tests/estate.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod estate;

/// Clock ticks per second of `/proc/PID/stat`: 100 on every Linux that Rust supports.
const TICKS: f64 = 100.0;

/// Different payloads that Kafka's program sends.
const PAYLOADS: usize = 100_000;

struct Cost {
    wall: f64,
    processor: f64,
}

impl Cost {
    fn tell(&self, what: &str, events: f64, peer: Option<(&str, f64)>) {
        let rate = events / self.wall;
        let beside = peer.map_or_else(String::new, |(name, other)| format!("  {:.2} of {name}'s rate", rate / other));
        println!("{what:<24}{:8.2} s {rate:10.0} events/s {:7.2} CPU s per million{beside}", self.wall, self.processor / events * 1e6);
    }

    /// Without what an idle run takes.
    fn net(&self, idle: &Self) -> Self {
        Self { wall: self.wall - idle.wall, processor: self.processor - idle.processor }
    }
}

/// Processor seconds of a process and of its children, those that run and those that ended.
fn processor(id: u32) -> f64 {
    // Fields 14 to 17, counted after the program's name, which may hold blanks: own time and that of children waited for.
    let Some(fields) = std::fs::read_to_string(format!("/proc/{id}/stat")).ok().and_then(|text| text.rsplit_once(')').map(|(_, rest)| rest.to_owned())) else {
        return 0.0;
    };
    let own: f64 = fields.split_ascii_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS;
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    own + children.split_ascii_whitespace().filter_map(|child| child.parse().ok()).map(processor).sum::<f64>()
}

/// Runs to the end, and says what it took.
fn run(command: &mut Command) -> Cost {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut most = 0.0;
    loop {
        most = f64::max(most, processor(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?} ended with {status}");
            return Cost { wall: started.elapsed().as_secs_f64(), processor: most };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn java(lib: &str, class: &str, arguments: &[&str]) -> String {
    let output = Command::new("java")
        .args(["-Xmx512m", "-cp", &format!("{lib}/*"), "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", class])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How often the consumer of Kafka's own is run: runs of one broker lie a fifth apart.
const CONSUMED: usize = 3;

/// Records a second, from the last line that `ProducerPerformance` prints: `N records sent, R records/sec (…), …`.
fn produced(text: &str) -> f64 {
    let line = text.lines().rfind(|line| line.contains("records/sec")).unwrap();
    line.split("records/sec").next().unwrap().rsplit(',').next().unwrap().trim().parse().unwrap()
}

/// Records a second while fetching, from the table that `ConsumerPerformance` prints (column `fetch.nMsg.sec`).
fn consumed(text: &str) -> f64 {
    let mut lines = text.lines().filter(|line| line.contains(','));
    let column = lines.next().unwrap().split(',').position(|name| name.trim() == "fetch.nMsg.sec").unwrap();
    lines.next_back().unwrap().split(',').nth(column).unwrap().trim().parse().unwrap()
}

fn main() {
    let Ok(lib) = std::env::var("KEYTRAIL_KAFKA_LIB") else {
        println!("skipped: KEYTRAIL_KAFKA_LIB does not name the folder of Kafka's jars");
        return;
    };
    let events = std::env::var("KEYTRAIL_BENCH_EVENTS").ok().map_or(500_000, |text| text.parse().unwrap());
    let broker = broker::Broker::start(Path::new(&lib));
    let home = estate::Home::new();
    if let Ok(identities) = std::env::var("KEYTRAIL_BENCH_IDENTITIES") {
        return restart(&home, &format!("kafka://{}", broker.address), identities.parse().unwrap());
    }
    let lines = estate::cloudtrail_lines(events);
    let input = home.file("events.json", &lines);
    let (url, count) = (format!("kafka://{}", broker.address), events as f64);
    let keytrail = |arguments: &[&str]| {
        let mut command = home.command(&[&["--quiet", "--log", &url], arguments].concat());
        run(&mut command)
    };
    let partitions = std::env::var("KEYTRAIL_BENCH_PARTITIONS").unwrap_or_else(|_| "1".to_owned());
    keytrail(&["topics", "apply", "--partitions", &partitions]);
    println!("{events} CloudTrail records, {:.0} MiB; partitions: {partitions}", lines.len() as f64 / f64::from(1 << 20));

    java(&lib, "org.apache.kafka.tools.TopicCommand", &["--bootstrap-server", &broker.address, "--create", "--topic", "raw"]);
    // It holds all of its payloads in memory, and picks among them at random.
    let sample = lines.match_indices('\n').nth(PAYLOADS).map_or(lines.len(), |(at, _)| at);
    let sample = home.file("payloads.json", &lines[..sample]);
    let (payload, number, bootstrap) = (sample.to_str().unwrap(), events.to_string(), format!("bootstrap.servers={}", broker.address));
    let raw = java(
        &lib,
        "org.apache.kafka.tools.ProducerPerformance",
        &[
            "--topic",
            "raw",
            "--num-records",
            &number,
            "--payload-file",
            payload,
            "--throughput",
            "-1",
            "--producer-props",
            &bootstrap,
            "acks=all",
            "compression.type=lz4",
        ],
    );
    let produce = produced(&raw);
    println!("{:<24}{:10}   {produce:10.0} records/s", "ProducerPerformance", "");
    keytrail(&["ingest", "--format", "cloudtrail", input.to_str().unwrap()]).tell("keytrail ingest", count, Some(("ProducerPerformance", produce)));

    let mut runs: Vec<(f64, f64)> = (0..CONSUMED)
        .map(|_| {
            let started = Instant::now();
            let arguments = ["--bootstrap-server", &broker.address, "--topic", "keytrail.events", "--messages", &number, "--timeout", "60000"];
            let told = java(&lib, "org.apache.kafka.tools.ConsumerPerformance", &arguments);
            (consumed(&told), count / started.elapsed().as_secs_f64())
        })
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: Vec<String> = runs.iter().map(|(rate, _)| format!("{rate:.0}")).collect();
    let (consume, consume_whole) = runs[CONSUMED / 2];
    println!("{:<24}{:10}   {consume:10.0} records/s ({}); with its start {consume_whole:.0}", "ConsumerPerformance", "", all.join(", "));
    let role = |name: &str| {
        let (whole, idle) = (keytrail(&[name, "--drain"]), keytrail(&[name, "--drain"]));
        whole.tell(&format!("keytrail {name}"), count, Some(("ConsumerPerformance", consume)));
        whole.net(&idle).tell("  without its start", count, Some(("ConsumerPerformance", consume)));
        whole.tell("  both with their starts", count, Some(("ConsumerPerformance", consume_whole)));
        whole
    };
    role("detect");
    let store = role("store");
    match (std::env::var("KEYTRAIL_SPARK_PYTHON"), std::env::var("KEYTRAIL_SPARK_JARS")) {
        (Ok(python), Ok(jars)) => {
            let table = home.path().join("spark");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/spark_kafka_to_delta.py");
            let mut command = Command::new(&python);
            let folder = Path::new(&python).parent().unwrap().display().to_string();
            let path = std::env::var("PATH").unwrap_or_default();
            command.args([script, &broker.address, "raw", &jars]).arg(&table).env("SPARK_LOCAL_IP", "127.0.0.1").env("PATH", format!("{folder}:{path}"));
            let spark = run(&mut command);
            spark.tell("Spark, Kafka to Delta", count, None);
            println!("keytrail store takes {:.2} of Spark's processor time", store.processor / spark.processor);
        }
        _ => println!("skipped: Spark (KEYTRAIL_SPARK_PYTHON and KEYTRAIL_SPARK_JARS are not set)"),
    }
}

/// So many identities, each seen three times; then `detect` is started anew with a few events before it.
fn restart(home: &estate::Home, url: &str, identities: usize) {
    use std::fmt::Write as _;
    let keytrail = |arguments: &[&str]| run(&mut home.command(&[&["--quiet", "--log", url], arguments].concat()));
    let write = |name: &str, numbers: std::ops::Range<usize>, day: usize| {
        let mut text = String::with_capacity(numbers.len() * 200);
        for number in numbers {
            let (hour, minute, second) = (number / 3_600 % 24, number / 60 % 60, number % 60);
            writeln!(
                text,
                r#"{{"time":"2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}Z","identity":"app:svc-{number}","identity_kind":"service","activity":"use","outcome":"success","credential":"app:key/{number}","destination":"app:db-{}","protocol":"https","source_ip":"10.{}.{}.{}"}}"#,
                number % 50,
                number >> 16 & 255,
                number >> 8 & 255,
                number & 255
            )
            .unwrap();
        }
        home.file(name, text)
    };
    let bound = identities * 2;
    home.file("keytrail.toml", format!("[detect.ledger]\nidentities_max = {bound}\ncredentials_max = {bound}\n"));
    keytrail(&["topics", "apply"]);
    for day in 1..=3 {
        let path = write(&format!("day-{day}.json"), 0..identities, day);
        keytrail(&["ingest", "--strict", "--format", "keytrail", path.to_str().unwrap()]);
    }
    let filled = keytrail(&["detect", "--drain"]);
    filled.tell("detect, fresh", 3.0 * identities as f64, None);
    let folder = std::fs::read_dir(home.data().join("lake/_state/0")).unwrap();
    let bytes = folder.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).max().unwrap_or(0);
    println!("{identities} identities: the snapshot has {:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let path = write("day-4.json", 0..1_000, 4);
    keytrail(&["ingest", "--strict", "--format", "keytrail", path.to_str().unwrap()]);
    let started = Instant::now();
    let mut again = home.command(&["--log", url, "detect"]).env("KEYTRAIL_LOG_LEVEL", "info").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = std::io::BufReader::new(again.stderr.take().unwrap());
    let caught_up = std::io::BufRead::lines(said).map_while(Result::ok).find(|line| line.contains("at the end of the log"));
    println!("started anew, 1,000 events behind: caught up {:.2} s after its start ({})", started.elapsed().as_secs_f64(), caught_up.unwrap_or_default());
    again.kill().unwrap();
    again.wait().unwrap();
}
