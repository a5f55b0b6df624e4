//! Where secrets stand in the logs of forges, brokers, stores of data, and agents: CI variables, hooks, statements, commands, prompts, arguments of tools.

use super::place::Place;
use super::template::Template;

const GITHUB: &str = r#"{"@timestamp":{millis},"_document_id":"g{n}","action":"org_secret.update","actor":"ann","actor_ip":"203.0.113.40","org":"acme","repo":"acme/app","token_id":42,"programmatic_access_type":"Fine-grained personal access token",
  "user_agent":"git/2.45","created_at":{millis}}"#;

const GITLAB: &str = r#"{"id":"{id}","author_id":77,"author_name":"project_12_bot_0a1b","entity_id":12,"entity_type":"Project","entity_path":"acme/app","event_type":"ci_variable_updated","target_id":5,"target_type":"Ci::Variable",
  "target_details":"DEPLOY","ip_address":"203.0.113.80","created_at":"{time}","details":{"change":"value","expires_at":"2027-03-01T00:00:00Z"}}"#;

const TELEPORT: &str = r#"{"code":"TDB02I","event":"db.session.query","uid":"{id}","time":"{time}","cluster_name":"acme","user":"bot-ci","user_kind":2,"db_service":"pg-prod","db_name":"orders","db_protocol":"postgres","sid":"sid{n}","success":true}"#;

const TELEPORT_EXEC: &str = r#"{"code":"T3002I","event":"exec","uid":"{id}","time":"{time}","cluster_name":"acme","user":"ann","login":"root","server_id":"s","server_hostname":"web-1","sid":"sid{n}","command":"ls","exitCode":"0"}"#;

const CYBERARK: &str = r#"{"format":"elastic","version":"1.0","syslog":{"audit_record":{"IsoTimestamp":"{time}","Hostname":"VAULT","Vendor":"Cyber-Ark","MessageID":"24","Desc":"CPM Change Password","Severity":"Info","Issuer":"PasswordManager",
  "Action":"CPM Change Password","Safe":"Prod","File":"Root\\db-{n}","Station":"10.0.1.20","Reason":"","ExtraDetails":"","CAProperties":{"CAProperty":[{"Name":"Address","Value":"x"}]}}}}"#;

const SNOWFLAKE: &str = r#"{"EVENT_ID":{n},"EVENT_TIMESTAMP":"{time}","EVENT_TYPE":"LOGIN","USER_NAME":"SVC_ETL","CLIENT_IP":"203.0.113.90","REPORTED_CLIENT_TYPE":"PYTHON_DRIVER","FIRST_AUTHENTICATION_FACTOR":"PASSWORD","IS_SUCCESS":"NO","ERROR_CODE":390100}"#;

const SNOWFLAKE_QUERY: &str = r#"{"QUERY_ID":"q{n}","QUERY_START_TIME":"{time}","USER_NAME":"SVC_ETL","USER_TYPE":"SERVICE","BASE_OBJECTS_ACCESSED":[{"objectName":"DB.S.ORDERS","objectDomain":"Table"}],"QUERY_TEXT":"select 1"}"#;

const OCSF: &str = r#"{"class_uid":6003,"category_uid":6,"activity_id":2,"activity_name":"Read","type_uid":600302,"time":{millis},"severity_id":1,"status":"Failure","status_id":2,"status_detail":"AccessDenied",
  "metadata":{"version":"1.5.0","uid":"x{n}","product":{"name":"Amazon EKS","vendor_name":"AWS"}},"cloud":{"provider":"AWS"},"actor":{"user":{"name":"system:serviceaccount:prod:billing","uid":"u"}},
  "api":{"operation":"get","request":{"uid":"r{n}"},"response":{"code":403}},"resources":[{"name":"db","type":"secrets"}],"src_endpoint":{"ip":"10.0.0.5"}}"#;

const TEMPLATES: &[Template] = &[
    Template {
        format: "github_audit",
        file: "github_audit/events.ndjson",
        name: "audit",
        record: GITHUB,
        closed: &[
            "config/secret",
            "config/url",
            "request_body",
            "query_string",
            "data/value",
            "variable_value",
            "changes/old_value",
            "hook_config",
            "workflow_inputs",
        ],
        texts: &["user_agent", "message", "explanation", "pull_request_title", "url_path", "actor", "environment_name", "head_branch"],
    },
    Template {
        format: "gitlab_audit",
        file: "gitlab_audit/events.ndjson",
        name: "audit",
        record: GITLAB,
        closed: &[
            "details/value",
            "details/variables",
            "details/custom/0/value",
            "params/0/value",
            "details/push_options",
            "details/token",
            "details/from",
            "details/to",
        ],
        texts: &["details/custom_message", "target_details", "author_name"],
    },
    Template {
        format: "teleport_audit",
        file: "teleport_audit/db.ndjson",
        name: "query",
        record: TELEPORT,
        closed: &["db_query", "db_query_parameters", "metadata/token", "attributes/raw", "request/body"],
        texts: &["user_agent", "error", "db_name"],
    },
    Template {
        format: "teleport_audit",
        file: "teleport_audit/exec.ndjson",
        name: "exec",
        record: TELEPORT_EXEC,
        closed: &["environment", "data", "attributes/raw"],
        texts: &["command", "argv", "exit_error", "reason"],
    },
    Template {
        format: "cyberark",
        file: "cyberark/events.ndjson",
        name: "audit",
        record: CYBERARK,
        closed: &[
            "syslog/audit_record/CAProperties/CAProperty/0/Value",
            "syslog/audit_record/PvwaDetails",
            "syslog/audit_record/Reason",
            "syslog/audit_record/ExtraDetails",
        ],
        texts: &["syslog/audit_record/File", "syslog/audit_record/Message", "syslog/audit_record/Issuer"],
    },
    Template {
        format: "snowflake",
        file: "snowflake/logins.ndjson",
        name: "login",
        record: SNOWFLAKE,
        closed: &["CLIENT_ENVIRONMENT", "LOGIN_TOKEN"],
        texts: &["ERROR_MESSAGE", "USER_NAME", "REPORTED_CLIENT_VERSION"],
    },
    Template {
        format: "snowflake",
        file: "snowflake/access.ndjson",
        name: "access",
        record: SNOWFLAKE_QUERY,
        closed: &["QUERY_TEXT", "OBJECT_MODIFIED_BY_DDL/properties", "POLICIES_REFERENCED/0/body"],
        texts: &["BASE_OBJECTS_ACCESSED/0/objectName"],
    },
    Template {
        format: "ocsf",
        file: "ocsf/events.ndjson",
        name: "event",
        record: OCSF,
        closed: &[
            "api/request/data",
            "api/response/data",
            "resources/0/data",
            "unmapped/requestParameters",
            "raw_data",
            "http_request/body",
            "http_request/http_headers/0/value",
            "http_request/args",
            "actor/process/cmd_line",
            "process/cmd_line",
            "enrichments/0/value",
            "observables/0/value",
            "actor/session/token",
        ],
        texts: &["message", "http_request/user_agent", "http_request/url/url_string", "api/response/message", "actor/user/name", "status_detail"],
    },
];

/// Every place.
pub fn places() -> Vec<Place> {
    TEMPLATES.iter().flat_map(Template::places).chain(super::agent::places()).collect()
}
