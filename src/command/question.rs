//! The questions as verbs: names and times are resolved, the same SQL table functions answer as everywhere else, and every answer
//! ends with its coverage.

use std::io::Write as _;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use keytrail_query::{Question, Rows, Session, Who, parse_time};
use keytrail_schemas::{Micros, Severity};

use crate::cli;
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::output::Writer;

/// A lake opened for questions, and the threads that answer them.
struct Asking {
    runtime: tokio::runtime::Runtime,
    session: Session,
    now: Micros,
}

impl Asking {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.query.partitions().max(1))
            .thread_stack_size(8 << 20)
            .enable_all()
            .build()
            .context("starting the query threads")?;
        let session = runtime.block_on(crate::place::session(config, config.query.clone()))?;
        let now = runtime.block_on(session.watermark())?.unwrap_or_default();
        Ok(Self { runtime, session, now })
    }

    /// `--since` and `--until`, relative to the newest event.
    fn window(&self, window: &cli::Window) -> anyhow::Result<(Option<Micros>, Option<Micros>)> {
        let time = |text: &Option<String>| text.as_deref().map(|text| parse_time(text, self.now)).transpose();
        Ok((time(&window.since)?, time(&window.until)?))
    }

    fn ask(&self, output: &Writer, question: &Question) -> anyhow::Result<Code> {
        let rows = self.runtime.block_on(self.session.ask_stream(question))?;
        self.answer(output, rows)?;
        let (from, to) = question.period();
        if let Ok(line) = self.runtime.block_on(self.session.coverage_line(from, to)) {
            output.note(&line);
        }
        Ok(Code::Done)
    }

    fn sql(&self, output: &Writer, sql: &str) -> anyhow::Result<Code> {
        let rows = self.runtime.block_on(self.session.sql_stream(sql))?;
        self.answer(output, rows)?;
        Ok(Code::Done)
    }

    fn answer(&self, output: &Writer, rows: Rows) -> anyhow::Result<()> {
        let schema = rows.schema.clone();
        let batches: Vec<_> = self.runtime.block_on(rows.batches.try_collect())?;
        output.answer(&schema, &batches)
    }
}

pub fn touched(config: &Config, output: &Writer, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    asking.ask(output, &Question::Touched { identity: arguments.identity.clone(), from, to })
}

pub fn timeline(config: &Config, output: &Writer, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    asking.ask(output, &Question::Timeline { identity: arguments.identity.clone(), from, to })
}

pub fn sessions(config: &Config, output: &Writer, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    asking.ask(output, &Question::Sessions { identity: arguments.identity.clone(), from, to })
}

pub fn who_touched(config: &Config, output: &Writer, arguments: &cli::WhoTouched) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    asking.ask(output, &Question::WhoTouched { destination: arguments.destination.clone(), from, to })
}

pub fn lineage(config: &Config, output: &Writer, arguments: &cli::Lineage) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, &Question::Lineage { credential: arguments.credential.clone() })
}

pub fn blast_radius(config: &Config, output: &Writer, arguments: &cli::BlastRadius) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    asking.ask(output, &Question::BlastRadius { of: arguments.of.clone(), from, to, hops: Some(arguments.hops) })
}

pub fn compare(config: &Config, output: &Writer, arguments: &cli::Compare) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let time = |text: &str| parse_time(text, asking.now).map(Some);
    let question = Question::Compare {
        identity: arguments.identity.clone(),
        a_from: time(&arguments.a_since)?,
        a_to: time(&arguments.a_until)?,
        b_from: arguments.b_since.as_deref().map_or(Ok(None), time)?,
        b_to: arguments.b_until.as_deref().map_or(Ok(None), time)?,
    };
    asking.ask(output, &question)
}

pub fn posture(config: &Config, output: &Writer) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, &Question::Posture)
}

pub fn credentials(config: &Config, output: &Writer, arguments: &cli::Credentials) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let mut conditions = Vec::new();
    if let Some(credential) = &arguments.credential {
        conditions.push(format!("credential = {}", quoted(&asking.runtime.block_on(asking.session.resolve_credential(credential))?)));
    }
    if let Some(identity) = &arguments.identity {
        conditions.push(format!("identity = {}", quoted(&asking.runtime.block_on(asking.session.resolve_identity(identity))?)));
    }
    if let Some(state) = &arguments.state {
        let state: keytrail_schemas::CredentialState = state.parse().map_err(|error: keytrail_schemas::UnknownWord| Usage(error.to_string()))?;
        conditions.push(format!("state = {}", quoted(state.as_str())));
    }
    if conditions.is_empty() {
        return asking.ask(output, &Question::Credentials { who: Who::Machines });
    }
    // Whoever asks for one by name gets people's too.
    let all = Question::Credentials { who: Who::All }.to_sql();
    asking.sql(output, &format!("{all} WHERE {}", conditions.join(" AND ")))
}

pub fn identities(config: &Config, output: &Writer, arguments: &cli::Identities) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, &Question::Identities { who: if arguments.humans { Who::All } else { Who::Machines } })
}

pub fn findings(config: &Config, output: &Writer, arguments: &cli::Findings) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    let severity = arguments.severity.as_deref().map(|word| word.parse::<Severity>().map_err(|error| Usage(error.to_string()))).transpose()?;
    asking.ask(output, &Question::Findings { from, to, identity: arguments.identity.clone(), rule: arguments.rule.clone(), severity })
}

pub fn detections(config: &Config, output: &Writer, arguments: &cli::Detections) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(&arguments.window)?;
    let (identity, rule, technique) = (arguments.identity.clone(), arguments.rule.clone(), arguments.technique.clone());
    asking.ask(output, &Question::Detections { from, to, identity, rule, technique })
}

pub fn coverage(config: &Config, output: &Writer, arguments: &cli::Window) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let (from, to) = asking.window(arguments)?;
    asking.ask(output, &Question::Coverage { from, to })
}

pub fn explain(config: &Config, output: &Writer, arguments: &cli::Explain) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let explained = asking.runtime.block_on(asking.session.explain_finding(&arguments.finding))?;
    let text = if output.is_table() { explained.to_text() } else { serde_json::to_string(&explained)? };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())?;
    Ok(Code::Done)
}

pub fn sql(config: &Config, output: &Writer, arguments: &cli::Sql) -> anyhow::Result<Code> {
    let query = if arguments.query == "-" {
        std::io::read_to_string(std::io::stdin()).context("reading the query from standard input")?
    } else {
        arguments.query.clone()
    };
    Asking::open(config)?.sql(output, &query)
}

/// Dead letters, newest first.
pub fn dead_letters(config: &Config, output: &Writer, window: &cli::Window) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    // Dead letters have no time of their own: the window is that of reading, and relative times count back from now.
    let now = crate::clock::now();
    let bound = |text: &Option<String>, comparison: &str| -> anyhow::Result<Option<String>> {
        Ok(text.as_deref().map(|text| parse_time(text, now)).transpose()?.map(|time| format!("ingested_at {comparison} '{time}'")))
    };
    let conditions: Vec<String> = [bound(&window.since, ">=")?, bound(&window.until, "<")?].into_iter().flatten().collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    asking.sql(output, &format!("SELECT ingested_at, source, format, path, line, byte_offset, reason, field, message, raw, raw_bytes, dead_letter_id FROM dead_letters{filter} ORDER BY ingested_at DESC, path, line"))
}

/// The dead letters that are to be tried again.
pub fn dead_letter_rows(config: &Config, of: &cli::Retry) -> anyhow::Result<Vec<keytrail_schemas::DeadLetter>> {
    let asking = Asking::open(config)?;
    let format = of.format.as_ref().map(|format| format!("format = {}", quoted(format)));
    let id = of.id.as_ref().map(|id| format!("starts_with(dead_letter_id, {})", quoted(id)));
    let conditions: Vec<String> = [format, id].into_iter().flatten().collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let sql = format!("SELECT dead_letter_id, source, format, path, line FROM dead_letters{filter} ORDER BY path, line");
    let rows = asking.runtime.block_on(asking.session.sql_stream(&sql))?;
    let batches: Vec<_> = asking.runtime.block_on(rows.batches.try_collect())?;
    let mut json = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut json);
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    drop(writer);
    #[derive(serde::Deserialize)]
    struct Row {
        dead_letter_id: String,
        source: String,
        format: String,
        path: String,
        line: i64,
    }
    let letter = |line: &[u8]| -> anyhow::Result<keytrail_schemas::DeadLetter> {
        let Row { dead_letter_id, source, format, path, line } = serde_json::from_slice(line)?;
        Ok(keytrail_schemas::DeadLetter {
            dead_letter_id: dead_letter_id.into(),
            source: source.into(),
            format: format.into(),
            path: path.into(),
            line,
            ..keytrail_schemas::DeadLetter::default()
        })
    };
    json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(letter).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
