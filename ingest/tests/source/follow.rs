//! Files that grow, are rotated and truncated, read again and again as `keytrail run` does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_ingest::format::auto;
use keytrail_ingest::source::{Choice, Follow, Options, Reader};
use keytrail_schemas::{DeadLetter, Event, Micros};
use proptest::prelude::*;

use crate::tiny::{JSON, LINES, Tiny, options, record};

/// Long after every file of a test was written, where a test asks for that.
const LATE: Micros = Micros(4_000_000_000_000_000);
const MINUTE: i64 = 60_000_000;

fn soon() -> Micros {
    let modified = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    Micros(i64::try_from(modified).unwrap())
}

fn late() -> Micros {
    LATE
}

/// A watched folder, and what has been read of it.
struct Watched {
    dir: tempfile::TempDir,
    journal: PathBuf,
    follow: Arc<Follow>,
    options: fn() -> Options,
    paths: Vec<String>,
    bytes_read: u64,
    lost: usize,
}

impl Watched {
    fn new(options: fn() -> Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("state").join("a.ndjson");
        let follow = Follow::open(&journal, MINUTE).unwrap();
        let paths = vec![dir.path().join("in").display().to_string()];
        std::fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir, journal, follow, options, paths, bytes_read: 0, lost: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        std::fs::OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What another look yields.
    fn look(&mut self) -> (Vec<Box<Event>>, Vec<DeadLetter>) {
        self.look_at(soon)
    }

    fn look_at(&mut self, clock: fn() -> Micros) -> (Vec<Box<Event>>, Vec<DeadLetter>) {
        let files = keytrail_ingest::source::files(&self.paths).unwrap_or_default();
        let look = self.follow.look(&files, clock());
        self.lost += look.lost.len();
        let mut options = (self.options)();
        options.clock = clock;
        options.follow = Some(Arc::clone(&self.follow));
        let mut reader = Reader::of_files(&look.changed, options).unwrap();
        let (mut events, mut letters) = (Vec::new(), Vec::new());
        for batch in reader.by_ref() {
            events.extend(batch.events);
            letters.extend(batch.dead_letters);
            self.follow.reached(batch.reached);
        }
        self.bytes_read = reader.progress().bytes_read.load(std::sync::atomic::Ordering::Relaxed);
        self.follow.read(&look.changed);
        self.follow.save().unwrap();
        (events, letters)
    }

    fn who(&mut self) -> Vec<String> {
        let (events, letters) = self.look();
        assert!(letters.is_empty(), "{letters:?}");
        events.iter().map(|event| event.identity.to_string()).collect()
    }

    /// As after a restart: what was in memory is gone.
    fn restart(&mut self) {
        self.follow = Follow::open(&self.journal, MINUTE).unwrap();
    }
}

fn lines() -> Options {
    options(&LINES)
}

fn json() -> Options {
    options(&JSON)
}

fn line(n: i64) -> String {
    format!("{}\n", record(n, &format!("w{n}")))
}

#[test]
fn a_torn_last_line_waits_until_it_ends() {
    for options in [lines as fn() -> Options, json] {
        let mut watched = Watched::new(options);
        let second = line(2);
        watched.append("a.log", &format!("{}{}", line(1), &second[..9]));
        assert_eq!(watched.who(), ["w1"]);
        assert!(watched.who().is_empty());
        watched.append("a.log", &second[9..]);
        assert_eq!(watched.who(), ["w2"]);
        watched.append("a.log", &line(3));
        watched.restart();
        assert_eq!(watched.who(), ["w3"]);
    }
}

#[test]
fn a_last_line_without_an_end_is_taken_when_the_file_is_finished() {
    let mut watched = Watched::new(lines);
    let last = record(2, "w2");
    watched.append("a.log", &format!("{}{last}", line(1)));
    assert_eq!(watched.who(), ["w1"]);
    assert_eq!(watched.follow.waiting().len(), 1);
    let (events, letters) = watched.look_at(late);
    assert_eq!((events.len(), letters.len(), events[0].identity.as_str()), (1, 0, "w2"));
    assert!(watched.follow.waiting().is_empty());
    assert!(watched.look_at(late).0.is_empty(), "once");
    // It went on after all: the line is read as it stands now, and nothing of it alone.
    watched.append("a.log", &format!("\n{}", line(3)));
    let (events, letters) = watched.look();
    assert!(letters.is_empty(), "{letters:?}");
    assert_eq!(events.last().unwrap().identity, "w3");
}

#[test]
fn only_what_is_new_is_read_also_after_a_restart() {
    let mut watched = Watched::new(json);
    let text: String = (0..60_000).map(line).collect();
    watched.append("a.log", &text);
    assert_eq!(watched.who().len(), 60_000);
    for n in 0..3 {
        watched.append("a.log", &line(100_000 + n));
        if n > 0 {
            watched.restart();
        }
        assert_eq!(watched.who(), [format!("w{}", 100_000 + n)]);
        assert!(watched.bytes_read < 200, "{} bytes were read, of {}", watched.bytes_read, text.len());
    }
    watched.restart();
    assert!(watched.who().is_empty());
    assert_eq!(watched.bytes_read, 0);
}

#[test]
fn a_rotated_file_is_read_on_under_its_new_name() {
    for restarts in [false, true] {
        for is_named in [false, true] {
            let mut watched = Watched::new(lines);
            if is_named {
                watched.paths = vec![watched.path("a.log").display().to_string()];
            }
            watched.append("a.log", &format!("{}{}", line(1), line(2)));
            assert_eq!(watched.who(), ["w1", "w2"]);
            // One more line comes before the rotation, and the new file begins as the old one did.
            watched.append("a.log", &line(3));
            std::fs::rename(watched.path("a.log"), watched.path("a.log.1")).unwrap();
            watched.append("a.log", &line(11));
            if restarts {
                watched.restart();
            }
            assert_eq!(watched.who(), ["w3", "w11"], "restarts {restarts}, named {is_named}");
            watched.append("a.log", &line(12));
            assert_eq!(watched.who(), ["w12"]);
            assert_eq!(watched.lost, 0);
        }
    }
}

#[test]
fn a_truncated_file_is_read_from_its_start() {
    let mut watched = Watched::new(lines);
    watched.append("a.log", &(0..100).map(line).collect::<String>());
    assert_eq!(watched.who().len(), 100);
    // Copied and truncated, as logrotate's copytruncate does; then it grows again, here beyond what it was.
    std::fs::copy(watched.path("a.log"), watched.path("a.log.1")).unwrap();
    std::fs::write(watched.path("a.log"), (200..400).map(line).collect::<String>()).unwrap();
    assert_eq!(watched.who(), (200..400).map(|n| format!("w{n}")).collect::<Vec<_>>());
    assert_eq!(watched.lost, 0);
    // Truncated without a copy: what stood behind the position cannot be known.
    std::fs::write(watched.path("a.log"), line(500)).unwrap();
    assert_eq!(watched.who(), ["w500"]);
    assert_eq!(watched.lost, 1);
}

#[test]
fn equal_lines_are_counted_across_looks_and_restarts() {
    let mut watched = Watched::new(lines);
    let mut ids = Vec::new();
    for n in 0..4 {
        watched.append("a.log", &line(1));
        if n == 2 {
            watched.restart();
        }
        ids.extend(watched.look().0.into_iter().map(|event| event.event_id));
    }
    assert_eq!(ids.len(), 4);
    let text = line(1).repeat(4);
    let whole = crate::tiny::read_bytes("a.log", text.as_bytes(), lines());
    assert_eq!(ids, whole.events.iter().map(|event| event.event_id).collect::<Vec<_>>());
}

fn vault() -> Options {
    Options { format: Choice::Named(auto::by_name("vault_audit").unwrap()), ..options(&LINES) }
}

#[test]
fn a_request_at_the_end_of_a_file_waits_for_its_response() {
    let fixture = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vault_audit/lifecycle.log")).unwrap();
    let whole = crate::tiny::read_bytes("audit.log", fixture.as_bytes(), vault());
    let mut expected: Vec<_> = whole.events.iter().map(|event| event.event_id).collect();
    expected.sort();
    for restarts in [false, true] {
        let mut watched = Watched::new(vault);
        let mut ids = Vec::new();
        for text in fixture.split_inclusive('\n') {
            watched.append("audit.log", text);
            if restarts {
                watched.restart();
            }
            ids.extend(watched.look().0.into_iter().map(|event| event.event_id));
        }
        ids.extend(watched.look_at(late).0.into_iter().map(|event| event.event_id));
        ids.sort();
        // After a restart a response may be read again, with the id that it had; the log drops it.
        ids.dedup();
        assert_eq!(ids, expected, "restarts {restarts}");
    }
}

#[test]
fn the_header_of_a_long_file_is_known_after_a_restart() {
    let mut watched = Watched::new(automatic);
    let header = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tmodbus\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tfunc\n#types\ttime\tstring\taddr\tport\taddr\tport\tstring\n";
    let row = |n: u32| format!("1381967744.{n:06}\tC{n}\t10.0.0.57\t2578\t10.0.0.3\t502\tREAD_COILS\n");
    watched.append("modbus.log", &format!("{header}{}", (0..40_000).map(row).collect::<String>()));
    assert_eq!(watched.look().0.len(), 40_000);
    watched.restart();
    watched.append("modbus.log", &row(50_000));
    let (events, letters) = watched.look();
    assert_eq!((events.len(), letters.len()), (1, 0), "{letters:?}");
    let whole = crate::tiny::read_bytes("modbus.log", format!("{header}{}", row(50_000)).as_bytes(), automatic());
    assert_eq!((events[0].event_id, &events[0].action), (whole.events[0].event_id, &whole.events[0].action));
}

fn automatic() -> Options {
    Options { format: Choice::Auto, ..options(&LINES) }
}

fn grown(format: &'static Tiny, pieces: &[String], restarts: &[bool]) -> Vec<String> {
    let mut watched = Watched::new(if format.0 == keytrail_ingest::format::Framing::Lines { lines } else { json });
    let mut ids = Vec::new();
    for (piece, restart) in pieces.iter().zip(restarts.iter().chain(std::iter::repeat(&false))) {
        watched.append("a.log", piece);
        if *restart {
            watched.restart();
        }
        ids.extend(watched.look().0.into_iter().map(|event| event.event_id.to_hex()));
    }
    ids.extend(watched.look_at(late).0.into_iter().map(|event| event.event_id.to_hex()));
    ids
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// However a file grows, and wherever it is left, it gives what it gives when it is read whole.
    #[test]
    fn a_file_that_grows_gives_what_it_gives_whole(
        times in prop::collection::vec(0_i64..6, 1..60), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        restarts in prop::collection::vec(any::<bool>(), 6), is_json in any::<bool>(), ends in any::<bool>(),
    ) {
        let format = if is_json { &JSON } else { &LINES };
        let mut text: String = times.iter().map(|n| line(*n)).collect();
        if !ends {
            text.pop();
        }
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<String> = at.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect();
        let whole = crate::tiny::read_bytes("a.log", text.as_bytes(), options(format));
        let expected: Vec<String> = whole.events.iter().map(|event| event.event_id.to_hex()).collect();
        prop_assert_eq!(grown(format, &pieces, &restarts), expected);
    }
}

/// A line without a year is dated by when its file was last written, also when the file goes on in the next one.
#[test]
fn a_year_turns_while_a_file_is_followed() {
    fn auto() -> Options {
        Options::new("test", Choice::Auto, keytrail_ingest::redact::Redactor::new(&[7; 32]), late)
    }
    fn before() -> Micros {
        Micros::parse_rfc3339("2025-12-31T23:00:20Z").unwrap()
    }
    fn after() -> Micros {
        Micros::parse_rfc3339("2026-01-05T10:00:20Z").unwrap()
    }
    let line = |time: &str| format!("{time} web-1 sshd[1]: Accepted publickey for ci from 10.0.0.1 port 5 ssh2: ED25519 SHA256:abc\n");
    let mut watched = Watched::new(auto);
    let mut times = Vec::new();
    for (text, clock) in [(line("Dec 31 23:00:00"), before as fn() -> Micros), (line("Jan  5 10:00:00"), after)] {
        watched.append("auth.log", &text);
        let written = std::time::UNIX_EPOCH + std::time::Duration::from_micros(u64::try_from(clock().0).unwrap());
        std::fs::OpenOptions::new().append(true).open(watched.path("auth.log")).unwrap().set_modified(written).unwrap();
        let (events, letters) = watched.look_at(clock);
        assert!(letters.is_empty(), "{letters:?}");
        times.extend(events.iter().map(|event| event.time.to_rfc3339()));
    }
    assert_eq!(times, ["2025-12-31T23:00:00Z", "2026-01-05T10:00:00Z"]);
}
