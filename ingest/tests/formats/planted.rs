//! Secrets planted where providers' documentation lets free values stand: none is found again in what a format yields, in clear or encoded.

use keytrail_ingest::format::{auto, guarded};
use keytrail_ingest::redact::{Level, Redactor};
use serde_json::{Value, json};

use super::event::context;

/// Nothing about them says that they are secrets: no prefix, no form.
const PASSWORD: &str = "Zebra-tango7";
const TOKEN: &str = "q7RtYw2LpZ0xVn5KbHc8";
const PIN: &str = "90471";
/// These are known by their form alone, and stand in names.
const VAULT: &str = "hvs.CAESIJ3kX9vQ3bL7mZ0pR4tA1b2C3d4E5f6G7h8";
const GITHUB: &str = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";
const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = u32::from(chunk[0]) << 16 | u32::from(*chunk.get(1).unwrap_or(&0)) << 8 | u32::from(*chunk.get(2).unwrap_or(&0));
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if index <= chunk.len() { char::from(DIGITS[(n >> shift & 63) as usize]) } else { '=' });
        }
    }
    out
}

/// Every way in which a secret might stand in a text.
fn spellings(secret: &str) -> Vec<String> {
    let core = |text: String| text.trim_end_matches('=').to_owned();
    let shifted = |skip: usize| {
        // The same bytes behind one or two others; what depends on the neighbours is left out.
        let encoded = base64(format!("{}{secret}", "x".repeat(skip)).as_bytes());
        encoded.get(4..encoded.len() - 4).unwrap_or_default().to_owned()
    };
    vec![
        secret.to_owned(),
        core(base64(secret.as_bytes())),
        shifted(1),
        shifted(2),
        hex::encode(secret),
        hex::encode_upper(secret),
        secret.bytes().map(|b| format!("%{b:02x}")).collect(),
        secret.bytes().map(|b| format!("%{b:02X}")).collect(),
        secret.chars().rev().collect(),
    ]
    .into_iter()
    .filter(|text| text.len() >= 5)
    .collect()
}

fn assert_gone(what: &str, written: &str, came: &str) {
    let mut planted = 0;
    for secret in [PASSWORD, TOKEN, PIN, VAULT, GITHUB, JWT] {
        for spelling in spellings(secret) {
            planted += usize::from(came.contains(&spelling));
            assert!(!written.contains(&spelling), "{what}: {spelling} stands in {written}");
        }
    }
    assert!(planted > 0, "{what}: nothing was planted in {came}");
}

/// All that a record yields, as text.
fn yielded(format: &str, record: &str) -> String {
    let mut parser = guarded(auto::by_name(format).unwrap(), &context());
    let mut out = Vec::new();
    let mut text = String::new();
    for (line, number) in record.lines().zip(1..) {
        if let Err(reject) = parser.record(line.as_bytes(), number, &mut out) {
            text.push_str(&format!("{reject} {:?}", reject.field));
        }
    }
    parser.finish(&mut out);
    for draft in &out {
        text.push_str(&serde_json::to_string(&draft.event).unwrap());
        if let Some(raw) = &draft.event.raw {
            assert!(!raw.starts_with('{') || serde_json::from_str::<Value>(raw).is_ok(), "{raw}");
        }
    }
    text
}

fn check(format: &str, what: &str, record: &Value) {
    let record = record.to_string();
    let written = yielded(format, &record);
    assert!(written.contains("\"identity\""), "{format} {what} is understood: {written}");
    assert_gone(&format!("{format}, {what}"), &written, &record);
    broken(format, what, &record);
}

/// The same record in the dead letters: cut at every so many bytes, garbled at its front, at its end, in its middle.
fn broken(format: &str, what: &str, record: &str) {
    let redactor = Redactor::new(&[7; 32]);
    let mut states: Vec<String> = (1..8).map(|n| record.get(..record.len() * n / 8).unwrap_or(record).to_owned()).collect();
    states.extend([
        record.to_owned(),
        format!("{record}}}"),
        record.replacen(':', "", 1),
        record.get(3..).unwrap_or_default().to_owned(),
        record.replace('"', "'"),
    ]);
    for state in states {
        let kept = redactor.bytes(format, state.as_bytes(), 1 << 20);
        for secret in [PASSWORD, TOKEN, PIN, VAULT, GITHUB, JWT] {
            for spelling in spellings(secret) {
                assert!(!kept.contains(&spelling), "{format}, {what}, as a dead letter: {spelling} stands in {kept}, of {state}");
            }
        }
    }
}

fn cloudtrail(parameters: Value, response: Value) -> Value {
    json!({"eventVersion": "1.09", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/ci", "accountId": "123456789012", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "ci"},
        "eventTime": "2026-11-22T12:00:00Z", "eventSource": "ecs.amazonaws.com", "eventName": "RegisterTaskDefinition", "awsRegion": "eu-west-1", "sourceIPAddress": "10.1.2.3", "userAgent": "aws-cli/2",
        "requestParameters": parameters, "responseElements": response, "requestID": "r", "eventID": "e", "eventType": "AwsApiCall", "recipientAccountId": "123456789012"})
}

#[test]
fn cloudtrail_keeps_no_secret() {
    let encoded = base64(PASSWORD.as_bytes());
    for (what, parameters) in [
        (
            "environment",
            json!({"containerDefinitions": [{"name": "web", "environment": [{"name": "DB_PASSWORD", "value": PASSWORD}, {"name": "PIN", "value": PIN}]}]}),
        ),
        ("command", json!({"containerDefinitions": [{"command": ["sh", "-c", format!("curl -u admin:{PASSWORD} https://x/{TOKEN}?a={TOKEN}")]}]})),
        (
            "entry point",
            json!({"overrides": {"containerOverrides": [{"entryPoint": ["mysql", format!("-p{PASSWORD}")], "command": ["--password", PASSWORD, PIN]}]}}),
        ),
        ("lambda environment", json!({"functionName": "f", "environment": {"variables": {"API_KEY": TOKEN, "MODE": PASSWORD}}})),
        ("user data", json!({"instanceType": "t3.micro", "userData": base64(format!("#!/bin/sh\necho {PASSWORD} > /etc/x").as_bytes())})),
        (
            "cloudformation",
            json!({"stackName": "s", "parameters": [{"parameterKey": "DbPassword", "parameterValue": PASSWORD}], "templateBody": format!("Resources: {{Password: {PASSWORD}}}")}),
        ),
        ("tags", json!({"tags": [{"key": "owner", "value": PASSWORD}]})),
        ("description", json!({"description": format!("the password is {PASSWORD}")})),
        ("ssm command", json!({"documentName": "AWS-RunShellScript", "parameters": {"commands": [format!("echo {PASSWORD} | passwd --stdin root")]}})),
        ("ssm parameter", json!({"name": "/db/password", "value": PASSWORD, "type": "String"})),
        ("secret string", json!({"secretId": "db", "secretString": format!("{{\"password\":\"{PASSWORD}\"}}"), "secretBinary": encoded})),
        ("header", json!({"integration": {"requestParameters": {"integration.request.header.X": format!("'{TOKEN}'")}}})),
        ("webhook", json!({"targets": [{"endpoint": format!("https://user:{PASSWORD}@host/x")}], "webhookUrl": format!("https://h/{TOKEN}")})),
        ("number", json!({"pin": 90471})),
        ("item", json!({"tableName": "t", "key": {"id": PASSWORD}, "item": {"token": {"S": TOKEN}}})),
        ("kms", json!({"encryptionContext": {"purpose": PASSWORD}, "plaintext": encoded})),
        ("externalid", json!({"roleArn": "arn:aws:iam::123456789012:role/x", "externalId": PASSWORD})),
        (
            "policy condition",
            json!({"policyDocument": json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"sts:ExternalId": PASSWORD, "aws:Referer": TOKEN}}}]}).to_string()}),
        ),
        ("policy object", json!({"bucketPolicy": {"Statement": [{"Condition": {"StringLike": {"aws:Referer": [TOKEN]}}}]}})),
        ("name with a token", json!({"roleName": VAULT, "bucketName": format!("x-{GITHUB}"), "key": format!("a/{JWT}/b")})),
        ("encoded name", json!({"key": base64(format!("token {VAULT}").as_bytes()), "bucketName": hex::encode(GITHUB)})),
        ("key of an object", json!({"attributes": {VAULT: "x"}})),
        ("string of JSON", json!({"input": json!({"password": PASSWORD, "list": [TOKEN]}).to_string()})),
        (
            "endpoint",
            json!({"connectionString": format!("Server=x;User=sa;Password={PASSWORD}"), "jdbcUrl": format!("jdbc:mysql://h/db?user=a&password={PASSWORD}")}),
        ),
    ] {
        check("cloudtrail", what, &cloudtrail(parameters.clone(), Value::Null));
        check("cloudtrail", what, &cloudtrail(Value::Null, json!({"x": parameters})));
        check("cloudtrail", what, &json!({"version": "0", "detail-type": "x", "source": "aws.ecs", "detail": cloudtrail(parameters.clone(), Value::Null)}));
        let mut athena = cloudtrail(Value::Null, Value::Null);
        athena["requestParameters"] = parameters.to_string().into();
        check("cloudtrail", what, &athena);
    }
    for (column, value) in [
        ("userAgent", format!("tool/{VAULT}")),
        ("errorMessage", format!("bad password {PASSWORD}")),
        ("sourceIPAddress", format!("{GITHUB}.example")),
        ("unknownField", PASSWORD.to_owned()),
    ] {
        let mut record = cloudtrail(Value::Null, Value::Null);
        record[column] = value.into();
        check("cloudtrail", column, &record);
    }
    let mut session = cloudtrail(Value::Null, Value::Null);
    session["userIdentity"] = json!({"type": "AssumedRole", "arn": format!("arn:aws:sts::123456789012:assumed-role/x/{GITHUB}"), "principalId": format!("AROA:{GITHUB}"), "accountId": "123456789012"});
    check("cloudtrail", "session name", &session);
}

#[test]
fn kubernetes_keeps_no_secret() {
    let event = |uri: String, request: Value, response: Value| {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "a", "stage": "ResponseComplete", "requestURI": uri, "verb": "create",
            "user": {"username": "bob", "groups": ["system:authenticated"]}, "sourceIPs": ["10.0.0.1"], "userAgent": "kubectl/v1", "objectRef": {"resource": "pods", "namespace": "a", "name": "b", "apiVersion": "v1"},
            "responseStatus": {"code": 201}, "requestObject": request, "responseObject": response, "requestReceivedTimestamp": "2026-11-22T12:00:00Z", "stageTimestamp": "2026-11-22T12:00:00Z", "annotations": {"authorization.k8s.io/decision": "allow"}})
    };
    let plain = "/api/v1/namespaces/a/pods".to_owned();
    let encoded = base64(PASSWORD.as_bytes());
    for (what, object) in [
        (
            "environment",
            json!({"kind": "Pod", "spec": {"containers": [{"name": "c", "env": [{"name": "PASSWORD", "value": PASSWORD}, {"name": "PIN", "value": PIN}]}]}}),
        ),
        (
            "command",
            json!({"kind": "Pod", "spec": {"containers": [{"command": ["sh", "-c", format!("login --password {PASSWORD}")], "args": [format!("--token={TOKEN}"), PASSWORD]}]}}),
        ),
        (
            "config map",
            json!({"kind": "ConfigMap", "data": {"app.properties": format!("a=b\ndb.password={PASSWORD}\n"), "x": TOKEN}, "binaryData": {"y": encoded}}),
        ),
        ("secret", json!({"kind": "Secret", "type": "Opaque", "data": {"password": encoded}, "stringData": {"password": PASSWORD, "name": TOKEN}})),
        (
            "docker config",
            json!({"kind": "Secret", "data": {".dockerconfigjson": base64(json!({"auths": {"r": {"auth": base64(format!("u:{PASSWORD}").as_bytes()), "password": PASSWORD}}}).to_string().as_bytes())}}),
        ),
        ("secrets in a list", json!({"kind": "SecretList", "items": [{"data": {"password": encoded}, "metadata": {"name": "x"}}]})),
        (
            "annotations",
            json!({"kind": "Pod", "metadata": {"name": "x", "annotations": {"note": PASSWORD, "kubectl.kubernetes.io/last-applied-configuration": json!({"kind": "Secret", "data": {"password": encoded}, "spec": {"env": [{"name": "X", "value": PASSWORD}]}}).to_string()}}}),
        ),
        (
            "patch",
            json!([{"op": "add", "path": "/spec/template/spec/containers/0/env/0", "value": {"name": "A", "value": PASSWORD}}, {"op": "replace", "path": "/data/x", "value": encoded}]),
        ),
        (
            "custom resource",
            json!({"kind": "Database", "spec": {"adminPassword": PASSWORD, "settings": {"url": format!("postgres://app:{PASSWORD}@db/x")}, "pin": 90471}}),
        ),
        ("token request", json!({"kind": "TokenRequest", "status": {"token": JWT}})),
        (
            "probe",
            json!({"kind": "Pod", "spec": {"containers": [{"livenessProbe": {"httpGet": {"path": format!("/healthz?token={VAULT}"), "httpHeaders": [{"name": "Authorization", "value": format!("Bearer {TOKEN}")}]}}}]}}),
        ),
        (
            "lifecycle",
            json!({"kind": "Pod", "spec": {"containers": [{"lifecycle": {"postStart": {"exec": {"command": ["/bin/sh", "-c", format!("echo {PASSWORD}")]}}}}]}}),
        ),
        ("webhook", json!({"kind": "X", "webhooks": [{"name": "a", "clientConfig": {"url": format!("https://h/{TOKEN}"), "caBundle": encoded}}]})),
        ("status message", json!({"kind": "Pod", "status": {"conditions": [{"type": "Ready", "message": format!("login with {PASSWORD} failed")}]}})),
        ("label", json!({"kind": "Pod", "metadata": {"labels": {"x": GITHUB}}})),
        (
            "volume",
            json!({"kind": "PersistentVolume", "spec": {"csi": {"volumeAttributes": {"secret": PASSWORD, "user": TOKEN}}, "flexVolume": {"options": {"key": TOKEN}}}}),
        ),
    ] {
        check("k8s_audit", what, &event(plain.clone(), object.clone(), Value::Null));
        check("k8s_audit", what, &event(plain.clone(), Value::Null, object.clone()));
        check(
            "k8s_audit",
            what,
            &json!({"insertId": "i", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": "2026-11-22T12:00:00Z", "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c", "project_id": "p"}},
            "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io", "methodName": "io.k8s.core.v1.pods.create", "resourceName": "core/v1/namespaces/a/pods/b",
                "authenticationInfo": {"principalEmail": "a@b.c"}, "authorizationInfo": [{"granted": true, "permission": "io.k8s.core.v1.pods.create"}], "request": object}}),
        );
    }
    for uri in [
        format!("/api/v1/namespaces/a/pods/b/exec?command=mysql&command=-p{PASSWORD}&command={TOKEN}&stdin=true"),
        format!("/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=echo+{PASSWORD}%20{TOKEN}"),
        format!("/api/v1/namespaces/a/services/x/proxy/login?user=a&password={PASSWORD}&session={TOKEN}"),
        format!("/api/v1/namespaces/a/services/x/proxy/{VAULT}?{TOKEN}"),
        format!("/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3D{GITHUB}"),
    ] {
        check("k8s_audit", "request URI", &event(uri, Value::Null, Value::Null));
    }
    let mut agent = event(plain, Value::Null, Value::Null);
    agent["userAgent"] = format!("curl/8 Bearer {JWT}").into();
    agent["user"]["extra"] = json!({"authentication.kubernetes.io/pod-name": [GITHUB]});
    agent["annotations"] = json!({"mutation.webhook.admission.k8s.io/round_0": format!("patch {PASSWORD}")});
    check("k8s_audit", "columns", &agent);
}

#[test]
fn vault_keeps_no_secret() {
    let entry = |path: &str, mount: &str, request: Value, response: Value| {
        json!({"time": "2026-11-22T12:00:00Z", "type": "response", "auth": {"client_token": VAULT, "accessor": "acc", "display_name": "token", "policies": ["default"], "token_type": "service"},
            "request": {"id": "i", "operation": "update", "path": path, "mount_type": mount, "client_token": VAULT, "client_token_accessor": "acc", "remote_address": "10.0.0.1", "data": request,
                "headers": {"x-vault-token": [VAULT], "authorization": [format!("Bearer {TOKEN}")], "cookie": [TOKEN], "user-agent": ["vault/1"]}},
            "response": {"mount_type": mount, "data": response}})
    };
    for (what, path, mount, data) in [
        ("kv 1", "kv/app", "kv", json!({"password": PASSWORD, "door": 90471, "name": TOKEN, "nested": {"type": PASSWORD}})),
        ("kv 2", "secret/data/app", "kv", json!({"data": {"user": PASSWORD, "id": TOKEN, "pin": 90471}, "options": {"x": PASSWORD}})),
        ("kv metadata", "secret/metadata/app", "kv", json!({"custom_metadata": {"note": PASSWORD}})),
        ("wrap", "sys/wrapping/wrap", "system", json!({"anything": PASSWORD, "deep": [{"x": TOKEN}]})),
        ("unwrap", "sys/wrapping/unwrap", "system", json!({"token": VAULT, "role": VAULT})),
        (
            "transit",
            "transit/decrypt/k",
            "transit",
            json!({"plaintext": base64(PASSWORD.as_bytes()), "ciphertext": "vault:v1:x", "batch_input": [{"plaintext": base64(PASSWORD.as_bytes())}]}),
        ),
        ("database", "database/creds/r", "database", json!({"username": "v-x", "password": PASSWORD})),
        (
            "database configuration",
            "database/config/x",
            "database",
            json!({"connection_url": format!("postgres://a:{PASSWORD}@h/db"), "root_rotation_statements": [format!("ALTER USER x PASSWORD '{PASSWORD}'")]}),
        ),
        ("aws", "aws/creds/r", "aws", json!({"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": TOKEN, "security_token": TOKEN})),
        ("userpass", "auth/userpass/login/bob", "userpass", json!({"password": PASSWORD})),
        ("approle", "auth/approle/login", "approle", json!({"role_id": "r", "secret_id": TOKEN})),
        ("jwt", "auth/jwt/login", "jwt", json!({"jwt": JWT, "role": "r"})),
        ("ssh", "ssh/verify", "ssh", json!({"otp": PIN})),
        ("policy", "sys/policies/acl/x", "system", json!({"policy": format!("# {PASSWORD}\npath \"a\" {{}}")})),
        ("identity", "identity/entity", "identity", json!({"metadata": {"x": PASSWORD}, "name": VAULT})),
        ("totp", "totp/code/x", "totp", json!({"code": PIN, "url": format!("otpauth://totp/x?secret={TOKEN}")})),
        ("cubbyhole", "cubbyhole/x", "cubbyhole", json!({"a": PASSWORD})),
    ] {
        check("vault_audit", what, &entry(path, mount, data.clone(), Value::Null));
        check("vault_audit", what, &entry(path, mount, Value::Null, data));
    }
    let mut error = entry("auth/token/lookup", "token", Value::Null, Value::Null);
    error["error"] = format!("1 error occurred:\n\t* invalid password {PASSWORD}\n\n").into();
    check("vault_audit", "error", &error);
    check("vault_audit", "path", &entry(&format!("auth/token/lookup/{VAULT}"), "token", Value::Null, Value::Null));
    let mut auth = entry("auth/token/create", "token", Value::Null, Value::Null);
    auth["auth"]["metadata"] = json!({"note": PASSWORD, "username": GITHUB});
    auth["response"]["wrap_info"] = json!({"token": VAULT, "accessor": "x", "ttl": 60});
    auth["response"]["auth"] = json!({"client_token": VAULT, "accessor": "y", "metadata": {"x": TOKEN}});
    check("vault_audit", "token", &auth);
}

#[test]
fn zeek_and_own_records_keep_no_secret() {
    let row = |fields: Value| {
        let mut row = json!({"ts": 1772323200.5, "uid": "C1", "id.orig_h": "10.0.0.1", "id.orig_p": 40000, "id.resp_h": "10.0.0.2", "id.resp_p": 443});
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        row
    };
    for (what, fields) in [
        (
            "ftp",
            json!({"_path": "ftp", "user": "u", "password": PASSWORD, "command": "STOR", "arg": format!("ftp://h/{TOKEN}"), "reply_msg": format!("hello {PASSWORD}")}),
        ),
        ("mqtt", json!({"_path": "mqtt_publish", "from_client": true, "topic": "t", "status": "ok", "payload": PASSWORD})),
        ("mysql", json!({"_path": "mysql", "cmd": "query", "arg": format!("SET PASSWORD = '{PASSWORD}'"), "success": true, "response": format!("no {TOKEN}")})),
        ("ldap", json!({"_path": "ldap", "message_id": 1, "opcode": "bind simple", "object": "cn=a", "argument": PASSWORD})),
        ("radius", json!({"_path": "radius", "username": JWT, "result": "failed", "reply_msg": format!("bad {PASSWORD}")})),
        (
            "names",
            json!({"_path": "ssl", "server_name": format!("{GITHUB}.example"), "client_subject": format!("CN={VAULT}"), "subject": "CN=a", "unknown": PASSWORD}),
        ),
        ("client id", json!({"_path": "mqtt_connect", "client_id": JWT, "connect_status": "Accepted", "will_payload": PASSWORD})),
    ] {
        check("zeek", what, &row(fields));
    }
    let tsv = format!(
        "#separator \\x09\n#path\tftp\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tuser\tpassword\tcommand\targ\tnote\n1772323200.5\tC1\t10.0.0.1\t1\t10.0.0.2\t21\t{JWT}\t{PASSWORD}\tSTOR\t{TOKEN}\t{PIN}\n"
    );
    let written = yielded("zeek", &tsv);
    assert!(written.contains("1772323200.5\\tC1\\t10.0.0.1"), "{written}");
    assert_gone("zeek, TSV", &written, &tsv);

    for (key, value) in [
        ("identity", format!("app:{JWT}")),
        ("credential", JWT.to_owned()),
        ("user_agent", format!("x Bearer {TOKEN}")),
        ("reason", format!("wrong password {PASSWORD}")),
        ("session", VAULT.to_owned()),
        ("source_host", GITHUB.to_owned()),
        ("destination", format!("postgres://a:{PASSWORD}@db/x")),
    ] {
        let mut record = json!({"time": "2026-11-22T12:00:00Z", "identity": "app:x", "action": "a"});
        record[key] = value.into();
        check("keytrail", key, &record);
    }
}

#[test]
fn refusals_do_not_echo() {
    for (format, record) in [
        ("cloudtrail", cloudtrail(Value::Null, Value::Null).to_string().replace("2026-11-22T12:00:00Z", PASSWORD)),
        ("vault_audit", json!({"time": "x", "type": PASSWORD, "request": {}}).to_string()),
        ("vault_audit", json!({"time": PASSWORD, "type": "response", "request": {"id": "x"}}).to_string()),
        (
            "k8s_audit",
            json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a", "verb": "get", "user": {"username": "x"}, "stageTimestamp": PASSWORD})
                .to_string(),
        ),
        ("keytrail", json!({"time": PASSWORD, "identity": "a"}).to_string()),
        ("keytrail", json!({"time": "2026-11-22T12:00:00Z", "identity": "a", "outcome": PASSWORD}).to_string()),
        ("keytrail", json!({"time": "2026-11-22T12:00:00Z", "identity": "a", "source_asn": PASSWORD}).to_string()),
        ("keytrail", json!({"time": "2026-11-22T12:00:00Z", "identity": {"password": PASSWORD}}).to_string()),
        ("zeek", json!({"_path": "ssl", "ts": PASSWORD, "id.orig_h": "10.0.0.1"}).to_string()),
        ("cloudtrail", format!("{{\"eventName\": {PASSWORD}}}")),
    ] {
        let written = yielded(format, &record);
        assert!(!written.is_empty() && !written.contains("\"identity\":"), "{format}: {record} is refused: {written}");
        assert_gone(format, &written, &record);
        broken(format, "refused", &record);
    }
}

#[test]
fn open_keeps_known_secrets_back_too() {
    let redactor = Redactor::new(&[7; 32]);
    let record = cloudtrail(
        json!({"password": PASSWORD, "environment": {"DB_PASSWORD": PASSWORD}, "note": format!("token {VAULT}"), "description": "kept"}),
        Value::Null,
    )
    .to_string();
    let kept = redactor.record("cloudtrail", &record, Level::Open);
    assert!(kept.contains("\"kept\""), "{kept}");
    assert_gone("open", &kept, &record);
}
