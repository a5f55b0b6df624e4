//! Tenzir beside keytrail: what it takes to parse the same records, in a process of its own.
//!
//! `KEYTRAIL_BENCH_TENZIR` is its program (`pip install tenzir` brings one). It reads the records as lines of JSON and discards them: it parses and infers a schema, and does not normalise nor redact.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// How often the records stand in the file: the kernel counts a process's time in ticks of ten milliseconds.
const REPEATS: usize = 10;

/// Seconds on cores that Tenzir takes for these records, its start left out; `None` where it is not asked for, or fails.
pub fn seconds(records: &[Vec<u8>]) -> Option<f64> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark's own setting")]
    let program = std::env::var("KEYTRAIL_BENCH_TENZIR").ok()?;
    let folder = tempfile::tempdir().ok()?;
    let path = folder.path().join("records.ndjson");
    let empty = folder.path().join("empty.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).ok()?);
    for record in std::iter::repeat_n(records, REPEATS).flatten() {
        file.write_all(record).and_then(|()| file.write_all(b"\n")).ok()?;
    }
    file.flush().ok()?;
    std::fs::write(&empty, b"{}\n").ok()?;
    let took = run(&program, &path)? - run(&program, &empty)?;
    Some(took.max(0.01) / REPEATS as f64)
}

/// Seconds on cores of one run over a file.
fn run(program: &str, path: &Path) -> Option<f64> {
    let before = children()?;
    let pipeline = format!("from_file {:?} {{ read_ndjson }} | discard", path.to_str()?);
    let status = Command::new(program).arg(pipeline).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then_some(())?;
    Some(children()? - before)
}

/// Time on cores of all ended children, in seconds.
fn children() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS_PER_SECOND)
}
