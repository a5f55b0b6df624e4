//! Findings and events as OCSF 1.5 documents (<https://schema.ocsf.io>): Detection Finding 2004, Incident Finding 2005, Authentication 3002, Account Change
//! 3001, Authorize Session 3003, API Activity 6003, Entity Management 3004. What OCSF has no place for stands under `unmapped`.

use serde_json::{Map, Value, json};

use crate::{Activity, Detection, Event, Finding, FindingKind, IdentityKind, Outcome, Severity};

/// The OCSF version that documents name.
pub const VERSION: &str = "1.5.0";

/// A finding as OCSF: a Detection Finding (2004) where it tells of one detection, an Incident Finding (2005) where it tells of several. Times
/// are milliseconds since the epoch, as OCSF demands.
#[must_use]
pub fn finding_to_ocsf(finding: &Finding) -> Value {
    if finding.detections.len() > 1 { incident_finding(finding) } else { detection_finding(finding) }
}

/// What several detections tell together: one entry of `finding_info_list` for each, in order of time.
fn incident_finding(finding: &Finding) -> Value {
    let activity = if finding.revision == 0 { 1 } else { 2 };
    let mut document = json!({
        "activity_id": activity,
        "activity_name": if activity == 1 { "Create" } else { "Update" },
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2005,
        "class_name": "Incident Finding",
        "type_uid": 200_500 + activity,
        "time": millis(finding.time),
        "start_time": millis(finding.first_event_time),
        "end_time": millis(finding.last_event_time),
        "count": finding.count,
        "severity_id": severity_id(finding.severity),
        "severity": severity_name(finding.severity),
        "status_id": 1,
        "status": "New",
        "desc": finding.explanation,
        "message": finding.title,
        "metadata": metadata(Some(&finding.finding_id)),
        "finding_info_list": finding.detections.iter().map(finding_info).collect::<Vec<_>>(),
        "attacks": finding.detections.iter().filter_map(attack).collect::<Vec<_>>(),
        "unmapped": unmapped(finding),
    });
    document["unmapped"]["evidences"] = finding.detections.iter().map(evidence_of).collect();
    if let Some(score) = finding.score {
        document["unmapped"]["score"] = json!(score);
    }
    document
}

fn finding_info(detection: &Detection) -> Value {
    json!({
        "uid": detection.detection_id,
        "title": detection.title,
        "desc": detection.reason,
        "types": [detection.kind.as_str()],
        "first_seen_time": millis(detection.first_event_time),
        "last_seen_time": millis(detection.last_event_time),
        "analytic": analytic(&detection.rule, &detection.title, detection.kind),
        "attacks": attack(detection).into_iter().collect::<Vec<_>>(),
        "related_events": detection.event_ids.iter().map(|id| json!({ "uid": id })).collect::<Vec<_>>(),
    })
}

fn evidence_of(detection: &Detection) -> Value {
    json!({
        "detection_uid": detection.detection_id,
        "action": detection.action,
        "destination": detection.destination,
        "source_ip": detection.source_ip,
        "credential": detection.credential,
        "credential_age_days": detection.credential_age_days,
        "credential_state": detection.credential_state.as_str(),
        "count": detection.count,
        "event_ids": detection.event_ids,
    })
}

fn attack(detection: &Detection) -> Option<Value> {
    let technique = detection.technique.as_ref()?;
    let tactic = detection.tactic.as_ref().map(|tactic| json!({ "name": tactic }));
    Some(json!({ "technique": { "uid": technique }, "tactic": tactic }))
}

fn analytic(rule: &str, title: &str, kind: FindingKind) -> Value {
    let (type_id, name) = if kind == FindingKind::Policy { (1, "Rule") } else { (2, "Behavioral") };
    json!({ "uid": rule, "name": title, "type_id": type_id, "type": name })
}

fn detection_finding(finding: &Finding) -> Value {
    let activity = if finding.revision == 0 { 1 } else { 2 };
    let mut document = json!({
        "activity_id": activity,
        "activity_name": if activity == 1 { "Create" } else { "Update" },
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_400 + activity,
        "time": millis(finding.time),
        "start_time": millis(finding.first_event_time),
        "end_time": millis(finding.last_event_time),
        "count": finding.count,
        "severity_id": severity_id(finding.severity),
        "severity": severity_name(finding.severity),
        "status_id": 1,
        "status": "New",
        "message": finding.title,
        "metadata": metadata(Some(&finding.finding_id)),
        "finding_info": {
            "uid": finding.finding_id,
            "title": finding.title,
            "desc": finding.explanation,
            "types": [finding.kind.as_str()],
            "first_seen_time": millis(finding.first_event_time),
            "last_seen_time": millis(finding.last_event_time),
            "analytic": analytic(&finding.rule, &finding.title, finding.kind),
            "attacks": attacks(finding),
        },
        "evidences": [evidence(finding)],
        "unmapped": unmapped(finding),
    });
    if let Some(p) = finding.p_value {
        document["confidence_score"] = json!(((1.0 - p) * 100.0).round());
    }
    if let Some(score) = finding.score {
        document["unmapped"]["score"] = json!(score);
    }
    if finding.p_value.is_some() {
        document["anomaly_analyses"] = json!([{
            "analysis_targets": [{ "name": finding.identity, "type": "Identity" }],
            "anomalies": [{ "observation_parameter": finding.rule, "observations": finding.reasons.iter().map(|reason| json!({ "value": reason, "count": finding.count })).collect::<Vec<_>>() }],
        }]);
    }
    document
}

fn evidence(finding: &Finding) -> Value {
    let mut evidence = json!({ "actor": { "user": { "uid": finding.identity, "name": finding.identity, "type": finding.identity_kind.as_str() } }, "data": { "event_ids": finding.event_ids } });
    if let Some(credential) = &finding.credential {
        evidence["actor"]["user"]["credential_uid"] = json!(credential);
    }
    if let Some(ip) = &finding.source_ip {
        evidence["src_endpoint"] = json!({ "ip": ip });
    }
    if let Some(destination) = &finding.destination {
        evidence["resources"] = json!([{ "uid": destination }]);
    }
    if let Some(action) = &finding.action {
        evidence["api"] = json!({ "operation": action });
    }
    evidence
}

fn attacks(finding: &Finding) -> Vec<Value> {
    let techniques = finding.tags.iter().filter_map(|tag| tag.strip_prefix("attack.t"));
    techniques.map(|number| json!({ "technique": { "uid": format!("T{}", number.to_ascii_uppercase()) } })).collect()
}

fn unmapped(finding: &Finding) -> Value {
    json!({
        "revision": finding.revision,
        "credential_age_days": finding.credential_age_days,
        "credential_age_is_exact": finding.credential_age_is_exact,
        "credential_state": finding.credential_state.as_str(),
        "credential_lineage": finding.credential_lineage,
        "reasons": finding.reasons,
        "not_assessable": finding.not_assessable,
        "p_value": finding.p_value,
        "tags": finding.tags,
        "members": finding.members,
        "next_questions": finding.next_questions,
        "log_partition": finding.log_partition,
        "log_offset": finding.log_offset,
        "rule_index": finding.rule_index,
        "tactics": finding.tactics,
        "rank_parts": finding.rank_parts.as_deref().and_then(|parts| serde_json::from_str::<Value>(parts).ok()),
    })
}

/// An event as the OCSF class of its activity.
#[must_use]
pub fn event_to_ocsf(event: &Event) -> Value {
    let (class, name, activity) = class_of(event.activity);
    let mut document = json!({
        "class_uid": class,
        "class_name": name,
        "category_uid": class / 1000,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "time": millis(event.time),
        "severity_id": 1,
        "severity": "Informational",
        "status_id": match event.outcome { Outcome::Success => 1, Outcome::Failure | Outcome::Denied => 2, Outcome::Unknown => 0 },
        "status": match event.outcome { Outcome::Success => "Success", Outcome::Failure | Outcome::Denied => "Failure", Outcome::Unknown => "Unknown" },
        "metadata": metadata(Some(&event.event_id.to_hex())),
        "actor": { "user": { "uid": event.identity, "name": event.identity, "type_id": if event.identity_kind == IdentityKind::Human { 1 } else { 3 } } },
    });
    let mut set = |pointer: [&str; 2], value: Option<Value>| {
        if let Some(value) = value {
            document[pointer[0]][pointer[1]] = value;
        }
    };
    set(["src_endpoint", "ip"], event.source_ip.as_ref().map(|v| json!(v)));
    set(["src_endpoint", "hostname"], event.source_host.as_ref().map(|v| json!(v)));
    set(["http_request", "user_agent"], event.user_agent.as_ref().map(|v| json!(v)));
    set(["api", "operation"], event.action.as_ref().map(|v| json!(v)));
    set(["cloud", "provider"], Some(json!(event.identity_provider)));
    if let Some(destination) = &event.destination {
        document["resources"] = json!([{ "uid": destination, "type": event.destination_kind }]);
    }
    if let Some(reason) = &event.reason {
        document["status_detail"] = json!(reason);
    }
    if let Some(raw) = &event.raw {
        document["raw_data"] = json!(raw);
    }
    let mut rest = Map::new();
    let all = serde_json::to_value(event).unwrap_or_default();
    for key in [
        "activity",
        "outcome",
        "credential",
        "credential_kind",
        "credential_issued_at",
        "credential_expires_at",
        "credential_parent",
        "issuer",
        "environment",
        "protocol",
        "auth_method",
        "session",
        "source",
        "format",
        "identity_account",
    ] {
        if let Some(value) = all.get(key).filter(|value| !value.is_null()) {
            rest.insert(key.to_owned(), value.clone());
        }
    }
    document["unmapped"] = Value::Object(rest);
    document
}

fn class_of(activity: Activity) -> (i64, &'static str, i64) {
    match activity {
        Activity::Authenticate => (3002, "Authentication", 1),
        Activity::End => (3002, "Authentication", 2),
        Activity::Use => (6003, "API Activity", 99),
        Activity::Issue => (3003, "Authorize Session", 1),
        Activity::Grant => (3003, "Authorize Session", 2),
        Activity::Rotate | Activity::Renew | Activity::Revoke | Activity::Expire => (3001, "Account Change", 99),
        Activity::Configure | Activity::Declare => (3004, "Entity Management", 3),
    }
}

fn metadata(uid: Option<&str>) -> Value {
    json!({ "version": VERSION, "uid": uid, "product": { "name": "keytrail", "vendor_name": "keytrail", "version": env!("CARGO_PKG_VERSION") } })
}

const fn millis(time: crate::Micros) -> i64 {
    time.0.div_euclid(1_000)
}

const fn severity_id(severity: Severity) -> i64 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

#[cfg(test)]
mod tests {
    use super::{event_to_ocsf, finding_to_ocsf};
    use crate::{Activity, Event, Finding, FindingKind, Micros, Outcome, Severity};

    #[test]
    fn a_finding_is_a_detection_finding() {
        let finding = Finding {
            finding_id: "f1".into(),
            severity: Severity::High,
            kind: FindingKind::Statistical,
            tags: vec!["attack.t1078.004".into(), "nhi.7".into()],
            reasons: vec!["new destination".into()],
            score: Some(4.0),
            p_value: Some(0.001),
            time: Micros(1_700_000_000_000_000),
            ..Finding::default()
        };
        let document = finding_to_ocsf(&finding);
        assert_eq!(document["type_uid"], 200_401);
        assert_eq!(document["time"], 1_700_000_000_000_i64);
        assert_eq!(document["severity_id"], 4);
        assert_eq!(document["finding_info"]["attacks"][0]["technique"]["uid"], "T1078.004");
        assert_eq!(document["anomaly_analyses"][0]["anomalies"][0]["observations"][0]["value"], "new destination");
        assert!(finding_to_ocsf(&Finding::default()).get("anomaly_analyses").is_none());
    }

    #[test]
    fn an_event_takes_the_class_of_its_activity() {
        for (activity, class) in
            [(Activity::Authenticate, 3002), (Activity::Use, 6003), (Activity::Issue, 3003), (Activity::Revoke, 3001), (Activity::Configure, 3004)]
        {
            let document = event_to_ocsf(&Event { activity, outcome: Outcome::Denied, ..Event::default() });
            assert_eq!(document["class_uid"], class);
            assert_eq!(document["status_id"], 2);
            assert_eq!(document["unmapped"]["activity"], activity.as_str());
        }
    }
}
