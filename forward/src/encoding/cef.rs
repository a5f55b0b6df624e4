//! `ArcSight` Common Event Format 0: `CEF:0|vendor|product|version|signature|name|severity|extension`. In the header `|` and `\` are
//! escaped, in the extension `=`, `\` and line ends (`ArcSight` CEF Implementation Standard, version 26).

use std::fmt::Write as _;

use keytrail_schemas::Finding;

pub(super) fn encode(finding: &Finding) -> String {
    let mut line = format!(
        "CEF:0|keytrail|keytrail|{}|{}|{}|{}|",
        env!("CARGO_PKG_VERSION"),
        header(&finding.rule),
        header(&finding.title),
        super::severity_of_ten(finding)
    );
    let mut extension = |key: &str, value: &str| {
        let separator = if line.ends_with('|') { "" } else { " " };
        let _ = write!(line, "{separator}{key}={}", escaped(value));
    };
    extension("externalId", &finding.finding_id);
    extension("rt", &finding.time.0.div_euclid(1_000).to_string());
    extension("start", &finding.first_event_time.0.div_euclid(1_000).to_string());
    extension("end", &finding.last_event_time.0.div_euclid(1_000).to_string());
    extension("cnt", &finding.count.to_string());
    extension("suser", &finding.identity);
    if let Some(ip) = &finding.source_ip {
        extension("src", ip);
    }
    if let Some(action) = &finding.action {
        extension("act", action);
    }
    if let Some(protocol) = &finding.protocol {
        extension("app", protocol);
    }
    if let Some(destination) = &finding.destination {
        extension("cs1Label", "destination");
        extension("cs1", destination);
    }
    if let Some(credential) = &finding.credential {
        extension("cs2Label", "credential");
        extension("cs2", credential);
    }
    if let Some(age) = finding.credential_age_days {
        extension("cfp1Label", "credentialAgeDays");
        extension("cfp1", &format!("{age:.2}"));
    }
    if let Some(rank) = finding.score {
        extension("cfp2Label", "rank");
        extension("cfp2", &format!("{rank:.1}"));
    }
    if let Some(detections) = finding.detections_count {
        extension("cn1Label", "detections");
        extension("cn1", &detections.to_string());
    }
    if let Some(tactics) = &finding.tactics {
        extension("cs4Label", "tactics");
        extension("cs4", &tactics.join(","));
    }
    extension("cs3Label", "tags");
    extension("cs3", &finding.tags.join(","));
    extension("msg", &finding.explanation);
    line
}

fn header(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace("\r\n", "\\n").replace(['\n', '\r'], "\\n")
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
