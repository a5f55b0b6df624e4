//! `keytrail demo`: a simulated estate with labelled attacks, in its providers' own formats, through the same pipeline as real logs. It
//! ends with what was found, what was missed, and what to ask next; on a terminal it then serves the doors until Ctrl-C.

use std::io::Write as _;

use anyhow::Context as _;
use keytrail_schemas::Micros;

use super::evaluate::Lake;
use super::ingest::{self, Request};
use crate::cli::Demo;
use crate::config::Config;
use crate::evaluate::{self, report};
use crate::exit::{Code, Usage};
use crate::output::Writer;
use crate::telemetry::Telemetry;

/// How much of the queue is shown.
const QUEUE_LINES: usize = 15;

/// Simulates, ingests, scores.
pub fn run(config: &Config, telemetry: &Telemetry, output: &Writer, arguments: &Demo) -> anyhow::Result<Code> {
    let raw = config.dir.join("demo-logs");
    if config.is_kafka() {
        return Err(Usage("the demo runs on the embedded log: leave --log out".to_owned()).into());
    }
    if config.dir.join("log").exists() && !raw.exists() {
        return Err(Usage(format!("{} holds other data: name a folder of the demo's own with --dir", config.dir.display())).into());
    }
    let options = keytrail_estate::Options {
        days: arguments.days,
        identities: arguments.identities,
        events: arguments.events,
        seed: arguments.seed,
        level: arguments.level,
        attacks: arguments.attacks,
        ..keytrail_estate::Options::default()
    };
    // The same estate is read again without being stored twice; another one would mix with it.
    let plant =
        arguments.plant.then(|| keytrail_estate::floor::Options { days: arguments.days, seed: arguments.seed, ..keytrail_estate::floor::Options::default() });
    let asked = match &plant {
        Some(plant) => serde_json::json!({ "plant": true, "days": plant.days, "seed": plant.seed }),
        None => serde_json::json!({ "days": options.days, "identities": options.identities, "events": options.events, "seed": options.seed, "level": options.level.name(), "attacks": options.attacks }),
    }
    .to_string();
    let stamp = raw.join("options.json");
    match std::fs::read_to_string(&stamp) {
        Ok(before) if before != asked => {
            return Err(
                Usage(format!("{} holds a demo with other options ({before}): remove it, or name another folder with --dir", config.dir.display())).into()
            );
        }
        _ => {}
    }
    let started = tokio::time::Instant::now();
    let simulation = match &plant {
        Some(plant) => {
            output.note(&format!("simulating {} days of a plant …", plant.days));
            keytrail_estate::floor::generate(plant, &raw)?
        }
        None => {
            output.note(&format!("simulating {} days of {} identities …", options.days, options.identities));
            keytrail_estate::generate(&options, &raw)?
        }
    };
    std::fs::write(&stamp, asked).with_context(|| stamp.display().to_string())?;
    output.note(&format!(
        "{} records, {} MiB, in {} files under {}",
        simulation.records_total(),
        simulation.bytes >> 20,
        simulation.files.len(),
        raw.display()
    ));

    let paths = simulation.folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
    let request = Request { paths, format: "auto".to_owned(), source: None, cluster: Some(simulation.cluster.to_owned()), raw: None };
    let stop = super::run::stop_signal()?;
    let (counts, outcome) = ingest::through(config, telemetry, &request, &stop)?;
    let outcome = outcome.unwrap_or_default();

    let lake = Lake::open(config)?;
    let (start, end) = (Micros(simulation.start.0), Micros(simulation.end.0));
    let labels = std::fs::read_to_string(&simulation.labels_file).with_context(|| simulation.labels_file.display().to_string())?;
    let mut labels = evaluate::label::read(&labels).map_err(anyhow::Error::msg)?;
    lake.look_up(&mut labels)?;
    let decoys = std::fs::read_to_string(raw.join("decoys.json")).with_context(|| raw.display().to_string())?;
    let decoys = evaluate::label::read_decoys(&decoys).map_err(anyhow::Error::msg)?;
    let alerts = lake.alerts(start)?;
    let score = evaluate::score(&labels, &decoys, &alerts, start, end);
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{:<14}{:>10}{:>10}{:>10}{:>15}", "format", "read", "stored", "duplicate", "dead-lettered")?;
    for count in counts.values() {
        writeln!(out, "{:<14}{:>10}{:>10}{:>10}{:>15}", count.format, count.read, count.stored, count.duplicate, count.dead_lettered)?;
    }
    writeln!(
        out,
        "\n{} events of {} identities with {} credentials in {:.0} s\n",
        counts.values().map(|count| count.stored + count.duplicate).sum::<u64>(),
        outcome.identities,
        outcome.credentials,
        started.elapsed().as_secs_f64()
    )?;
    writeln!(out, "The queue, best first:\n{}", report::queue(&score, &labels, &alerts, QUEUE_LINES))?;
    writeln!(out, "{}", report::attacks(&score, &labels, &alerts))?;
    write!(out, "{}", report::in_vain(&score, &alerts, 8))?;
    for (k, recall) in score.recall_in_top.iter().filter(|(k, _)| [1, 3, 10].contains(k)) {
        writeln!(out, "who reads the best {k} of each day knows of {:.0} % of the attacks", recall * 100.0)?;
    }
    writeln!(out, "\nAsk next:")?;
    let dir = if config.dir.as_os_str() == "keytrail-data" { String::new() } else { format!(" --dir {}", config.dir.display()) };
    let best = score.queue.iter().filter_map(|index| alerts.get(*index));
    // On a plant an identity is an address: the one of the first finding to be read.
    let first = best.clone().find_map(|alert| alert.identities.first());
    let known = first.filter(|_| plant.is_some()).map_or("svc-deploy", |identity| identity.as_str());
    writeln!(out, "  keytrail touched {known}{dir}")?;
    let headline = |alert: &&evaluate::Alert| alert.identities.iter().any(|id| id.ends_with("svc-deploy"));
    if let Some(alert) = best.clone().find(headline).or_else(|| best.clone().next()) {
        writeln!(out, "  keytrail explain {}{dir}", alert.id.chars().take(12).collect::<String>())?;
    }
    writeln!(
        out,
        "  keytrail timeline {known} --since -7d{dir}\n  keytrail findings --severity high{dir}\n  keytrail posture{dir}\n  keytrail sql \"select * from touched('{known}', null, null) where first_ever\"{dir}"
    )?;
    drop(out);
    super::serve::after_demo(config, &dir, arguments.no_serve)?;
    Ok(Code::Done)
}
