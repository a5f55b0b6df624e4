//! Elastic Common Schema 8.17: an alert document. What ECS has no field for stands under `keytrail`.

use keytrail_schemas::{Detection, Finding};
use serde_json::json;

pub(super) fn encode(finding: &Finding) -> String {
    let techniques: Vec<String> =
        finding.tags.iter().filter_map(|tag| tag.strip_prefix("attack.t")).map(|number| format!("T{}", number.to_ascii_uppercase())).collect();
    let detection = |detection: &Detection| {
        json!({
            "id": detection.detection_id,
            "rule": detection.rule,
            "title": detection.title,
            "technique": detection.technique,
            "tactic": detection.tactic,
            "start": detection.first_event_time.to_rfc3339(),
            "end": detection.last_event_time.to_rfc3339(),
            "count": detection.count,
            "action": detection.action,
            "destination": detection.destination,
            "event_ids": detection.event_ids,
        })
    };
    let mut document = json!({
        "@timestamp": finding.time.to_rfc3339(),
        "ecs": { "version": "8.17.0" },
        "event": {
            "kind": "alert",
            "category": ["iam"],
            "type": ["indicator"],
            "module": "keytrail",
            "id": finding.finding_id,
            "severity": i64::from(super::severity_of_ten(finding)) * 10,
            "start": finding.first_event_time.to_rfc3339(),
            "end": finding.last_event_time.to_rfc3339(),
        },
        "message": finding.title,
        "rule": { "id": finding.rule, "name": finding.title, "description": finding.explanation },
        "user": { "id": finding.identity, "name": finding.identity },
        "tags": finding.tags,
        "threat": { "framework": "MITRE ATT&CK", "technique": { "id": techniques }, "tactic": { "name": finding.tactics.clone().unwrap_or_default() } },
        "keytrail": {
            "revision": finding.revision,
            "count": finding.count,
            "credential": finding.credential,
            "credential_age_days": finding.credential_age_days,
            "credential_state": finding.credential_state,
            "destination": finding.destination,
            "reasons": finding.reasons,
            "not_assessable": finding.not_assessable,
            "event_ids": finding.event_ids,
            "rules": finding.rules,
            "p_value": finding.p_value,
            "rank_parts": finding.rank_parts.as_deref().and_then(|parts| serde_json::from_str::<serde_json::Value>(parts).ok()),
            "detections": finding.detections.iter().map(detection).collect::<Vec<_>>(),
        },
    });
    if let Some(ip) = &finding.source_ip {
        document["source"] = json!({ "ip": ip });
    }
    if let Some(action) = &finding.action {
        document["event"]["action"] = json!(action);
    }
    if let Some(score) = finding.score {
        document["event"]["risk_score"] = json!(score);
    }
    document.to_string()
}
