//! What goes wrong on Kafka, and what must hold after it: events in the lake = events acknowledged to sources, none twice; findings = those of
//! an undisturbed run over the same log.
//!
//! `KEYTRAIL_KAFKA_KILLS` (default 24) SIGKILLs over the roles, `KEYTRAIL_KAFKA_EVENTS` (default 30,000) records, `KEYTRAIL_KAFKA_OUTAGE_S`
//! (default 8) seconds that the broker is away, `KEYTRAIL_KAFKA_SEED` the seed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Random, Site, check, faulty, number};
use crate::estate::{Home, cloudtrail_lines};

const PATIENCE: Duration = Duration::from_secs(240);

/// The ids that a source gives, on an embedded log.
fn expected(lines: &str) -> Vec<String> {
    let home = Home::new();
    let path = home.file("events.log", lines);
    home.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    home.rows(&["sql", "select event_id from events"]).iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
}

/// Writes `key:value` lines into a topic, as any other program may.
fn produce(site: &Site, topic: &str, lines: &str) {
    let mut kcat = std::process::Command::new("kcat")
        .args(["-P", "-b", &site.broker.address, "-t", topic, "-K", ":"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("kcat runs: it is in Debian's package of that name");
    std::io::Write::write_all(&mut kcat.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    assert!(kcat.wait().unwrap().success());
}

/// After any fault.
fn holds(site: &Site, expected: &[String]) {
    site.drain();
    let stored = site.event_ids();
    assert_eq!(check(expected, &stored), Ok(()), "{} events of {}", stored.len(), expected.len());
    let (found, undisturbed) = (site.findings(), site.findings_undisturbed());
    assert!(!undisturbed.is_empty(), "the input must give findings");
    assert_eq!(found.len(), undisturbed.len(), "revisions of findings");
    assert_eq!(found, undisturbed, "findings");
}

#[test]
fn roles_killed_at_random_moments_lose_nothing_and_store_nothing_twice() {
    let Some(site) = Site::new("roles_killed_at_random_moments_lose_nothing_and_store_nothing_twice", 2) else { return };
    let (events, kills) = (number("KEYTRAIL_KAFKA_EVENTS", 30_000), number("KEYTRAIL_KAFKA_KILLS", 24));
    let mut random = Random(number("KEYTRAIL_KAFKA_SEED", 20_260_101) as u64 | 1);
    let lines = cloudtrail_lines(events);
    let expected = expected(&lines);
    let path = site.home.file("events.log", &lines);
    let sent = site.home.path().join("sent.ndjson");
    let settings = std::fs::read_to_string(site.home.path().join("keytrail.toml")).unwrap();
    site.home.file("keytrail.toml", format!("{settings}[[forward]]\ntarget = \"file:{}\"\nencoding = \"json\"\n", sent.display()));
    let ingest = ["ingest", "--format", "cloudtrail", path.to_str().unwrap()];
    // Who appends remembers what it wrote in a folder of its own.
    let roles: [(&str, &[&str]); 4] = [("a", &ingest), ("b", &["detect"]), ("b", &["store"]), ("b", &["forward"])];
    let mut running: Vec<_> = roles.iter().map(|(folder, role)| site.spawn_elsewhere(folder, role)).collect();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(50 + random.below(1_500)));
        let which = usize::try_from(random.below(roles.len() as u64)).unwrap();
        running[which].kill();
        running[which] = site.spawn_elsewhere(roles[which].0, roles[which].1);
    }
    running.clear();
    assert!(site.spawn_elsewhere("a", &ingest).wait(PATIENCE));
    holds(&site, &expected);
    assert!(site.spawn_elsewhere("b", &["forward", "--drain"]).wait(PATIENCE));
    // A target gets each revision of each finding at least once.
    let revisions = |rows: &[serde_json::Value]| rows.iter().map(|row| (row["finding_id"].to_string(), row["revision"].to_string())).collect::<BTreeSet<_>>();
    let text = std::fs::read_to_string(&sent).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert_eq!(revisions(&lines), revisions(&site.findings()), "what was forwarded");
    println!("forwarded {} lines for {} revisions", lines.len(), revisions(&lines).len());
    println!("{kills} kills over {} events", expected.len());
    // The checker sees what it is there for.
    let stored = site.event_ids();
    assert!(check(&expected, &stored[1..]).unwrap_err().contains("lost"));
    assert!(check(&expected, &[&stored[..], &stored[..1]].concat()).unwrap_err().contains("too often"));
}

/// Its ticks are the wall clock's, so that findings are not compared here.
#[test]
fn a_collector_killed_at_random_moments_appends_every_line_once() {
    let Some(site) = Site::new("a_collector_killed_at_random_moments_appends_every_line_once", 1) else { return };
    let kills = number("KEYTRAIL_KAFKA_KILLS", 24) / 2;
    let mut random = Random(number("KEYTRAIL_KAFKA_SEED", 20_260_101) as u64 | 1);
    let lines = cloudtrail_lines(number("KEYTRAIL_KAFKA_EVENTS", 30_000));
    let expected = expected(&lines);
    let settings = std::fs::read_to_string(site.home.path().join("keytrail.toml")).unwrap();
    let source = "[[source]]\nname = \"trail\"\nformat = \"cloudtrail\"\npaths = [\"logs\"]\npoll_interval_ms = 200\n";
    site.home.file("keytrail.toml", format!("{settings}{source}"));
    let path = site.home.file("logs/events.log", "");
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    let mut written = 0;
    for kill in 1..=kills {
        // The file grows, here and there in the middle of a line.
        let end = (kill * lines.len() / kills).max(written);
        std::io::Write::write_all(&mut file, &lines.as_bytes()[written..end]).unwrap();
        written = end;
        let mut collect = site.spawn(&["collect"]);
        std::thread::sleep(Duration::from_millis(100 + random.below(700)));
        collect.kill();
    }
    site.expect(&["collect", "--drain"]);
    site.drain();
    let stored = site.event_ids();
    assert_eq!(check(&expected, &stored), Ok(()), "{} events of {}", stored.len(), expected.len());
    println!("{kills} kills of a collector over {} events", expected.len());
}

#[test]
fn a_broker_that_is_stopped_killed_and_restarted_loses_nothing() {
    let Some(mut site) = Site::new("a_broker_that_is_stopped_killed_and_restarted_loses_nothing", 1) else { return };
    let outage = Duration::from_secs(number("KEYTRAIL_KAFKA_OUTAGE_S", 8) as u64);
    let lines = cloudtrail_lines(number("KEYTRAIL_KAFKA_EVENTS", 30_000));
    let expected = expected(&lines);
    let path = site.home.file("events.log", &lines);
    let mut ingest = site.spawn(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    let mut roles = [site.spawn(&["detect"]), site.spawn(&["store"])];
    std::thread::sleep(Duration::from_millis(700));
    site.broker.freeze();
    std::thread::sleep(outage);
    site.broker.thaw();
    std::thread::sleep(Duration::from_millis(500));
    site.broker.kill();
    std::thread::sleep(Duration::from_secs(1));
    site.broker.up();
    assert!(ingest.wait(PATIENCE), "ingest goes on where the broker is back");
    site.broker.stop();
    site.broker.up();
    assert!(roles.iter_mut().all(|role| !role.has_ended()), "detector and store wait for the broker");
    drop(roles);
    holds(&site, &expected);
}

#[test]
fn two_that_both_believe_to_own_a_partition_store_and_find_nothing_twice() {
    let Some(site) = Site::new("two_that_both_believe_to_own_a_partition_store_and_find_nothing_twice", 2) else { return };
    let lines = cloudtrail_lines(number("KEYTRAIL_KAFKA_EVENTS", 30_000));
    let expected = expected(&lines);
    let path = site.home.file("events.log", &lines);
    let mut ingest = site.spawn(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    let first = [site.spawn(&["detect"]), site.spawn(&["store"])];
    std::thread::sleep(Duration::from_secs(2));
    // Frozen beyond their session: the group gives their partitions to others, and then they wake and go on.
    first.iter().for_each(|role| role.signal("STOP"));
    let second = [site.spawn_elsewhere("b", &["detect"]), site.spawn_elsewhere("b", &["store"])];
    std::thread::sleep(Duration::from_secs(9));
    first.iter().for_each(|role| role.signal("CONT"));
    assert!(ingest.wait(PATIENCE));
    std::thread::sleep(Duration::from_secs(3));
    // A rebalance while they commit.
    let third = [site.spawn_elsewhere("c", &["detect"]), site.spawn_elsewhere("c", &["store"])];
    std::thread::sleep(Duration::from_secs(3));
    drop((first, second, third));
    holds(&site, &expected);
}

#[test]
fn a_topic_that_grows_a_poisoned_record_and_one_that_is_too_long() {
    let Some(site) = Site::new("a_topic_that_grows_a_poisoned_record_and_one_that_is_too_long", 1) else { return };
    let lines = cloudtrail_lines(20_000);
    let expected = expected(&lines);
    let half = lines[..lines.len() / 2].rfind('\n').unwrap() + 1;
    let ingest = |name: &str, text: &str| {
        let path = site.home.file(name, text);
        site.expect(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()])
    };
    let mut roles = [site.spawn(&["detect"]), site.spawn(&["store"])];
    ingest("first.log", &lines[..half]);
    produce(&site, "keytrail.events", "someone:\u{fffd} this is no record of keytrail\n");
    site.expect(&["topics", "apply", "--partitions", "3", "--grow"]);
    ingest("second.log", &lines[half..]);
    std::thread::sleep(Duration::from_secs(8));
    assert!(roles.iter_mut().all(|role| !role.has_ended()), "a poisoned record and a topic that grows end no role");
    drop(roles);
    site.drain();
    // The poisoned record was put among the dead letters by the store; a second drain stores it.
    site.drain();
    assert_eq!(check(&expected, &site.event_ids()), Ok(()));
    let letters = site.rows(&["dead-letters", "list"]);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0]["message"].as_str().unwrap().contains("keytrail.events"), "{}", letters[0]);

    // Longer than the brokers take.
    site.home.file("keytrail.toml", "[log]\nmessage_bytes_max = 20000\n");
    let long = format!(
        "{}\n",
        crate::estate::cloudtrail(
            1_900_000,
            "svc-long",
            "AKIALONG",
            "s3.amazonaws.com",
            "GetObject",
            serde_json::json!({ "bucketName": "b", "key": "k".repeat(100_000) })
        )
    );
    let ended = ingest("long.log", &long);
    let totals = crate::estate::Totals::of(&crate::estate::rows(&ended));
    assert_eq!((totals.stored, totals.dead_lettered), (0, 1), "a record that is too long is dead-lettered, not lost");
}

#[test]
fn an_object_store_that_fails_and_is_slow_costs_time_and_nothing_else() {
    const TEST: &str = "an_object_store_that_fails_and_is_slow_costs_time_and_nothing_else";
    let Some(site) = Site::new(TEST, 1) else { return };
    let Some(server) = crate::s3::sound(TEST) else { return };
    let lines = cloudtrail_lines(20_000);
    let expected = expected(&lines);
    let path = site.home.file("events.log", &lines);
    let configured = |port: u16| {
        let settings = std::fs::read_to_string(site.home.path().join("keytrail.toml")).unwrap();
        let (before, _) = settings.split_once("[store.s3]").unwrap_or((&settings, ""));
        let s3 = format!(
            "[store.s3]\naws_endpoint = \"http://127.0.0.1:{port}\"\naws_allow_http = \"true\"\naws_region = \"us-east-1\"\naws_access_key_id = \"test\"\naws_secret_access_key = \"test\"\n"
        );
        site.home.file("keytrail.toml", format!("{before}{s3}"));
    };
    let lake = ["--lake", "s3://lake/keytrail"];
    let faulty = faulty::start(server.port, 7);
    // Made while all is well: what is tried here is the work, not the start.
    configured(server.port);
    site.expect(&[&lake[..], &["store", "--drain"]].concat());
    site.expect(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    configured(faulty.port);
    let mut roles = [site.spawn(&[&lake[..], &["detect", "--drain"]].concat()), site.spawn(&[&lake[..], &["store", "--drain"]].concat())];
    let mut restarted = 0;
    for (role, name) in roles.iter_mut().zip(["detect", "store"]) {
        // A role that gives up is started again, as a supervisor does.
        while !role.wait(PATIENCE) {
            restarted += 1;
            assert!(restarted < 20, "{name} does not come through");
            *role = site.spawn(&[&lake[..], &[name, "--drain"]].concat());
        }
    }
    println!("{} connections, {} of them disturbed; {restarted} restarts", faulty.seen(), faulty.disturbed());
    assert!(faulty.disturbed() > 5, "the proxy must have disturbed something");
    configured(server.port);
    site.expect(&[&lake[..], &["detect", "--drain"]].concat());
    site.expect(&[&lake[..], &["store", "--drain"]].concat());
    let stored: Vec<String> =
        site.rows(&[&lake[..], &["sql", "select event_id from events"]].concat()).iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(check(&expected, &stored), Ok(()), "{} events of {}", stored.len(), expected.len());
    let found = site.rows(&[&lake[..], &["sql", super::FINDINGS]].concat());
    let undisturbed = Home::new();
    let path = undisturbed.file("events.log", &lines);
    undisturbed.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    assert_eq!(found, undisturbed.rows(&["sql", super::FINDINGS]), "findings");
}

/// Adds `KEYTRAIL_TEST_CLOCK_S` seconds to the wall clock of whatever loads it; time that is waited for stays as it is.
const SHIFTED_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
static long shift(void) { const char *s = getenv("KEYTRAIL_TEST_CLOCK_S"); return s ? atol(s) : 0; }
int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = (int)syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && clock == CLOCK_REALTIME) at->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return result;
}
int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until) {
    struct timespec real = *until;
    real.tv_sec -= shift();
    int result = pthread_cond_clockwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, CLOCK_REALTIME, &real);
    return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}
"#;

#[test]
#[cfg(target_os = "linux")]
fn processes_whose_clocks_differ_by_days_agree() {
    let Some(site) = Site::new("processes_whose_clocks_differ_by_days_agree", 1) else { return };
    let source = site.home.file("clock.c", SHIFTED_CLOCK);
    let clock = site.home.path().join("clock.so");
    let made = std::process::Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&clock).arg(&source).status().unwrap();
    assert!(made.success(), "cc makes a library");
    let lines = cloudtrail_lines(20_000);
    let expected = expected(&lines);
    let half = lines[..lines.len() / 2].rfind('\n').unwrap() + 1;
    let at = |days: i64, arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("LD_PRELOAD", &clock).env("KEYTRAIL_TEST_CLOCK_S", (days * 86_400).to_string());
        let output = crate::estate::finished(command);
        assert!(output.status.success(), "{arguments:?} at {days} days: {}", crate::estate::stderr(&output));
    };
    for (name, days, text) in [("first.log", 1, &lines[..half]), ("second.log", -1, &lines[half..])] {
        let path = site.home.file(name, text);
        at(days, &["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
        at(2, &["detect", "--drain"]);
        at(-2, &["store", "--drain"]);
    }
    // Each of them did run on its own clock.
    let read = site.rows(&["sql", "select distinct date_trunc('day', ingested_at) as day from events"]);
    assert_eq!(read.len(), 2, "{read:?}");
    holds(&site, &expected);
}

#[test]
fn a_full_disk_under_the_lake_is_waited_for() {
    let Some(site) = Site::new("a_full_disk_under_the_lake_is_waited_for", 1) else { return };
    let lake = site.lake();
    std::fs::create_dir_all(&lake).unwrap();
    let mount =
        |options: &str| std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&lake).status().is_ok_and(|s| s.success());
    if !mount("size=1m") {
        eprintln!("SKIPPED a_full_disk_under_the_lake_is_waited_for: this user may not mount a small file system");
        return;
    }
    let full = Mounted(lake.clone());
    let lines = cloudtrail_lines(20_000);
    let expected = expected(&lines);
    let path = site.home.file("events.log", &lines);
    site.expect(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    let mut store = site.spawn(&["store", "--drain"]);
    std::thread::sleep(Duration::from_secs(6));
    assert!(!store.has_ended(), "the store waits for room");
    assert!(mount("remount,size=200m"));
    assert!(store.wait(PATIENCE));
    holds(&site, &expected);
    drop(full);
}

/// Unmounted when the test ends.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
