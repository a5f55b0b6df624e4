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
    (
        "store.retention",
        "How long the lake keeps what, in days; 0 for ever. [[store.retention.holds]] (identity, from, to, reason) names what is kept whatever its age.",
    ),
    ("store.s3", "The S3 store of a lake at s3://BUCKET/PREFIX: aws_region, aws_endpoint, …; AWS_* variables come before."),
    ("detect", "What the detector judges by."),
    ("detector", "Running the detector; `rules` names a folder of Sigma rules that replaces the built-in ones."),
    ("query", "Bounds of one question."),
    ("serve", "The doors: HTTP (`listen`) and the PostgreSQL wire (`postgres`); `keytrail run` opens those that are named. `no_auth` is for loopback only."),
    ("metrics", "Address of /metrics and /healthz under `keytrail run`."),
    ("telemetry", "OTLP over HTTP; empty exports nothing."),
];

/// What a key's name says when its value is nobody's to read, among the settings that are handed on to another program's client. keytrail's own
/// settings hold no secrets, whatever their names say (`age_days_max.api_token` is a number of days).
const SECRET: &[&str] = &["password", "secret", "token", "key.pem", "jaas", "credential", "customer_key"];

/// The configuration as it may be shown.
fn masked(config: &Config) -> Config {
    let mut config = config.clone();
    for (name, value) in config.log.kafka.iter_mut().chain(config.store.s3.iter_mut()) {
        let name = name.to_ascii_lowercase();
        if SECRET.iter().any(|word| name.contains(word)) {
            "(not shown)".clone_into(value);
        }
    }
    for source in config.sources.iter_mut().filter(|source| !source.password.is_empty()) {
        "(not shown)".clone_into(&mut source.password);
    }
    config
}

/// Prints it.
pub fn run(config: &Config) -> anyhow::Result<Code> {
    let text = toml::to_string_pretty(&masked(config))?;
    let text = crate::shown::shown(&text);
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
            "\n# What `keytrail run` watches, once per source:\n# [[source]]\n# name = \"cloudtrail-prod\"\n# format = \"cloudtrail\"\n# paths = [\"/var/log/cloudtrail\"]\n# poll_interval_ms = 5000\n# finished_after_ms = 120000\n#\n# or a server that is asked for its audit events:\n# [[source]]\n# name = \"line-7\"\n# url = \"opc.tcp://HOST:PORT/PATH\"\n# user = \"auditor\"\n# password_file = \"/etc/keytrail/line-7.password\""
        )?;
    }
    Ok(Code::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_numbers_are() {
        let config = Config::parse(
            "[log.kafka]\n\"sasl.password\" = \"hunter2\"\n\"ssl.key.pem\" = \"one\\ntwo\"\n\"security.protocol\" = \"SASL_SSL\"\n[store.s3]\nAWS_SECRET_ACCESS_KEY = \"x\"\naws_access_key_id = \"AKIAIOSFODNN7EXAMPLE\"\n[detect.ledger.age_days_max]\napi_token = 17.0\n",
        )
        .unwrap();
        let shown = masked(&config);
        assert_eq!(shown.log.kafka["sasl.password"], "(not shown)");
        assert_eq!(shown.log.kafka["ssl.key.pem"], "(not shown)");
        assert_eq!(shown.log.kafka["security.protocol"], "SASL_SSL");
        assert_eq!(shown.store.s3["AWS_SECRET_ACCESS_KEY"], "(not shown)");
        assert_eq!(shown.store.s3["aws_access_key_id"], "AKIAIOSFODNN7EXAMPLE");
        assert!(toml::to_string_pretty(&shown).unwrap().contains("api_token = 17"));
    }
}
