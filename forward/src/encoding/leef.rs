//! `QRadar` Log Event Extended Format 2.0: `LEEF:2.0|vendor|product|version|event id|delimiter|attributes`, here with a tab (`x09`)
//! between attributes (IBM, LEEF overview).

use keytrail_schemas::Finding;

pub(super) fn encode(finding: &Finding) -> String {
    let mut attributes = vec![
        ("devTime", finding.time.0.div_euclid(1_000).to_string()),
        ("sev", super::severity_of_ten(finding).to_string()),
        ("cat", finding.kind.as_str().to_owned()),
        ("usrName", finding.identity.to_string()),
        ("findingId", finding.finding_id.to_string()),
        ("title", finding.title.to_string()),
        ("count", finding.count.to_string()),
    ];
    let optional = [
        ("src", &finding.source_ip),
        ("resource", &finding.destination),
        ("proto", &finding.protocol),
        ("action", &finding.action),
        ("credential", &finding.credential),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value.to_string()))));
    if let Some(age) = finding.credential_age_days {
        attributes.push(("credentialAgeDays", format!("{age:.2}")));
    }
    if let Some(rank) = finding.score {
        attributes.push(("rank", format!("{rank:.1}")));
    }
    if let Some(detections) = finding.detections_count {
        attributes.push(("detections", detections.to_string()));
    }
    if let Some(tactics) = &finding.tactics {
        attributes.push(("tactics", tactics.join(",")));
    }
    attributes.push(("tags", finding.tags.join(",")));
    attributes.push(("explanation", finding.explanation.clone()));
    let attributes: Vec<String> = attributes.into_iter().map(|(key, value)| format!("{key}={}", value.replace(['\t', '\n', '\r'], " "))).collect();
    format!("LEEF:2.0|keytrail|keytrail|{}|{}|x09|{}", env!("CARGO_PKG_VERSION"), finding.rule.replace(['|', '\n', '\r'], "_"), attributes.join("\t"))
}
