//! Detections and findings end to end: several techniques of a real attack tool in one account are each to be seen, and what the lake holds of
//! them is the same however it came there.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::estate::{Home, cloudtrail_lines, stderr};

/// Records of Stratus Red Team, as AWS logged them, put into one account: the same user with the same key, a technique every four minutes.
fn several_techniques() -> Option<(String, Vec<&'static str>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cloudtrail/stratus-attacks");
    if !folder.is_dir() {
        println!("skipped: {} does not exist, so no real attacks were read", folder.display());
        return None;
    }
    let techniques = [
        ("aws.execution.ssm-start-session", "ssm:StartSession"),
        ("aws.credential-access.secretsmanager-retrieve-secrets", "secretsmanager:GetSecretValue"),
        ("aws.persistence.iam-create-backdoor-role", "iam:AttachRolePolicy"),
        ("aws.persistence.iam-backdoor-role", "iam:UpdateAssumeRolePolicy"),
        ("aws.exfiltration.ec2-share-ebs-snapshot", "ec2:ModifySnapshotAttribute"),
        ("aws.defense-evasion.cloudtrail-event-selectors", "cloudtrail:PutEventSelectors"),
    ];
    let user = json!({
        "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/deployer", "accountId": "111122223333",
        "accessKeyId": "AKIAEXAMPLEEXAMPLE00", "userName": "deployer"
    });
    let mut lines = String::new();
    for (place, (file, _)) in techniques.iter().enumerate() {
        let text = std::fs::read_to_string(folder.join(format!("{file}.json"))).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap_or_else(|_| text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect());
        let records = read.get("Records").unwrap_or(&read).as_array().cloned().unwrap_or_else(|| vec![read.clone()]);
        for (second, mut record) in records.into_iter().enumerate() {
            record["userIdentity"] = user.clone();
            record["recipientAccountId"] = json!("111122223333");
            record["eventTime"] = json!(format!("2026-03-02T10:{:02}:{:02}Z", place * 4, second.min(59)));
            lines.push_str(&record.to_string());
            lines.push('\n');
        }
    }
    Some((lines, techniques.map(|(_, action)| action).to_vec()))
}

#[test]
fn several_techniques_within_an_hour_are_each_a_detection_of_one_finding_in_order_with_its_own_act() {
    let Some((lines, actions)) = several_techniques() else { return };
    let home = Home::new();
    let path = home.file("attack.json", lines);
    home.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    let detections = home.rows(&["sql", "select * from detections order by first_event_time"]);
    let findings = home.rows(&["findings", "--identity", "deployer"]);
    let told: Vec<&Value> = detections.iter().filter(|detection| !detection["finding_id"].is_null()).collect();
    assert!(told.iter().all(|detection| detection["finding_id"] == findings[0]["finding_id"]), "one finding: {told:#?}");
    // What keytrail's own rules know without any history.
    let known = ["iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "cloudtrail:PutEventSelectors"];
    let mut times = Vec::new();
    for action in known {
        let own = told.iter().find(|detection| detection["action"] == action).unwrap_or_else(|| panic!("{action} is no detection: {told:#?}"));
        let id = own["event_ids"][0].as_str().unwrap();
        let event = &home.rows(&["sql", &format!("select action from events where event_id = '{id}'")])[0];
        assert_eq!(event["action"], action, "its own act is its evidence");
        assert!(findings[0]["event_ids"].as_array().unwrap().iter().any(|known| known == id), "and the finding's");
        times.push(own["first_event_time"].as_str().unwrap().to_owned());
    }
    assert!(times.is_sorted(), "{times:?}");
    let seen: Vec<&str> = actions.into_iter().filter(|action| told.iter().any(|detection| detection["action"] == *action)).collect();
    println!("{} detections told, of the techniques' acts: {seen:?}", told.len());
    let explained = home.run(&["explain", findings[0]["finding_id"].as_str().unwrap(), "--output", "table"]);
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(known.iter().all(|action| text.contains(action)) && text.contains("Rank "), "{text}");
    let by_technique = home.rows(&["detections", "--technique", "T1562"]);
    assert!(by_technique.iter().any(|detection| detection["action"] == "cloudtrail:PutEventSelectors"), "{by_technique:#?}");
}

/// Every field of every revision, also what is not a whole number, through the log's JSON and without it.
#[test]
fn a_rebuilt_lake_is_the_lake_in_every_field() {
    let home = Home::new();
    let path = home.file("a.log", cloudtrail_lines(5_000));
    home.ingest(&[path.to_str().unwrap()]);
    let all = |table: &str, order: &str| home.rows(&["sql", &format!("select * from {table} order by {order}")]);
    let findings = all("findings_log", "log_partition, log_offset, rule_index");
    let detections = all("detections_log", "log_partition, log_offset, detection_id, revision");
    assert!(!findings.is_empty() && !detections.is_empty());
    let fractions = |rows: &[Value], column: &str| rows.iter().filter(|row| row[column].as_f64().is_some_and(|number| number.fract() != 0.0)).count();
    assert!(fractions(&detections, "credential_age_days") > 0, "the input must give numbers with digits");
    let rebuilt = home.run(&["rebuild"]);
    assert!(rebuilt.status.success(), "{}", stderr(&rebuilt));
    assert_eq!(all("findings_log", "log_partition, log_offset, rule_index"), findings);
    assert_eq!(all("detections_log", "log_partition, log_offset, detection_id, revision"), detections);
}
