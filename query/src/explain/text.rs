//! An explained finding as a person reads it: the claim first, then why, on what evidence, with which credential, what else
//! is near by, what could not be known, and what to ask next.

use std::fmt::Write as _;

use keytrail_schemas::{CredentialRecord, Detection, Event, Micros};

use super::ExplainedFinding;

/// Events that are listed; the others are counted.
const EVENTS_MAX: usize = 12;

pub(super) fn render(explained: &ExplainedFinding) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, explained);
    out
}

fn write(out: &mut String, explained: &ExplainedFinding) -> std::fmt::Result {
    let finding = &explained.finding;
    writeln!(out, "{} [{}] {}", finding.title, finding.severity, finding.finding_id)?;
    writeln!(
        out,
        "{} finding of rule {}, opened {}, {} from {} to {}",
        finding.kind,
        finding.rule,
        finding.time.to_rfc3339(),
        plural(finding.count, "event"),
        finding.first_event_time.to_rfc3339(),
        finding.last_event_time.to_rfc3339()
    )?;
    if !finding.explanation.is_empty() {
        writeln!(out, "\n{}", finding.explanation)?;
    }
    section(out, "Why", &finding.reasons)?;
    if let Some(p) = finding.p_value {
        writeln!(out, "  as surprising on normal traffic: p = {p:.2e}")?;
    }
    detections(out, &explained.detections)?;
    rank(out, explained)?;
    who(out, explained)?;
    events(out, explained)?;
    neighbours(out, explained)?;
    section(out, "In the same incident", &finding.members)?;
    section(out, "Could not be assessed", &finding.not_assessable)?;
    if !finding.tags.is_empty() {
        writeln!(out, "\nTags: {}", finding.tags.join(", "))?;
    }
    section(out, "Ask next", &finding.next_questions)
}

fn detections(out: &mut String, detections: &[Detection]) -> std::fmt::Result {
    if detections.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nDetections, in order")?;
    for detection in detections {
        write!(out, "  {}  [{}] {}", detection.first_event_time.to_rfc3339(), detection.severity, detection.title)?;
        let attack: Vec<&str> = detection.technique.iter().chain(&detection.tactic).map(AsRef::as_ref).collect();
        if !attack.is_empty() {
            write!(out, " ({})", attack.join(", "))?;
        }
        for (word, part) in [("", &detection.action), ("on ", &detection.destination)] {
            if let Some(part) = part {
                write!(out, "  {word}{part}")?;
            }
        }
        writeln!(out, "  {}  {}", plural(detection.count, "event"), detection.detection_id)?;
        writeln!(out, "    {}", detection.reason)?;
    }
    Ok(())
}

/// The rank as a sum, one line a part.
fn rank(out: &mut String, explained: &ExplainedFinding) -> std::fmt::Result {
    let Some(rank) = explained.finding.score else { return Ok(()) };
    writeln!(out, "\nRank {rank:.1} of 100")?;
    let parts: Vec<serde_json::Value> = explained.finding.rank_parts.as_deref().and_then(|parts| serde_json::from_str(parts).ok()).unwrap_or_default();
    for part in parts {
        let text = |key: &str| part.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let points = part.get("points").and_then(serde_json::Value::as_f64).unwrap_or_default();
        writeln!(out, "  {points:+6.1}  {:<10} {}", text("part"), text("why"))?;
    }
    Ok(())
}

fn section(out: &mut String, title: &str, lines: &[impl AsRef<str>]) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "  {}", line.as_ref()))
}

fn who(out: &mut String, explained: &ExplainedFinding) -> std::fmt::Result {
    let finding = &explained.finding;
    writeln!(out, "\nWho")?;
    write!(out, "  {} ({})", finding.identity, finding.identity_kind)?;
    if let Some(identity) = &explained.identity {
        let owner = identity.owner.as_ref().map_or("no declared owner".to_owned(), |owner| format!("owner {owner}"));
        write!(
            out,
            ", {owner}, first seen {}, {}, {}",
            moment(identity.first_seen),
            plural(identity.credentials, "credential"),
            plural(identity.findings, "finding")
        )?;
    }
    writeln!(out)?;
    if let Some(credential) = &finding.credential {
        let age = match (finding.credential_age_days, finding.credential_age_is_exact) {
            (Some(days), true) => format!("{days:.1} days old"),
            (Some(days), false) => format!("at least {days:.1} days old"),
            (None, _) => "of unknown age".to_owned(),
        };
        writeln!(out, "  with {credential}: {age}, {} at that moment", finding.credential_state)?;
    }
    if let Some(record) = &explained.credential {
        writeln!(out, "    now {}", life(record))?;
    }
    for name in &finding.credential_lineage {
        match explained.lineage.iter().find(|record| record.credential == *name) {
            Some(record) => writeln!(out, "    obtained with {name} of {}: {}", record.identity, life(record))?,
            None => writeln!(out, "    obtained with {name}")?,
        }
    }
    if !explained.candidates.is_empty() {
        writeln!(out, "  An address is no person. Seen from there in the same quarters of an hour, which proves nothing:")?;
    }
    for near in &explained.candidates {
        let by = near.protocol.as_deref().unwrap_or("unknown protocol");
        let how = if by == "dhcp" { "had the address" } else { by };
        writeln!(out, "    {}: {how}, {} of {}, last {}", near.candidate, near.together, plural(near.acted, "span"), near.last.to_rfc3339())?;
    }
    Ok(())
}

fn life(record: &CredentialRecord) -> String {
    let exactly = if record.issued_is_exact { "" } else { " or before" };
    let mut words = vec![format!("{} {}", record.state, record.kind), format!("issued {}{exactly}", moment(record.issued_at))];
    let facts = [("superseded", record.superseded_at), ("revoked", record.revoked_at), ("expires", record.expires_at), ("last used", record.last_used)];
    words.extend(facts.iter().filter_map(|(what, time)| time.map(|time| format!("{what} {}", time.to_rfc3339()))));
    words.join(", ")
}

fn events(out: &mut String, explained: &ExplainedFinding) -> std::fmt::Result {
    let finding = &explained.finding;
    writeln!(out, "\nEvidence")?;
    for event in explained.evidence.iter().take(EVENTS_MAX) {
        writeln!(out, "  {}", one_line(event))?;
    }
    let listed = explained.evidence.len().min(EVENTS_MAX);
    let more = usize::try_from(finding.count).unwrap_or_default().saturating_sub(listed);
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    let lost = finding.event_ids.len().saturating_sub(explained.evidence.len());
    if lost > 0 {
        writeln!(out, "  {lost} of the {} named events are not in the lake (not yet stored, or past retention)", finding.event_ids.len())?;
    }
    Ok(())
}

fn one_line(event: &Event) -> String {
    let mut words = vec![event.time.to_rfc3339(), event.activity.to_string(), event.outcome.to_string()];
    let parts = [
        ("", &event.action),
        ("on ", &event.destination),
        ("over ", &event.protocol),
        ("from ", &event.source_ip),
        ("with ", &event.credential),
        ("reason ", &event.reason),
    ];
    words.extend(parts.iter().filter_map(|(word, part)| part.as_ref().map(|part| format!("{word}{part}"))));
    words.push(format!("[{}]", event.event_id));
    words.join("  ")
}

fn neighbours(out: &mut String, explained: &ExplainedFinding) -> std::fmt::Result {
    if explained.neighbours.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWithin a day")?;
    for other in &explained.neighbours {
        writeln!(
            out,
            "  {}  [{}] {}  {} (same {})  {}",
            other.time.to_rfc3339(),
            other.severity,
            other.title,
            other.identity,
            other.shares.join(", "),
            other.finding_id
        )?;
    }
    Ok(())
}

fn moment(time: Option<Micros>) -> String {
    time.map_or_else(|| "at an unknown time".to_owned(), Micros::to_rfc3339)
}

fn plural(count: i64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
