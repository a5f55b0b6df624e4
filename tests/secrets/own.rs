//! Where secrets stand in keytrail's own format: every text column.

use serde_json::json;

use super::place::{Place, kept};

/// An event that failed for a reason.
pub fn reason(text: &str, n: u64) -> String {
    event("reason", text, n)
}

fn event(column: &str, text: &str, n: u64) -> String {
    let mut event = json!({
        "time": format!("2026-03-05T{:02}:{:02}:{:02}Z", n / 3600 % 24, n / 60 % 60, n % 60), "activity": "use", "outcome": "failure", "identity": format!("app:svc-{}", n % 30),
        "identity_kind": "workload", "credential": format!("app:key/{}", n % 30), "destination": "app:db/orders", "action": "read"
    });
    event[column] = json!(text);
    event.to_string()
}

/// Every place.
pub fn places() -> Vec<Place> {
    let columns = [
        "identity",
        "credential",
        "reason",
        "user_agent",
        "destination",
        "session",
        "action",
        "issuer",
        "source_host",
        "environment",
        "auth_method",
        "trace_id",
        "credential_parent",
    ];
    let place = |column: &'static str| kept("keytrail", "keytrail/events.ndjson", column, move |s: &str, n| event(column, s, n));
    columns.into_iter().flat_map(place).collect()
}
