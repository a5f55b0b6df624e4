//! The questions as verbs: names and times are resolved, the same SQL table functions answer as everywhere else, and every answer
//! ends with its coverage. Questions are brought to the same desk as through every other door, and written down there.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use keytrail_query::{Call, parse_time};
use keytrail_schemas::Severity;
use keytrail_serve::access::Caller;
use keytrail_serve::{Answer, Desk, Visit};

use crate::cli;
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::output::Writer;
use crate::server::{self, Server};

/// A lake opened for questions, and the threads that answer them; or a server.
pub(super) enum Asking {
    Lake(Lake),
    Server(Server),
}

pub(super) struct Lake {
    runtime: tokio::runtime::Runtime,
    desk: Desk,
    visit: Visit,
}

impl Lake {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.query.partitions().max(1))
            .thread_stack_size(8 << 20)
            .enable_all()
            .build()
            .context("starting the query threads")?;
        let desk = runtime.block_on(super::serve::desk(config, keytrail_serve::Options { no_auth: true, ..config.serve.clone() }))?;
        Ok(Self { runtime, desk, visit: Visit { caller: Caller::trusted(&config.user), door: "cli", from: None } })
    }

    fn answered(&self, asked: impl Future<Output = Result<Answer, keytrail_serve::Error>>) -> anyhow::Result<server::Answer> {
        let answer = self.runtime.block_on(async {
            let Answer { schema, batches, coverage } = asked.await?;
            Ok(server::Answer { schema, batches: batches.try_collect().await?, coverage })
        });
        answer.map_err(crate::exit::of_door)
    }
}

impl Asking {
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(match Server::of(config)? {
            Some(server) => Self::Server(server),
            None => Self::Lake(Lake::open(config)?),
        })
    }

    fn ask(&self, output: &Writer, name: &str, arguments: &[(&str, &str)]) -> anyhow::Result<Code> {
        told(output, &self.call(Call::new(name, arguments.iter().copied())?)?)
    }

    fn ask_and_draw(&self, output: &Writer, name: &str, arguments: &[(&str, &str)], plot: Option<&Path>) -> anyhow::Result<Code> {
        let answer = self.call(Call::new(name, arguments.iter().copied())?)?;
        if let Some(path) = plot {
            crate::picture::write(name, &answer, path)?;
            output.note(&format!("drawn: {}", path.display()));
        }
        told(output, &answer)
    }

    pub(super) fn call(&self, call: Call) -> anyhow::Result<server::Answer> {
        match self {
            Self::Lake(lake) => lake.answered(lake.desk.call(&lake.visit, call)),
            Self::Server(server) => server.call(&call),
        }
    }

    fn sql(&self, output: &Writer, sql: &str) -> anyhow::Result<Code> {
        told(output, &self.rows(sql)?)
    }

    pub(super) fn rows(&self, sql: &str) -> anyhow::Result<server::Answer> {
        match self {
            Self::Lake(lake) => lake.answered(lake.desk.sql(&lake.visit, sql)),
            Self::Server(server) => server.sql(sql),
        }
    }
}

pub(super) fn told(output: &Writer, answer: &server::Answer) -> anyhow::Result<Code> {
    output.answer(&answer.schema, &answer.batches)?;
    output.note(&answer.coverage);
    Ok(Code::Done)
}

/// What was typed, or nothing.
pub(super) fn given(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// `--since` and `--until`; they are read by who answers, relative to the newest event.
fn period(window: &cli::Window) -> [(&'static str, &str); 2] {
    [("from", given(&window.since)), ("to", given(&window.until))]
}

pub fn touched(config: &Config, output: &Writer, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    of_identity(config, output, "touched", arguments)
}

pub fn timeline(config: &Config, output: &Writer, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    of_identity(config, output, "timeline", arguments)
}

pub fn sessions(config: &Config, output: &Writer, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    of_identity(config, output, "sessions", arguments)
}

pub fn candidates(config: &Config, output: &Writer, arguments: &cli::Candidates) -> anyhow::Result<Code> {
    let [from, to] = period(&arguments.window);
    let within = arguments.within.to_string();
    Asking::open(config)?.ask(output, "candidates", &[("identity", &arguments.identity), ("within", &within), from, to])
}

fn of_identity(config: &Config, output: &Writer, question: &str, arguments: &cli::OfIdentity) -> anyhow::Result<Code> {
    let [from, to] = period(&arguments.window);
    Asking::open(config)?.ask_and_draw(output, question, &[("identity", &arguments.identity), from, to], arguments.plot.as_deref())
}

pub fn who_touched(config: &Config, output: &Writer, arguments: &cli::WhoTouched) -> anyhow::Result<Code> {
    let [from, to] = period(&arguments.window);
    Asking::open(config)?.ask(output, "who_touched", &[("destination", &arguments.destination), from, to])
}

pub fn lineage(config: &Config, output: &Writer, arguments: &cli::Lineage) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, "lineage", &[("credential", &arguments.credential)])
}

pub fn blast_radius(config: &Config, output: &Writer, arguments: &cli::BlastRadius) -> anyhow::Result<Code> {
    let [from, to] = period(&arguments.window);
    let hops = arguments.hops.to_string();
    let given = [("identity_or_credential", &*arguments.of), from, to, ("hops", &hops)];
    Asking::open(config)?.ask_and_draw(output, "blast_radius", &given, arguments.plot.as_deref())
}

pub fn compare(config: &Config, output: &Writer, arguments: &cli::Compare) -> anyhow::Result<Code> {
    let periods = [("a_from", &*arguments.a_since), ("a_to", &arguments.a_until), ("b_from", given(&arguments.b_since)), ("b_to", given(&arguments.b_until))];
    let [a_from, a_to, b_from, b_to] = periods;
    Asking::open(config)?.ask(output, "compare", &[("identity", &arguments.identity), a_from, a_to, b_from, b_to])
}

pub fn posture(config: &Config, output: &Writer) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, "posture", &[])
}

pub fn credentials(config: &Config, output: &Writer, arguments: &cli::Credentials) -> anyhow::Result<Code> {
    let asking = Asking::open(config)?;
    let mut conditions = Vec::new();
    for (column, text) in [("credential", &arguments.credential), ("identity", &arguments.identity)] {
        let Some(text) = text else { continue };
        conditions.push(match &asking {
            Asking::Lake(Lake { runtime, desk, .. }) => {
                let session = desk.session();
                let resolved = runtime
                    .block_on(async { if column == "credential" { session.resolve_credential(text).await } else { session.resolve_identity(text).await } })?;
                format!("{column} = {}", quoted(&resolved))
            }
            // A server resolves names within questions alone: every one that the text fits is shown.
            Asking::Server(_) => format!("strpos(lower({column}), lower({})) > 0", quoted(text)),
        });
    }
    if let Some(state) = &arguments.state {
        let state: keytrail_schemas::CredentialState = state.parse().map_err(|error: keytrail_schemas::UnknownWord| Usage(error.to_string()))?;
        conditions.push(format!("state = {}", quoted(state.as_str())));
    }
    if conditions.is_empty() {
        return asking.ask(output, "credentials", &[]);
    }
    // Whoever asks for one by name gets people's too.
    asking.sql(output, &format!("SELECT * FROM credentials('all') WHERE {}", conditions.join(" AND ")))
}

pub fn identities(config: &Config, output: &Writer, arguments: &cli::Identities) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, "identities", &[("who", if arguments.humans { "all" } else { "machines" })])
}

pub fn findings(config: &Config, output: &Writer, arguments: &cli::Findings) -> anyhow::Result<Code> {
    let [from, to] = period(&arguments.window);
    let more = [("identity", given(&arguments.identity)), ("rule", given(&arguments.rule)), ("severity", given(&arguments.severity))];
    let [identity, rule, severity] = more;
    if !severity.1.is_empty() {
        severity.1.parse::<Severity>().map_err(|error| Usage(error.to_string()))?;
    }
    Asking::open(config)?.ask(output, "findings", &[from, to, identity, rule, severity])
}

pub fn detections(config: &Config, output: &Writer, arguments: &cli::Detections) -> anyhow::Result<Code> {
    let [from, to] = period(&arguments.window);
    let more = [("identity", given(&arguments.identity)), ("rule", given(&arguments.rule)), ("technique", given(&arguments.technique))];
    let [identity, rule, technique] = more;
    Asking::open(config)?.ask(output, "detections", &[from, to, identity, rule, technique])
}

pub fn coverage(config: &Config, output: &Writer, arguments: &cli::Window) -> anyhow::Result<Code> {
    Asking::open(config)?.ask(output, "coverage", &period(arguments))
}

pub fn explain(config: &Config, output: &Writer, arguments: &cli::Explain) -> anyhow::Result<Code> {
    let (data, text, coverage) = match Asking::open(config)? {
        Asking::Server(server) => server.explain(&arguments.finding)?,
        Asking::Lake(Lake { runtime, desk, visit }) => {
            let (explained, coverage) = runtime.block_on(desk.explain(&visit, &arguments.finding)).map_err(crate::exit::of_door)?;
            (serde_json::to_value(&explained)?, explained.to_text(), coverage)
        }
    };
    let text = if output.is_table() { text } else { data.to_string() };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())?;
    output.note(&coverage);
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
    let asking = Asking::Lake(Lake::open(config)?);
    let format = of.format.as_ref().map(|format| format!("format = {}", quoted(format)));
    let id = of.id.as_ref().map(|id| format!("starts_with(dead_letter_id, {})", quoted(id)));
    let conditions: Vec<String> = [format, id].into_iter().flatten().collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let sql = format!("SELECT dead_letter_id, source, format, path, line FROM dead_letters{filter} ORDER BY path, line");
    let batches = asking.rows(&sql)?.batches;
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

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
