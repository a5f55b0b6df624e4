//! `keytrail dead-letters`: what could not be read, and why; and reading it again, from the source or from an encrypted copy.

use std::collections::BTreeMap;
use std::path::Path;

use keytrail_schemas::DeadLetter;
use serde::Serialize;

use super::{ingest, question};
use crate::cli::{DeadLetterAction, DeadLetters, Retry};
use crate::config::Config;
use crate::copies::Copies;
use crate::exit::Code;
use crate::home::Home;
use crate::output::Writer;
use crate::pipeline::Pipeline;
use crate::telemetry::Telemetry;

/// Lists dead letters, newest first, or tries them again.
pub fn run(config: &Config, telemetry: &Telemetry, output: &Writer, arguments: &DeadLetters) -> anyhow::Result<Code> {
    match &arguments.action {
        DeadLetterAction::List { window } => question::dead_letters(config, output, window),
        DeadLetterAction::Retry(arguments) => retry(config, telemetry, output, arguments),
    }
}

/// What the letters of one file came to.
#[derive(Debug, Serialize)]
struct Row {
    path: String,
    format: String,
    /// Letters of the file that were tried again.
    letters: u64,
    /// `source`, `copy`, or `gone` where neither is left.
    from: &'static str,
    stored: u64,
    duplicate: u64,
    dead_lettered: u64,
}

/// The letters of one file, as one source and format read it.
type Group = BTreeMap<(String, String, String), Vec<DeadLetter>>;

/// A file that is still there is read again whole: what its records mean can depend on what stands before them (a header, a request), and
/// what is stored already is not stored twice. Where it is gone, its letters are read from their copies.
fn retry(config: &Config, telemetry: &Telemetry, output: &Writer, arguments: &Retry) -> anyhow::Result<Code> {
    let mut groups = Group::new();
    for letter in question::dead_letter_rows(config, arguments)? {
        let file = letter.path.split_once('!').map_or(letter.path.as_str(), |(archive, _)| archive).to_owned();
        groups.entry((file, letter.source.to_string(), letter.format.to_string())).or_default().push(letter);
    }
    if groups.is_empty() {
        output.note("no dead letters to try again");
        return Ok(Code::Done);
    }
    let home = Home::open(config)?;
    let copies = home.opened_copies(config)?;
    let stop = super::run::stop_signal()?;
    let pipeline: Box<dyn Sinking> =
        if config.is_kafka() { Box::new(crate::role::Brokers::open(config, telemetry, &home)?) } else { Box::new(Pipeline::start(config, telemetry)?) };
    let mut rows = Vec::new();
    for ((path, source, format), letters) in groups {
        let known = keytrail_ingest::format::auto::by_name(&format).is_ok();
        let of_source = config.sources.iter().find(|configured| configured.name == source);
        let request = ingest::Request {
            paths: vec![path.clone()],
            format: if known { format.clone() } else { "auto".to_owned() },
            // A source without a name has its format's.
            source: (source != format).then(|| source.clone()),
            cluster: arguments.cluster.clone().or_else(|| of_source.map(|source| source.cluster.clone()).filter(|cluster| !cluster.is_empty())),
            raw: of_source.map(|source| source.raw.clone()).filter(|raw| !raw.is_empty()),
        };
        let mut row = Row { path: path.clone(), format, letters: letters.len() as u64, from: "gone", stored: 0, duplicate: 0, dead_lettered: 0 };
        let reader = if Path::new(&path).is_file() {
            row.from = "source";
            Some(ingest::open(config, &home, &request)?)
        } else {
            let bytes = copied(copies.as_deref(), &letters)?;
            if bytes.is_empty() { None } else { Some(ingest::open_bytes(config, &home, &request, &path, bytes)?) }
        };
        if let Some(reader) = reader {
            row.from = if row.from == "gone" { "copy" } else { row.from };
            for count in ingest::read(telemetry, pipeline.sink(), reader, None, &stop, None)?.into_values() {
                row.stored += count.stored;
                row.duplicate += count.duplicate;
                row.dead_lettered += count.dead_lettered;
            }
        }
        rows.push(row);
    }
    pipeline.end()?;
    output.records(&rows)?;
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    output.note(&format!(
        "{} dead letters tried again: {} new events, {} still cannot be read",
        sum(|row| row.letters),
        sum(|row| row.stored),
        sum(|row| row.dead_lettered)
    ));
    if rows.iter().any(|row| row.from == "gone") {
        output.note("some sources are gone: bring the file back to its path, or see `ingest.dead_letter_key` for encrypted copies of the next ones");
    }
    Ok(Code::Done)
}

/// The records of the letters that have a copy, each on its line.
fn copied(copies: Option<&Copies>, letters: &[DeadLetter]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for letter in letters {
        if let Some(record) = copies.map(|copies| copies.of(&letter.dead_letter_id)).transpose()?.flatten() {
            bytes.extend_from_slice(&record);
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

/// Where what is read goes, and its end.
trait Sinking {
    fn sink(&self) -> &dyn crate::pipeline::Sink;
    fn end(self: Box<Self>) -> anyhow::Result<()>;
}

impl Sinking for Pipeline {
    fn sink(&self) -> &dyn crate::pipeline::Sink {
        self
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        self.finish().map(|_| ())
    }
}

impl Sinking for crate::role::Brokers {
    fn sink(&self) -> &dyn crate::pipeline::Sink {
        self
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        Ok(())
    }
}
