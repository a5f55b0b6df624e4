//! MCP over HTTP, with a client from the registries.

use std::process::Command;

use keytrail_serve::{Options, Password};
use serde_json::Value;

use crate::house::House;
use crate::wire::Wire;

/// Calls a minute: the script makes fewer before it tries the bound.
const CALLS: u32 = 60;

#[expect(clippy::disallowed_methods, reason = "the test's client is named from outside")]
#[test]
fn an_assistant_asks_over_http_what_it_asks_over_standard_input() {
    let Ok(python) = std::env::var("KEYTRAIL_DOORS_PYTHON") else {
        assert!(std::env::var("KEYTRAIL_CI").is_err(), "KEYTRAIL_DOORS_PYTHON must name a Python in CI");
        return eprintln!("SKIPPED MCP over HTTP: KEYTRAIL_DOORS_PYTHON names no Python that has mcp");
    };
    let options = Options { mcp_calls_per_minute_max: CALLS, postgres_password: Password::Clear, ..Options::default() };
    let house = House::new(options, keytrail_query::Options::default());
    let (token, scoped) = (house.token("assistant", &[]), house.token("narrow", &["touched"]));
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doors/assistant.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs([("DOOR_MCP", format!("http://{}/mcp", house.http)), ("DOOR_TOKEN", token.clone()), ("DOOR_SCOPED", scoped), ("DOOR_CALLS", CALLS.to_string())])
        .output()
        .expect("Python runs");
    let (said, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{err}");
    let said: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let touched = said["touched"].as_array().unwrap();
    let told = Wire::open(house.postgres, "assistant", &token).unwrap().ask("SELECT destination, count FROM touched('worker-03')");
    let mut over_the_wire: Vec<_> = told.rows.into_iter().map(|row| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default())).collect();
    let mut over_mcp: Vec<_> = touched.iter().map(|row| (row["destination"].as_str().unwrap_or_default().to_owned(), row["count"].to_string())).collect();
    over_the_wire.sort();
    over_mcp.sort();
    assert_eq!(over_mcp, over_the_wire, "the same rows");
    let record = house.record();
    for (user, question) in [("assistant", "touched"), ("assistant", "sql"), ("narrow", "touched")] {
        assert!(
            record.iter().any(|entry| entry["door"] == "mcp" && entry["user"] == user && entry["question"] == question && entry["from_address"] == "127.0.0.1")
        );
    }
    assert!(
        record.iter().any(|entry| entry["user"] == "narrow" && entry["question"] == "sql" && entry["outcome"] == "refused"),
        "what is refused is written down"
    );
}
