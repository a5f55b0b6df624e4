//! Equal rows with keytrail's own answers, from both executors.

use arrow::util::pretty::pretty_format_batches;

use crate::asked::{Asked, are_worth_comparing, asked, rows, written};
use crate::process::Cluster;

/// Puts a question to the cluster, and gives its rows as text.
pub(crate) fn answered(cluster: &Cluster, lake: &std::path::Path, asked: &Asked) -> Vec<String> {
    let text = |key: &str| asked.ask[key].as_str().unwrap_or_default().to_owned();
    let (name, value, since, until) = (text("name").replace('_', "-"), text("value"), text("since"), text("until"));
    let mut arguments = vec![name.as_str()];
    if name != "posture" {
        arguments.push(&value);
        for (option, time) in [("--since", &since), ("--until", &until)] {
            if !time.is_empty() {
                arguments.extend([option, time]);
            }
        }
    }
    rows(&cluster.ask(lake, &arguments), 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_executors_answer_with_equal_rows() {
    let cluster = Cluster::of(2);
    for is_full in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let session = written(folder.path(), is_full).await;
        let all = asked(&session, 1).await;
        if is_full {
            are_worth_comparing(&all);
        }
        for asked in &all {
            assert_eq!(answered(&cluster, folder.path(), asked), rows(&asked.answer, 1), "{}", asked.ask);
        }
    }
    for (index, executor) in cluster.executors.iter().enumerate() {
        assert!(!executor.computed().is_empty(), "executor {index} computed something");
    }
    let jobs = cluster.api("/api/jobs");
    let jobs = jobs.as_array().unwrap();
    assert_eq!(jobs.len(), 2 * 11);
    assert!(jobs.iter().all(|job| job["status"] == "Completed"), "{jobs:?}");
    assert!(jobs.iter().any(|job| job["num_stages"].as_u64() > Some(2)), "some were split into stages: {jobs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_is_answered_as_keytrail_answers_it() {
    let cluster = Cluster::of(2);
    let folder = tempfile::tempdir().unwrap();
    let session = written(folder.path(), true).await;
    for query in [
        "SELECT day, count(*) AS n, min(time) AS first FROM events GROUP BY day ORDER BY day",
        "SELECT identity, count(*) AS n FROM events WHERE day BETWEEN DATE '2026-03-02' AND DATE '2026-03-04' GROUP BY identity ORDER BY n DESC, identity LIMIT 3",
        "SELECT e.identity, c.kind, count(*) AS n FROM events e JOIN credentials c ON c.credential = e.credential GROUP BY e.identity, c.kind ORDER BY 1, 2",
        "SELECT finding_id, revision, title FROM findings ORDER BY finding_id",
        "SELECT count(*) AS n FROM detections",
        "SELECT 1 AS one",
        "SELECT sum(n) AS n FROM (SELECT count(*) AS n FROM events UNION ALL SELECT 1 UNION ALL SELECT count(*) FROM detections UNION ALL SELECT 2 WHERE 1 = 0)",
    ] {
        let answer = cluster.ask(folder.path(), &["sql", query]);
        let own = session.sql(query).await.unwrap();
        assert_eq!(pretty_format_batches(&answer).unwrap().to_string(), pretty_format_batches(&own).unwrap().to_string(), "{query}");
    }
    // As text: one object a line, or a header and a line a row.
    let text = |arguments: &[&str]| {
        let output = cluster.client(folder.path(), arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let query = "SELECT destination, count FROM touched('backup', '2026-03-04', NULL) ORDER BY destination";
    let whole = query.replace("backup", crate::lake::BACKUP);
    let (json, _) = text(&["sql", &whole]);
    let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["destination"] == "aws:s3/payroll-prod"), "{json}");
    let (csv, _) = text(&["sql", &whole, "--output", "csv"]);
    assert_eq!((csv.lines().next(), csv.lines().count()), (Some("destination,count"), lines.len() + 1), "{csv}");
    // A fragment that only one identity holds, a time that counts back from the newest event, and what the answer cannot know.
    let (json, told) = text(&["touched", "user/backup", "--since", "-2d"]);
    assert!(json.contains("\"identity\":") && told.contains("coverage"), "{json} {told}");
    let (plan, _) = text(&["sql", "EXPLAIN SELECT count(*) FROM events WHERE day = DATE '2026-03-03'"]);
    assert!(plan.contains("day=2026-03-03") && !plan.contains("day=2026-03-01"), "{plan}");
    let (tables, _) = text(&["sql", "SELECT table_name FROM information_schema.tables WHERE table_name = 'events'"]);
    assert!(tables.contains("events"), "{tables}");
}
