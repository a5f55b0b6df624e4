//! `keytrail demo`: a simulated estate with labelled attacks, in its providers' own formats, through the same pipeline as real logs. It
//! ends with what was found, what was missed, and what to ask next.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Context as _;
use keytrail_schemas::{Detection, Finding, Micros, Table as _};

use super::ingest::{self, Request};
use crate::cli::Demo;
use crate::config::Config;
use crate::demo;
use crate::exit::{Code, Usage};
use crate::output::Writer;
use crate::telemetry::Telemetry;

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
    let asked = serde_json::json!({ "days": options.days, "identities": options.identities, "events": options.events, "seed": options.seed, "level": options.level.name(), "attacks": options.attacks }).to_string();
    let stamp = raw.join("options.json");
    match std::fs::read_to_string(&stamp) {
        Ok(before) if before != asked => {
            return Err(
                Usage(format!("{} holds a demo with other options ({before}): remove it, or name another folder with --dir", config.dir.display())).into()
            );
        }
        _ => {}
    }
    output.note(&format!("simulating {} days of {} identities …", options.days, options.identities));
    let started = tokio::time::Instant::now();
    let simulation = keytrail_estate::generate(&options, &raw)?;
    std::fs::write(&stamp, asked).with_context(|| stamp.display().to_string())?;
    output.note(&format!(
        "{} records, {} MiB, in {} files under {}",
        simulation.records_total(),
        simulation.bytes >> 20,
        simulation.files.len(),
        raw.display()
    ));

    let paths = simulation.folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
    let request = Request { paths, format: "auto".to_owned(), source: None, cluster: Some(simulation.cluster.to_owned()) };
    let stop = super::run::stop_signal()?;
    let (counts, outcome) = ingest::through(config, telemetry, &request, &stop)?;
    let outcome = outcome.unwrap_or_default();

    let findings = findings(config)?;
    let score = demo::score::score(&simulation.labels, &simulation.decoys, &findings, Micros(simulation.start.0), Micros(simulation.end.0));
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
    writeln!(out, "{}", score.render().trim_end())?;
    writeln!(out, "\nAsk next:")?;
    let dir = if config.dir.as_os_str() == "keytrail-data" { String::new() } else { format!(" --dir {}", config.dir.display()) };
    writeln!(out, "  keytrail touched svc-deploy{dir}")?;
    if let Some(finding) = findings.iter().find(|finding| finding.identity.ends_with("svc-deploy")).or_else(|| findings.first()) {
        writeln!(out, "  keytrail explain {}{dir}", finding.finding_id.chars().take(12).collect::<String>())?;
    }
    writeln!(
        out,
        "  keytrail timeline svc-deploy --since -7d{dir}\n  keytrail findings --severity high{dir}\n  keytrail posture{dir}\n  keytrail sql \"select * from touched('svc-deploy', null, null) where first_ever\"{dir}"
    )?;
    Ok(Code::Done)
}

/// The findings as they stand in the lake, each with its detections, in order of time.
fn findings(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(8 << 20).enable_all().build()?;
    let batches = runtime.block_on(async {
        let session = crate::place::session(config, config.query.clone()).await?;
        let findings = session.sql("SELECT * FROM findings ORDER BY time, finding_id").await?;
        anyhow::Ok((findings, session.sql("SELECT * FROM detections WHERE finding_id IS NOT NULL ORDER BY first_event_time, detection_id").await?))
    })?;
    let mut findings = Vec::new();
    for batch in &batches.0 {
        findings.extend(Finding::from_batch(batch)?);
    }
    let mut detections: BTreeMap<_, Vec<Detection>> = BTreeMap::new();
    for batch in &batches.1 {
        for detection in Detection::from_batch(batch)? {
            detections.entry(detection.finding_id.clone().unwrap_or_default()).or_default().push(detection);
        }
    }
    for finding in &mut findings {
        finding.detections = detections.remove(&finding.finding_id).unwrap_or_default();
    }
    Ok(findings)
}
