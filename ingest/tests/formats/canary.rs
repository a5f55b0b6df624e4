//! Secrets where the products of clouds, identity providers and forges put them: none is in what is kept, neither in the record nor in a column.

use keytrail_ingest::format::{auto, guarded};
use serde_json::{Value, json};

use crate::event::{context, fixture};

/// A secret of no known form: its place alone tells it.
const CANARY: &str = "plover-Quince7-vestibule";

/// A secret that stands in base64 within JSON within a string.
fn nested() -> String {
    json!({ "data": { "inner": json!({ "client_secret": CANARY }).to_string() } }).to_string()
}

/// (format, line of its fixture, where, what). The place is made if it is not there.
fn plants() -> Vec<(&'static str, usize, &'static str, Value)> {
    let canary = || Value::from(CANARY);
    vec![
        ("gcp_audit", 0, "/protoPayload/response/private_key_data", canary()),
        ("gcp_audit", 0, "/protoPayload/response/privateKeyData", canary()),
        ("gcp_audit", 3, "/protoPayload/response/accessToken", canary()),
        ("gcp_audit", 3, "/protoPayload/request/payload", canary()),
        ("gcp_audit", 2, "/protoPayload/request/secret/payload/data", canary()),
        ("gcp_audit", 2, "/protoPayload/request/metadata/items", json!([{"key": "startup-script", "value": CANARY}])),
        ("gcp_audit", 2, "/protoPayload/metadata/jobChange/job/jobConfig/queryConfig/query", Value::from(format!("select '{CANARY}'"))),
        ("entra_signin", 0, "/properties/authenticationContext/token", canary()),
        ("entra_signin", 0, "/properties/rawToken", canary()),
        ("entra_audit", 0, "/properties/targetResources/0/modifiedProperties/0/secretText", canary()),
        ("entra_audit", 0, "/properties/newPassword", canary()),
        ("azure_activity", 0, "/properties/requestbody", Value::from(nested())),
        ("azure_activity", 0, "/properties/responseBody", Value::from(nested())),
        ("azure_activity", 0, "/identity/claims/puidToken", canary()),
        ("azure_activity", 2, "/uri", Value::from(format!("https://invoices.blob.core.windows.net/a?sv=2021&sig={CANARY}"))),
        ("m365_audit", 0, "/Parameters", json!([{"Name": "Password", "Value": CANARY}])),
        ("m365_audit", 0, "/ModifiedProperties", json!([{"Name": "Secret", "NewValue": CANARY}])),
        ("okta_system", 0, "/debugContext/debugData/clientSecret", canary()),
        ("okta_system", 0, "/debugContext/debugData/url", Value::from(format!("/oauth2/v1/token?client_secret={CANARY}"))),
        ("okta_system", 0, "/target/0/detailEntry/value", canary()),
        ("github_audit", 0, "/config/secret", canary()),
        ("github_audit", 0, "/config", json!({"url": format!("https://x:{CANARY}@example.com"), "secret": CANARY})),
        ("github_audit", 0, "/data/secret_value", canary()),
        ("auth0", 2, "/data/details/request/body/client_secret", canary()),
        ("auth0", 0, "/data/details/code", canary()),
        ("auth0", 0, "/data/details/body/password", canary()),
        ("auth0", 2, "/data/details/response/body/signing_keys", json!([{"key": CANARY}])),
        ("keycloak_events", 7, "/details/client_secret", canary()),
        ("keycloak_events", 7, "/representation", Value::from(json!({ "secret": CANARY }).to_string())),
        ("keycloak_events", 7, "/details/code", canary()),
        ("teleport_audit", 2, "/db_query", Value::from(format!("alter role x password '{CANARY}'"))),
        ("teleport_audit", 2, "/db_query_parameters", json!([CANARY])),
        ("teleport_audit", 2, "/argv", json!(["--password", CANARY])),
        ("teleport_audit", 0, "/attributes/token", canary()),
        ("gitlab_audit", 1, "/details/token", canary()),
        ("gitlab_audit", 1, "/details/to", canary()),
        ("ping_one", 1, "/resources/0/secret", canary()),
        ("ping_one", 1, "/actors/user/password", canary()),
        ("snowflake", 0, "/LOGIN_PAYLOAD/token", canary()),
        ("cyberark", 2, "/syslog/audit_record/CAProperties", json!({"CAProperty": [{"Name": "Password", "Value": CANARY}]})),
        ("windows_security", 0, "/Event/EventData/TaskContent", Value::from(format!("<Password>{CANARY}</Password>"))),
        ("windows_security", 0, "/Event/EventData/NewValue", canary()),
        ("windows_security", 0, "/Event/EventData/CommandLine", Value::from(format!("net use \\\\nas {CANARY} /user:svc"))),
        ("windows_security", 0, "/Event/RenderingInfo/Message", Value::from(format!("the password is {CANARY}"))),
        ("cyberark", 2, "/raw", Value::from(format!("<Password>{CANARY}</Password>"))),
        ("ocsf", 0, "/api/request/data", Value::from(nested())),
        ("ocsf", 0, "/api/response/data", Value::from(nested())),
        ("ocsf", 0, "/raw_data", Value::from(nested())),
        ("ocsf", 0, "/http_request/url/url_string", Value::from(format!("https://a/?token={CANARY}"))),
        ("ocsf", 0, "/http_request/args", canary()),
        ("ocsf", 0, "/unmapped/requestParameters/password", canary()),
        ("ocsf", 0, "/actor/process/cmd_line", Value::from(format!("x --password {CANARY}"))),
        ("ocsf", 1, "/resources/0/data", json!({"stringData": {"password": CANARY}})),
    ]
}

/// Puts `value` at the end of a pointer, making objects on the way.
fn put(record: &mut Value, pointer: &str, value: Value) {
    let mut at = record;
    let keys: Vec<&str> = pointer.split('/').skip(1).collect();
    for key in &keys[..keys.len() - 1] {
        at = match key.parse::<usize>() {
            Ok(index) if at.is_array() => &mut at[index],
            _ => {
                if !at.is_object() {
                    *at = json!({});
                }
                at.as_object_mut().unwrap().entry(*key).or_insert_with(|| json!({}))
            }
        };
    }
    at[keys[keys.len() - 1]] = value;
}

#[test]
fn no_planted_secret_is_kept() {
    let mut leaks = Vec::new();
    for (format, line, place, value) in plants() {
        let lines = fixture(&format!("{format}/events.ndjson"));
        let text = &lines[line];
        let (head, json) = text.split_at(text.find('{').unwrap());
        let mut record: Value = serde_json::from_str(json).unwrap();
        put(&mut record, place, value);
        let text = format!("{head}{record}");
        assert!(text.contains(CANARY), "{format} {place}: the secret is there before");
        let mut out = Vec::new();
        let read = guarded(auto::by_name(format).unwrap(), &context()).record(text.as_bytes(), 1, &mut out);
        assert!(read.is_ok() && !out.is_empty(), "{format} {place}: {read:?}");
        for draft in &out {
            let kept = serde_json::to_string(&draft.event).unwrap();
            if kept.contains(CANARY) {
                leaks.push(format!("{format} {place}: {}", draft.event.raw.as_deref().unwrap_or_default()));
                break;
            }
        }
        // Half a record passes the gate too, as a dead letter's bytes.
        let cut = context().redactor.bytes(format, &text.as_bytes()[..text.len() - 1], 1 << 16);
        if cut.contains(CANARY) {
            leaks.push(format!("{format} {place}, cut: {cut}"));
        }
    }
    assert!(leaks.is_empty(), "{} of {} secrets were kept:\n{}", leaks.len(), plants().len(), leaks.join("\n"));
}
