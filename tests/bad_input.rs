//! What is broken ends in a dead letter or a clear error that names file, position and reason; the rest is stored; nothing panics.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::estate::{Home, Totals, cloudtrail_lines, stderr};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn dead_letters(home: &Home) -> Vec<Value> {
    home.rows(&["dead-letters", "list"])
}

/// Ten good records around what is broken: ten are stored, one dead letter says why.
fn one_dead_letter(name: &str, broken: &[u8], reason: &str) -> Value {
    let home = Home::new();
    let good = cloudtrail_lines(10);
    let (head, tail) = good.split_at(good.match_indices('\n').nth(4).unwrap().0 + 1);
    let path = home.file(name, [head.as_bytes(), broken, b"\n", tail.as_bytes()].concat());
    let totals = home.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    assert_eq!(totals, Totals { read: 11, stored: 10, duplicate: 0, dead_lettered: 1 }, "{name}");
    let letters = dead_letters(&home);
    assert_eq!(letters.len(), 1, "{name}");
    assert_eq!(letters[0]["reason"], reason, "{name}: {}", letters[0]);
    assert!(letters[0]["path"].as_str().unwrap().ends_with(name), "{}", letters[0]);
    assert_eq!(letters[0]["line"], 6, "{name}: {}", letters[0]);
    letters[0].clone()
}

#[test]
fn a_broken_line_is_one_dead_letter_with_its_place_and_reason() {
    one_dead_letter("not-json.log", b"{\"eventTime\": nope}", "malformed");
    one_dead_letter("cut-short.log", b"{\"eventTime\": ", "truncated");
    one_dead_letter("not-utf8.log", b"{\"eventName\": \"\xff\xfe\", \"eventTime\": \"2026-03-01T00:00:00Z\"}", "not_utf8");
    let no_time = one_dead_letter("no-time.log", br#"{"eventVersion":"1.09","eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":{"type":"IAMUser","userName":"a","accountId":"1"},"eventID":"x"}"#, "no_time");
    assert_eq!(no_time["field"], "eventTime");
    one_dead_letter("year-30000.log", br#"{"eventVersion":"1.09","eventTime":"30000-01-01T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":{"type":"IAMUser","userName":"a","accountId":"1"},"eventID":"x"}"#, "no_time");
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    one_dead_letter("deep.log", &[br#"{"eventTime":"2026-03-01T00:00:00Z","x":"#.as_slice(), &deep, b"}"].concat(), "too_deep");
}

/// What was read is stored, was stored before, or is a dead letter: nothing else can become of it.
#[test]
fn read_is_stored_plus_duplicate_plus_dead_lettered() {
    let home = Home::new();
    let lines = cloudtrail_lines(600);
    // Five files of 200 records, each of which half overlaps the next, and a broken line of its own at the end of each.
    let starts: Vec<usize> = std::iter::once(0).chain(lines.match_indices('\n').map(|(at, _)| at + 1)).collect();
    for file in 0..5 {
        home.file(&format!("in/{file}.json"), format!("{}broken{file}\n", &lines[starts[file * 100]..starts[file * 100 + 200]]));
    }
    let folder = home.path().join("in");
    let first = home.ingest(&[folder.to_str().unwrap()]);
    assert_eq!(first.read, first.stored + first.duplicate + first.dead_lettered);
    // A record that makes a credential is two events.
    assert!(first.stored >= 600 && first.duplicate >= 400 && first.dead_lettered == 5, "{first:?}");
    let again = home.ingest(&[folder.to_str().unwrap()]);
    assert_eq!(again, Totals { read: first.read, stored: 0, duplicate: first.stored + first.duplicate, dead_lettered: 5 });
    assert_eq!(dead_letters(&home).len(), 5, "a dead letter that is delivered again is the one that is there");
}

#[test]
fn a_line_of_200_megabytes_is_one_dead_letter() {
    let letter = one_dead_letter("long.log", &[b"{\"x\":\"".as_slice(), &vec![b'a'; 200 << 20], b"\"}"].concat(), "too_long");
    assert!(letter["raw_bytes"].as_i64().unwrap() > 200 << 20);
    assert!(letter["raw"].as_str().unwrap().len() < 1 << 20);
}

#[test]
fn a_truncated_gzip_gives_what_it_holds_and_says_that_it_broke() {
    let home = Home::new();
    let whole = gzip(cloudtrail_lines(2_000).as_bytes());
    let path = home.file("cut.log.gz", &whole[..whole.len() / 2]);
    let totals = home.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    assert!(totals.stored > 100 && totals.dead_lettered == 1 && totals.read == totals.stored + 1, "{totals:?}");
    let letter = &dead_letters(&home)[0];
    assert_eq!(letter["reason"], "truncated");
    assert!(letter["path"].as_str().unwrap().ends_with("cut.log.gz"));
}

#[test]
fn a_zip_bomb_ends_at_the_bound_and_the_other_files_are_read() {
    let home = Home::new();
    home.file("in/a.log.gz", gzip(cloudtrail_lines(10).as_bytes()));
    home.file("in/bomb.gz", gzip(&vec![b' '; 300 << 20]));
    home.file("keytrail.toml", "[ingest]\nexpanded_bytes_max = 104857600\n");
    let totals = home.ingest(&["--format", "cloudtrail", "in"]);
    assert_eq!((totals.stored, totals.dead_lettered), (10, 1), "{totals:?}");
    assert_eq!(dead_letters(&home)[0]["reason"], "expansion");
}

#[test]
fn a_file_of_another_kind_is_named_and_the_rest_is_read() {
    let home = Home::new();
    home.file("in/a.json", cloudtrail_lines(10));
    home.file("in/b.png", [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 4_096]].concat());
    home.file("in/c.txt", "Dear diary,\ntoday I wrote no log.\n");
    let totals = home.ingest(&["in"]);
    assert_eq!(totals.stored, 10, "{totals:?}");
    let letters = dead_letters(&home);
    for name in ["b.png", "c.txt"] {
        assert!(letters.iter().any(|letter| letter["path"].as_str().unwrap().ends_with(name)), "{name}: {letters:?}");
    }
    let strict = home.run(&["ingest", "--strict", "in"]);
    assert_eq!(strict.status.code(), Some(3), "{}", stderr(&strict));
}

#[test]
fn what_cannot_be_done_is_said_with_its_exit_code() {
    let home = Home::new();
    let missing = home.run(&["ingest", "nowhere.log"]);
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("nowhere.log"), "{}", stderr(&missing));
    let path = home.file("a.log", cloudtrail_lines(3));
    let format = home.run(&["ingest", "--format", "cloudtrial", path.to_str().unwrap()]);
    assert_eq!(format.status.code(), Some(2));
    assert!(stderr(&format).contains("cloudtrail"), "{}", stderr(&format));
    home.ingest(&[path.to_str().unwrap()]);
    let unknown = home.run(&["touched", "nobody-at-all"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
    let write = home.run(&["sql", "drop table events"]);
    assert_eq!(write.status.code(), Some(2), "{}", stderr(&write));
}

#[test]
fn a_data_folder_that_is_a_file_is_out_of_reach() {
    let home = Home::new();
    home.file("data", "not a folder");
    let path = home.file("a.log", cloudtrail_lines(3));
    let output = home.run(&["ingest", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("data"), "{}", stderr(&output));
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let long = home.file("long.log", cloudtrail_lines(60_000));
    let short = home.file("short.log", cloudtrail_lines(10));
    let mut first = home.spawn(&["ingest", long.to_str().unwrap()]);
    while !home.data().join("log").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    let second = home.run(&["ingest", short.to_str().unwrap()]);
    if first.try_wait().unwrap().is_none() {
        assert_eq!(second.status.code(), Some(4), "{}", stderr(&second));
        assert!(stderr(&second).contains("in use"), "{}", stderr(&second));
    }
    assert!(first.wait().unwrap().success());
    assert!(home.ingest(&[short.to_str().unwrap()]).read == 10);
}

/// A small file system of its own, where the machine lets us mount one.
struct Mount(std::path::PathBuf);

impl Mount {
    fn of_mebibytes(path: std::path::PathBuf, size: u32) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}m"), "keytrail-test"]).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let home = Home::new();
    let Some(mount) = Mount::of_mebibytes(home.path().join("small"), 20) else {
        println!("skipped: this user cannot mount a small file system, so no disk could be filled");
        return;
    };
    let lines = cloudtrail_lines(150_000);
    let path = home.file("big.log", &lines);
    let data = mount.0.join("data");
    let full = home.command_in(&data, &["ingest", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(full.status.code(), Some(4), "{}", stderr(&full));
    assert!(!stderr(&full).contains("panicked"), "{}", stderr(&full));
    let grown = std::process::Command::new("mount").args(["-o", "remount,size=2g"]).arg(&mount.0).status().unwrap();
    assert!(grown.success());
    let again = home.command_in(&data, &["ingest", path.to_str().unwrap()]).output().unwrap();
    assert!(again.status.success(), "{}", stderr(&again));
    let totals = Totals::of(&crate::estate::rows(&again));
    assert_eq!(totals.read, totals.stored + totals.duplicate);
    let counted = home.command_in(&data, &["sql", "select count(*) as n, count(distinct event_id) as ids from events"]).output().unwrap();
    let counted = &crate::estate::rows(&counted)[0];
    assert_eq!(counted["n"], totals.read);
    assert_eq!(counted["ids"], totals.read);
}

#[test]
fn doors_on_brokers_that_are_out_of_reach_answer_from_the_lake_and_close_in_time() {
    let home = Home::new();
    let path = home.file("events.log", cloudtrail_lines(200));
    home.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    let [nobody, port] = [crate::estate::free_port(), crate::estate::free_port()];
    let (log, listen, url) = (format!("kafka://127.0.0.1:{nobody}"), format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let mut server = home.spawn(&["--log", &log, "serve", "--listen", &listen, "--no-auth"]);
    let wanted = home.rows(&["touched", "svc-3"]);
    let began = std::time::Instant::now();
    loop {
        let output = home.run(&["--server", &url, "touched", "svc-3"]);
        if output.status.success() {
            assert_eq!(crate::estate::rows(&output), wanted);
            break;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{}", stderr(&output));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // Whoever looks for brokers waits ten seconds for them; the doors do not wait for that.
    let told = std::process::Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(told.success());
    let closing = std::time::Instant::now();
    while server.try_wait().unwrap().is_none() {
        assert!(closing.elapsed() < std::time::Duration::from_secs(5), "the doors wait for brokers");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(server.wait().unwrap().success());
}
