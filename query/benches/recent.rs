//! What a name costs that nobody asked about before, beside a writer whose commits are not compacted yet: processor time and time on the clock of
//! `touched`, over so many small files, and of following one commit more.
//!
//!     cargo bench -p keytrail-query --bench recent
//!
//! `KEYTRAIL_BENCH_FILES` (default `50,500`) says over how many files, `KEYTRAIL_BENCH_COMMIT` (default 20,000) how many events each has,
//! `KEYTRAIL_BENCH_NAMES` (default 200) how many names are asked about. Every answer is counted.

use std::time::{Duration, Instant};

use keytrail_lake::{Lake, Options as LakeOptions};
use keytrail_query::{Options, Question, Session};
use keytrail_schemas::{Event, EventId, IdentityKind, Micros, Outcome, Text, Topic};
use tokio::runtime::Runtime;

const IDENTITIES: usize = 400;
const DESTINATIONS: usize = 60;
/// 2026-01-01, in microseconds.
const START: i64 = 1_767_225_600_000_000;
/// Commits that are followed one by one.
const FOLLOWED: usize = 40;

#[expect(clippy::disallowed_methods, reason = "a benchmark is sized from outside")]
fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn main() {
    let commit: usize = setting("KEYTRAIL_BENCH_COMMIT", "20000").parse().unwrap();
    let names: usize = setting("KEYTRAIL_BENCH_NAMES", "200").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("{:>6} {:>24} {:>10} {:>10} {:>10} {:>10}", "files", "", "cpu, ms", "p50, ms", "p99, ms", "most, ms");
    for files in setting("KEYTRAIL_BENCH_FILES", "50,500").split(',').map(|text| text.parse::<usize>().unwrap()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let lake = runtime.block_on(Lake::open(path, LakeOptions::default())).unwrap();
        for number in 0..files {
            write(&runtime, &lake, number, commit);
        }
        let session = runtime.block_on(Session::open(path, Options::default())).unwrap();
        let first = Took::of(|| ask(&runtime, &session, 0, files * commit));
        first.print(files, "the first question");
        let each = (1..=names).map(|who| Took::of(|| ask(&runtime, &session, who, files * commit)));
        Took::all(each).print(files, "a name never asked about");
        let again = (1..=names).map(|who| Took::of(|| ask(&runtime, &session, who, files * commit)));
        Took::all(again).print(files, "the same names again");
        let follow = (0..FOLLOWED).map(|more| {
            write(&runtime, &lake, files + more, commit);
            Took::of(|| ask(&runtime, &session, names + 1 + more, (files + more + 1) * commit))
        });
        Took::all(follow).print(files, "after one commit more");
        let coverage = (0..FOLLOWED).map(|more| {
            write(&runtime, &lake, files + FOLLOWED + more, commit);
            Took::of(|| assert!(runtime.block_on(session.coverage_line(None, None)).unwrap().contains("source")))
        });
        Took::all(coverage).print(files, "its coverage line");
    }
}

/// Asks about one name, and counts the events of the answer.
fn ask(runtime: &Runtime, session: &Session, who: usize, events: usize) {
    use arrow::array::AsArray as _;
    let who = who % IDENTITIES;
    let question = Question::Touched { identity: identity(who), from: None, to: None };
    let answer = runtime.block_on(session.ask(&question)).unwrap();
    let counts = answer.iter().flat_map(|batch| batch.column_by_name("count").unwrap().as_primitive::<arrow::datatypes::Int64Type>().values().to_vec());
    assert_eq!(counts.sum::<i64>(), i64::try_from((events - who).div_ceil(IDENTITIES)).unwrap());
}

fn identity(who: usize) -> String {
    format!("bench:works:sa/worker-{who:04}")
}

fn write(runtime: &Runtime, lake: &Lake, number: usize, commit: usize) {
    let events: Vec<Event> = (number * commit..(number + 1) * commit).map(event).collect();
    let next = i64::try_from((number + 1) * commit).unwrap();
    runtime.block_on(lake.commit_events(&events, &[(Topic::Events, 0, next)])).unwrap();
}

/// All of one day.
fn event(number: usize) -> Event {
    let who = number % IDENTITIES;
    let time = Micros(START + i64::try_from(number).unwrap() * 1_000);
    Event {
        event_id: EventId::of_provider("bench", "", &number.to_string(), 0),
        time,
        ingested_at: Micros(time.0 + Micros::SECOND),
        identity: Text::from(identity(who)),
        identity_kind: IdentityKind::Workload,
        identity_provider: Text::from("bench"),
        credential: Some(Text::from(format!("key-{who}"))),
        destination: Some(Text::from(format!("bench:store/{:03}", (number / IDENTITIES * 7 + who) % DESTINATIONS))),
        action: Some(Text::from("get")),
        protocol: Some(Text::from("https")),
        outcome: Outcome::Success,
        source: Text::from("bench"),
        format: Text::from("keytrail"),
        log_offset: i64::try_from(number).unwrap(),
        ..Event::default()
    }
}

/// What something took: of the processor, by all threads, and on the clock.
#[derive(Default)]
struct Took {
    cpu: Duration,
    clock: Vec<Duration>,
}

impl Took {
    fn of(work: impl FnOnce()) -> Self {
        let (cpu, clock) = (processor(), Instant::now());
        work();
        let clock = clock.elapsed();
        Self { cpu: processor().saturating_sub(cpu), clock: vec![clock] }
    }

    fn all(each: impl Iterator<Item = Self>) -> Self {
        each.fold(Self::default(), |mut all, one| {
            all.cpu += one.cpu;
            all.clock.extend(one.clock);
            all
        })
    }

    fn print(mut self, files: usize, what: &str) {
        self.clock.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let at = |share: usize| ms(self.clock[(self.clock.len() - 1) * share / 100]);
        let cpu = ms(self.cpu) / self.clock.len() as f64;
        println!("{files:>6} {what:>24} {cpu:>10.2} {:>10.2} {:>10.2} {:>10.2}", at(50), at(99), at(100));
    }
}

/// Processor time of all threads that there are, as Linux counts it; none elsewhere.
fn processor() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    Duration::from_nanos(tasks.filter_map(of).sum())
}
