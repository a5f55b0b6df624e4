//! Where addresses are: databases of the operator's, and what an address says itself.

use serde_json::json;

use crate::estate::{Home, cloudtrail, stderr};

fn database(name: &str) -> String {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ingest/tests/enrich").join(name).display().to_string()
}

#[test]
fn country_and_network_are_written_as_the_record_is_read() {
    let home = Home::new();
    let by_address = cloudtrail(10, "svc-a", "AKIA1", "s3.amazonaws.com", "GetObject", json!({ "bucketName": "b" }));
    let mut by_service = cloudtrail(20, "svc-b", "AKIA2", "s3.amazonaws.com", "GetObject", json!({ "bucketName": "b" }));
    by_service["sourceIPAddress"] = json!("cloudformation.amazonaws.com");
    let mut inside = cloudtrail(30, "svc-c", "AKIA3", "s3.amazonaws.com", "GetObject", json!({ "bucketName": "b" }));
    inside["sourceIPAddress"] = json!("AWS Internal");
    let mut own = cloudtrail(40, "svc-d", "AKIA4", "s3.amazonaws.com", "GetObject", json!({ "bucketName": "b" }));
    own["sourceIPAddress"] = json!("10.1.2.3");
    let path = home.file("trail.json", format!("{by_address}\n{by_service}\n{inside}\n{own}\n"));
    let config = home.file("keytrail.toml", format!("[ingest.enrich]\ndatabases = [{:?}, {:?}]\n", database("country.mmdb"), database("asn.mmdb")));
    let config = config.to_str().unwrap();
    home.ingest(&["--config", config, path.to_str().unwrap()]);
    let rows = home.rows(&["sql", "select identity, source_country, source_asn, source_class(source_ip, source_host) as class from events order by time"]);
    let shown: Vec<_> = rows.iter().map(|row| (row["source_country"].as_str(), row["class"].as_str().unwrap())).collect();
    assert_eq!(shown, [(Some("SE"), "reserved"), (None, "cloud_service"), (None, "cloud_internal"), (None, "private")], "{rows:?}");
    // The same file with another database: nothing is stored anew, and what was believed stays.
    std::fs::write(config, format!("[ingest.enrich]\ndatabases = [{:?}]\n", database("flat.mmdb"))).unwrap();
    assert_eq!(home.ingest(&["--config", config, path.to_str().unwrap()]).duplicate, 4);
}

#[test]
fn a_database_that_is_none_is_refused_before_anything_is_read() {
    let home = Home::new();
    let path = home.file("trail.json", cloudtrail(10, "svc-a", "AKIA1", "s3.amazonaws.com", "GetObject", json!({})).to_string());
    let broken = home.file("broken.mmdb", b"<html>not found</html>");
    let config = home.file("keytrail.toml", format!("[ingest.enrich]\ndatabases = [{:?}]\n", broken.display().to_string()));
    let output = home.run(&["--config", config.to_str().unwrap(), "ingest", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("broken.mmdb") && stderr(&output).contains("MaxMind's format"), "{}", stderr(&output));
}
