//! `keytrail config`: the effective configuration, commented.

use std::io::Write as _;

use crate::config::Config;
use crate::exit::Code;

/// What each section is for, printed above it.
const SECTIONS: &[(&str, &str)] = &[
    (
        "ingest",
        "Reading input. `raw` says how much of a record is kept beside its event: safe (its structure, and values that cannot be secrets), open (all values that are not known to be secrets) or hash; sizes are in bytes; what passes a bound goes to dead letters with the reason.",
    ),
    ("log", "The event log: embedded, in the data folder, or kafka://HOST:PORT[,HOST:PORT]."),
    ("log.kafka", "Any property of librdkafka, under its own name, such as \"security.protocol\" = \"SASL_SSL\"."),
    ("embedded", "The embedded log. `fsync` is every_append, interval or never; `partitions` is fixed when the log is created."),
    ("store", "Writing the lake: a commit comes when one of these is reached."),
    ("store.s3", "The S3 store of a lake at s3://BUCKET/PREFIX: aws_region, aws_endpoint, …; AWS_* variables come before."),
    ("detect", "What the detector judges by."),
    ("detector", "Running the detector; `rules` names a folder of Sigma rules that replaces the built-in ones."),
    ("query", "Bounds of one question."),
    ("metrics", "Address of /metrics and /healthz under `keytrail run`."),
    ("telemetry", "OTLP over HTTP; empty exports nothing."),
];

/// What a key's name says when its value is nobody's to read.
const SECRET: &[&str] = &["password", "secret", "token", "key.pem", "access_key"];

/// The line, without the value where that is a secret.
fn masked(line: &str) -> std::borrow::Cow<'_, str> {
    match line.split_once(" = ") {
        Some((key, _)) if SECRET.iter().any(|word| key.to_ascii_lowercase().contains(word)) => format!("{key} = \"(not shown)\"").into(),
        _ => line.into(),
    }
}

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
        writeln!(out, "{}", masked(line))?;
    }
    if config.sources.is_empty() {
        writeln!(
            out,
            "\n# What `keytrail run` watches, once per source:\n# [[source]]\n# name = \"cloudtrail-prod\"\n# format = \"cloudtrail\"\n# paths = [\"/var/log/cloudtrail\"]\n# poll_interval_ms = 5000\n# finished_after_ms = 120000"
        )?;
    }
    Ok(Code::Done)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(masked("\"sasl.password\" = \"hunter2\""), "\"sasl.password\" = \"(not shown)\"");
        assert_eq!(masked("AWS_SECRET_ACCESS_KEY = \"x\""), "AWS_SECRET_ACCESS_KEY = \"(not shown)\"");
        assert_eq!(masked("\"security.protocol\" = \"SASL_SSL\""), "\"security.protocol\" = \"SASL_SSL\"");
    }
}
