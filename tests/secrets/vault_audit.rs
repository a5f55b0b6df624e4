//! Where secrets stand in Vault's audit log: what its engines take and give when a device logs raw values or a mount exempts keys
//! from hashing, headers, wrapping, and the texts that are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::place::{Place, closed, kept, percent};

const FORMAT: &str = "vault_audit";
const FILE: &str = "vault_audit/audit.log";

fn time(n: u64) -> String {
    format!("2026-03-03T{:02}:{:02}:{:02}.5Z", n / 3600 % 24, n / 60 % 60, n % 60)
}

fn request_line(n: u64, operation: &str, path: &str, data: &Value) -> Value {
    let mount = path.split('/').next().unwrap_or_default();
    json!({
        "time": time(n), "type": "request",
        "auth": {"client_token": format!("hmac-sha256:{:064x}", n % 20), "accessor": format!("hmac-sha256:{:064x}", 500 + n % 20), "display_name": format!("approle-{}", n % 20), "policies": ["app"], "token_type": "service", "entity_id": format!("{:08x}-0000-4000-8000-000000000000", n % 20)},
        "request": {"id": format!("{n:08x}-aaaa-4bbb-8ccc-ddddeeeeffff"), "operation": operation, "mount_point": format!("{mount}/"), "mount_type": "kv", "client_token": format!("hmac-sha256:{:064x}", n % 20), "namespace": {"id": "root"}, "path": path, "data": data, "remote_address": "10.0.0.9", "headers": {"user-agent": ["Go-http-client/1.1"]}}
    })
}

fn pair(n: u64, operation: &str, path: &str, data: &Value, response: &Value) -> String {
    let request = request_line(n, operation, path, data);
    let mut answered = request.clone();
    answered["type"] = json!("response");
    answered["response"] = response.clone();
    format!("{request}\n{answered}")
}

fn taken(name: &'static str, path: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| pair(n, "update", path, &build(s), &json!({"mount_type": "kv"})))
}

fn given(name: &'static str, path: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| pair(n, "read", path, &Value::Null, &json!({"data": build(s)})))
}

fn auth(name: &'static str, path: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| pair(n, "update", path, &json!({"role": "app"}), &build(s)))
}

/// A request that failed with a text.
pub fn error(text: &str, n: u64) -> String {
    let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
    line["error"] = json!(text);
    line.to_string()
}

/// Every place.
pub fn places() -> Vec<Place> {
    let mut all = vec![
        taken("kv 2 write", "secret/data/prod/db", |s| json!({"data": {"any": s}, "options": {"cas": 3}})),
        given("kv 2 read", "secret/data/prod/db", |s| json!({"data": {"any": s}, "metadata": {"version": 3, "created_time": "2026-03-01T00:00:00Z"}})),
        taken("kv 2 patch, nested", "secret/data/prod/db", |s| json!({"data": {"a": {"b": [{"c": s}]}}})),
        taken("kv 2 custom metadata", "secret/metadata/prod/db", |s| json!({"custom_metadata": {"owner": s}})),
        taken("kv 1 write", "kv/prod/db", |s| json!({"any": s})),
        given("kv 1 read", "kv/prod/db", |s| json!({"any": s})),
        taken("cubbyhole", "cubbyhole/note", |s| json!({"any": s})),
        taken("sys/wrapping/wrap", "sys/wrapping/wrap", |s| json!({"any": s})),
        given("sys/wrapping/unwrap", "sys/wrapping/unwrap", |s| json!({"any": s})),
        taken("sys/wrapping/lookup", "sys/wrapping/lookup", |s| json!({"token": s})),
        taken("sys/unseal", "sys/unseal", |s| json!({"key": s, "reset": false})),
        given("sys/init", "sys/init", |s| json!({"keys": [s], "keys_base64": [STANDARD.encode(s)], "root_token": s})),
        taken("sys/rekey", "sys/rekey/update", |s| json!({"key": s, "nonce": "n"})),
        given("sys/generate-root", "sys/generate-root/attempt", |s| json!({"encoded_token": s, "otp": s})),
        taken("sys/raw", "sys/raw/core/x", |s| json!({"value": s})),
        taken("sys/mounts option", "sys/mounts/new", |s| json!({"type": "kv", "description": "d", "options": {"k": s}})),
        taken("sys/plugins env", "sys/plugins/catalog/secret/p", |s| json!({"command": "p", "env": [format!("A={s}")], "args": [s]})),
        taken("sys/policies comment", "sys/policies/acl/app", |s| json!({"policy": format!("# {s}\npath \"secret/*\" {{ capabilities = [\"read\"] }}")})),
        taken("sys/audit option", "sys/audit/socket", |s| json!({"type": "socket", "options": {"address": "10.0.0.1:9", "token": s}})),
        taken("userpass login", "auth/userpass/login/anna", |s| json!({"password": s})),
        taken("ldap login", "auth/ldap/login/anna", |s| json!({"password": s, "passcode": s})),
        taken("approle login", "auth/approle/login", |s| json!({"role_id": "r", "secret_id": s})),
        taken("jwt login", "auth/jwt/login", |s| json!({"role": "ci", "jwt": s})),
        taken("kubernetes login", "auth/kubernetes/login", |s| json!({"role": "web", "jwt": s})),
        taken("github login", "auth/github/login", |s| json!({"token": s})),
        taken(
            "aws login",
            "auth/aws/login",
            |s| json!({"role": "r", "iam_http_request_method": "POST", "iam_request_headers": STANDARD.encode(json!({"Authorization": [s]}).to_string()), "pkcs7": s}),
        ),
        taken("ldap config", "auth/ldap/config", |s| json!({"url": "ldaps://dc", "binddn": "cn=v", "bindpass": s})),
        taken("oidc config", "auth/oidc/config", |s| json!({"oidc_discovery_url": "https://idp", "oidc_client_id": "v", "oidc_client_secret": s})),
        taken("kubernetes config", "auth/kubernetes/config", |s| json!({"kubernetes_host": "https://k8s", "token_reviewer_jwt": s})),
        taken("token renew", "auth/token/renew", |s| json!({"token": s, "increment": "1h"})),
        taken("token with id", "auth/token/create", |s| json!({"id": s, "policies": ["app"], "meta": {"note": s}})),
        given("secret id", "auth/approle/role/app/secret-id", |s| json!({"secret_id": s, "secret_id_ttl": 0})),
        taken("secret id metadata", "auth/approle/role/app/secret-id", |s| json!({"metadata": json!({"note": s}).to_string()})),
        taken("totp code", "totp/code/anna", |s| json!({"code": s})),
        given("totp key", "totp/keys/anna", |s| json!({"barcode": STANDARD.encode(s), "url": format!("otpauth://totp/a?secret={}", percent(s))})),
        taken("transit encrypt", "transit/encrypt/app", |s| json!({"plaintext": STANDARD.encode(s), "context": "YQ=="})),
        given("transit decrypt", "transit/decrypt/app", |s| json!({"plaintext": STANDARD.encode(s)})),
        taken("transit batch", "transit/encrypt/app", |s| json!({"batch_input": [{"plaintext": STANDARD.encode(s)}]})),
        given("transit export", "transit/export/encryption-key/app", |s| json!({"name": "app", "keys": {"1": s}})),
        given("transit data key", "transit/datakey/plaintext/app", |s| json!({"plaintext": STANDARD.encode(s), "ciphertext": "vault:v1:abc"})),
        taken(
            "database config",
            "database/config/pg",
            |s| json!({"plugin_name": "postgresql-database-plugin", "connection_url": format!("postgresql://app:{}@db/app", percent(s)), "username": "app", "password": s}),
        ),
        given("database credentials", "database/creds/app", |s| json!({"username": "v-app-x", "password": s})),
        taken("database statements", "database/roles/app", |s| json!({"db_name": "pg", "creation_statements": [format!("create user x password '{s}'")]})),
        taken("ssh sign", "ssh/sign/app", |s| json!({"public_key": "ssh-ed25519 AAAA", "extensions": {"note": s}})),
        given("ssh otp", "ssh/creds/otp", |s| json!({"ip": "10.0.0.5", "key": s, "key_type": "otp", "username": "root"})),
        taken("ssh CA", "ssh/config/ca", |s| json!({"private_key": s, "public_key": "ssh-rsa AAAA"})),
        given(
            "pki issue",
            "pki/issue/web",
            |s| json!({"certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "private_key": s, "serial_number": "1a:2b"}),
        ),
        taken("pki bundle", "pki/config/ca", |s| json!({"pem_bundle": s})),
        taken("aws root", "aws/config/root", |s| json!({"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": s, "region": "eu-west-1"})),
        given("aws credentials", "aws/creds/deploy", |s| json!({"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": s, "security_token": null})),
        taken("gcp config", "gcp/config", |s| json!({"credentials": json!({"type": "service_account", "private_key": s}).to_string()})),
        given("gcp key", "gcp/key/app", |s| json!({"private_key_data": STANDARD.encode(s), "key_type": "TYPE_GOOGLE_CREDENTIALS_FILE"})),
        taken("azure config", "azure/config", |s| json!({"tenant_id": "t", "client_id": "c", "client_secret": s})),
        taken("rabbitmq", "rabbitmq/config/connection", |s| json!({"connection_uri": "http://mq", "username": "a", "password": s})),
        taken("consul", "consul/config/access", |s| json!({"address": "10.0.0.1:8500", "token": s})),
        taken("nomad", "nomad/config/access", |s| json!({"address": "http://n", "token": s, "ca_cert": "x"})),
        taken("kmip", "kmip/scope/a/role/b/credential/generate", |s| json!({"format": "pem", "x": s})),
        taken("identity metadata", "identity/entity", |s| json!({"name": "svc", "metadata": {"note": s}})),
        taken("a plugin's own", "widgets/thing", |s| json!({"parts": [[{"deep": s}]]})),
        auth(
            "login response token",
            "auth/approle/login",
            |s| json!({"auth": {"client_token": s, "accessor": "acc", "policies": ["app"], "lease_duration": 3600, "token_type": "service"}}),
        ),
        auth(
            "login metadata",
            "auth/approle/login",
            |s| json!({"auth": {"client_token": "hmac-sha256:aa", "accessor": "acc", "metadata": {"note": s}, "policies": ["app"]}}),
        ),
        auth(
            "wrapped token",
            "secret/data/prod/db",
            |s| json!({"wrap_info": {"ttl": 60, "token": s, "accessor": "acc", "creation_time": "2026-03-03T00:00:00Z"}}),
        ),
        closed(FORMAT, FILE, "request token, raw", |s, n| {
            let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
            line["auth"]["client_token"] = json!(s);
            line["request"]["client_token"] = json!(s);
            line.to_string()
        }),
        closed(FORMAT, FILE, "header", |s, n| {
            let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
            line["request"]["headers"] = json!({"x-custom": [s], "authorization": [format!("Bearer {s}")]});
            line.to_string()
        }),
        closed(FORMAT, FILE, "query parameters", |s, n| {
            let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
            line["request"]["query_params"] = json!({"q": [s]});
            line.to_string()
        }),
        closed(FORMAT, FILE, "auth metadata", |s, n| {
            let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
            line["auth"]["metadata"] = json!({"any": s});
            line.to_string()
        }),
        closed(FORMAT, FILE, "warnings", |s, n| pair(n, "update", "secret/data/prod/db", &json!({}), &json!({"warnings": [format!("ignored value {s}")]}))),
    ];
    let set = |path: &'static [&'static str]| {
        move |s: &str, n: u64| {
            let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
            let mut at = &mut line;
            for key in path {
                at = &mut at[*key];
            }
            *at = json!(s);
            line.to_string()
        }
    };
    all.extend(kept(FORMAT, FILE, "error", set(&["error"])));
    all.extend(kept(FORMAT, FILE, "display name", set(&["auth", "display_name"])));
    all.extend(kept(FORMAT, FILE, "path", |s: &str, n| request_line(n, "read", &format!("secret/data/{s}"), &Value::Null).to_string()));
    all.extend(kept(FORMAT, FILE, "user agent", |s: &str, n| {
        let mut line = request_line(n, "read", "secret/data/prod/db", &Value::Null);
        line["request"]["headers"] = json!({"user-agent": [s]});
        line.to_string()
    }));
    all
}
