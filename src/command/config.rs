//! `keytrail config`: the effective configuration, commented.

use std::io::Write as _;

use crate::config::Config;
use crate::exit::Code;

/// What each section is for, printed above it.
const SECTIONS: &[(&str, &str)] = &[
    ("ingest", "Reading input. `raw` is keep, hash or drop; sizes are in bytes; what passes a bound goes to dead letters with the reason."),
    ("embedded", "The embedded log. `fsync` is every_append, interval or never; `partitions` is fixed when the log is created."),
    ("store", "Writing the lake: a commit comes when one of these is reached."),
    ("detect", "What the detector judges by."),
    ("detector", "Running the detector; `rules` names a folder of Sigma rules that replaces the built-in ones."),
    ("query", "Bounds of one question."),
    ("metrics", "Address of /metrics and /healthz under `keytrail run`."),
    ("telemetry", "OTLP over HTTP; empty exports nothing."),
];

/// Prints it.
pub fn run(config: &Config) -> anyhow::Result<Code> {
    let text = toml::to_string_pretty(config)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "# The effective configuration: defaults, keytrail.toml, environment and command line together.")?;
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && let Some((_, comment)) = SECTIONS.iter().find(|(name, _)| *name == section)
        {
            writeln!(out, "# {comment}")?;
        }
        writeln!(out, "{line}")?;
    }
    if config.sources.is_empty() {
        writeln!(
            out,
            "\n# What `keytrail run` watches, once per source:\n# [[source]]\n# name = \"cloudtrail-prod\"\n# format = \"cloudtrail\"\n# paths = [\"/var/log/cloudtrail\"]\n# poll_interval_ms = 5000"
        )?;
    }
    Ok(Code::Done)
}
