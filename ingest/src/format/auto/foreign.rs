//! Logs that are known by sight and not read, so that the refusal says what the file is and what to do.

use crate::json::{Reader, Value};

/// What `sample` is, and what to do about it; `record` is its first JSON value.
pub(super) fn recognise(sample: &[u8], record: Option<&[u8]>) -> Option<String> {
    if let Some(kind) = binary(sample) {
        return Some(format!("{kind}, not a log that is read here"));
    }
    let text = String::from_utf8_lossy(sample.get(..4096).unwrap_or(sample));
    let found = match record.filter(|_| text.trim_start().starts_with(['{', '['])) {
        Some(record) => {
            let mut reader = Reader::default();
            json(reader.parse(record).ok()?.root())?
        }
        None => lines(&text)?,
    };
    Some(found.to_owned())
}

fn binary(sample: &[u8]) -> Option<&'static str> {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"PAR1", "a Parquet file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\xd4\xc3\xb2\xa1", "a packet capture (pcap): let Zeek read it, and read its logs"),
        (b"\xa1\xb2\xc3\xd4", "a packet capture (pcap): let Zeek read it, and read its logs"),
        (b"\x0a\x0d\x0d\x0a", "a packet capture (pcapng): let Zeek read it, and read its logs"),
        (b"\x7fELF", "a program (ELF)"),
        (b"%PDF-", "a PDF document"),
        (b"\x89PNG", "a picture (PNG)"),
        (b"Obj\x01", "an Avro file"),
        (b"ORC", "an ORC file"),
        (b"\xff\xfe", "text in UTF-16: convert it to UTF-8"),
        (b"\xfe\xff", "text in UTF-16: convert it to UTF-8"),
    ];
    MAGIC.iter().find(|(magic, _)| sample.starts_with(magic)).map(|(_, kind)| *kind)
}

fn lines(text: &str) -> Option<&'static str> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    let any = |needle: &str| text.contains(needle);
    let vault_level = ["[INFO]  ", "[WARN]  ", "[ERROR] ", "[DEBUG] ", "[TRACE] "].iter().any(|level| first.contains(level));
    if any("==> Vault server")
        || any("==> OpenBao server")
        || (vault_level
            && ["core", "vault", "expiration", "identity", "rollback", "proxy environment", "storage.", "agent"].iter().any(|module| first.contains(module)))
    {
        return Some(
            "the log of the Vault server, which does not say who did what: turn on an audit device (`vault audit enable file file_path=…`) and read its file",
        );
    }
    if first.starts_with("version account-id interface-id") || (first.split(' ').count() == 14 && first.contains(" eni-")) {
        return Some("a VPC flow log: it names no identity");
    }
    if first.starts_with("Event Type,Event Name") || first.starts_with("Event name,Event time") {
        return Some("CloudTrail's event history as CSV, which leaves most fields out: download it as JSON, or read the trail's files");
    }
    if first.starts_with("<?xml") || first.starts_with("<Event ") || first.starts_with("<Events") {
        return Some("XML, of which only Windows' events are read");
    }
    if first.starts_with("<!DOCTYPE") || first.starts_with("<html") {
        return Some("a web page; was the download an error or a login page?");
    }
    if let Some(what) = beside(text, first) {
        return Some(what);
    }
    is_syslog(first).then_some("syslog, which is not read in this version")
}

/// What lies beside logs in folders and repositories.
fn beside(text: &str, first: &str) -> Option<&'static str> {
    let first = first.trim();
    let title = first.trim_matches(['#', '=', ' ', '*']);
    if ["Apache License", "MIT License", "The MIT License", "BSD 3-Clause", "GNU GENERAL PUBLIC LICENSE", "Mozilla Public License", "Elastic License"]
        .iter()
        .any(|name| title.starts_with(name))
        || text.contains("Permission is hereby granted, free of charge")
        || (title.starts_with("Copyright") && text.contains("Redistribution and use"))
    {
        return Some("a licence, no log: leave it out");
    }
    let lines = || text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    if (first.starts_with("# ") || first.starts_with("## "))
        && lines().any(|line| line.starts_with("## ") || line.starts_with("- ") || line.starts_with("| ") || line.contains("]("))
    {
        return Some("Markdown, no log: leave it out");
    }
    // `key: value`, lists and deeper keys, and nothing else.
    let is_key = |line: &str| {
        line.split_once(':')
            .is_some_and(|(key, rest)| !key.is_empty() && key.len() <= 64 && !key.contains([' ', '/']) && (rest.is_empty() || rest.starts_with(' ')))
    };
    let is_yaml = |line: &str| line.starts_with(['#', '-', ' ']) || is_key(line);
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or(text);
    if (first == "---" || is_key(first))
        && whole.lines().filter(|line| !line.trim().is_empty()).all(is_yaml)
        && whole.lines().filter(|line| is_key(line)).count() >= 2
    {
        return Some("YAML, no log: leave it out");
    }
    None
}

/// RFC 5424 or 3164, with or without a priority, or with an RFC 3339 time, a host and a program.
fn is_syslog(line: &str) -> bool {
    const MONTHS: [&str; 12] = ["Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ", "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec "];
    let priority = line.strip_prefix('<').and_then(|rest| rest.split_once('>')).filter(|(n, _)| n.len() <= 3 && n.bytes().all(|b| b.is_ascii_digit()));
    let rest = priority.map_or(line, |(_, rest)| rest);
    let program = rest.split(": ").next().is_some_and(|head| head.ends_with(']') || head.split(' ').count() >= 4);
    priority.is_some() || (MONTHS.iter().any(|month| rest.starts_with(month)) && program)
}

fn json(value: Value<'_>) -> Option<&'static str> {
    // What Elastic's pipelines are tested with stands beside the logs in their repositories.
    let value = value.get("expected").filter(|list| list.is_array()).unwrap_or(value);
    let value = if value.is_array() { value.items().next()? } else { value };
    let has = |key: &str| value.get(key).is_some();
    let text = |path: &[&str]| value.str_at(path).unwrap_or_default();
    if has("@level") && has("@message") && has("@module") {
        return Some(
            "the log of the Vault server (or of another HashiCorp program), which does not say who did what: turn on an audit device (`vault audit enable file file_path=…`) and read its file",
        );
    }
    if text(&["Records"]).is_empty() && value.get("Records").and_then(|r| r.items().next()).and_then(|r| r.str_at(&["eventSource"])) == Some("aws:s3") {
        return Some("an S3 event notification: read the file that it announces");
    }
    if has("@timestamp") && has("ecs") {
        return Some("documents of Elastic Common Schema, which are no source's own record: read the original logs");
    }
    None
}
