//! Every event and dead letter that some files come to, one JSON object a line, the same in each run: so that two builds can be held against each other byte for byte.
//!
//! `cargo run -p keytrail-ingest --example told -- safe PATH… > FILE`; `open` in place of `safe` for the other level.

use std::error::Error;
use std::io::{BufWriter, Write as _};

use keytrail_ingest::redact::{Level, Redactor};
use keytrail_ingest::source::{Batch, Choice, Options, Reader};
use keytrail_schemas::Micros;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let level: Level = arguments.next().ok_or("say a level, safe or open, and behind it files or folders")?.parse()?;
    let paths: Vec<String> = arguments.collect();
    // What depends on the run is fixed: the key, and the time at which it is read.
    let options = Options { raw: level, ..Options::new("told", Choice::Auto, Redactor::new(&[7; 32]), || Micros(1_800_000_000_000_000)) };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for Batch { events, dead_letters, .. } in Reader::open(&paths, options)? {
        for event in events {
            writeln!(out, "{}", serde_json::to_string(&event)?)?;
        }
        for letter in dead_letters {
            writeln!(out, "{}", serde_json::to_string(&letter)?)?;
        }
    }
    Ok(out.flush()?)
}
