//! Vault audit device entries as Vault 1.21 writes them: a request and a response line that share `request.id`, values
//! as `hmac-sha256:…`, times in RFC 3339 with fractions.

use super::cloudtrail::{Failure, put};
use crate::chance::Chance;
use crate::clock::{self, SECOND};
use crate::journal::{Journal, Stream};
use crate::roster::{
    actor::Token,
    place::{OPERATIONS, Place},
};

/// What every entry has in common.
pub struct Call<'a> {
    /// When the request came.
    pub time: i64,
    /// `AppRole`'s role name.
    pub role: &'a str,
    /// The entity's id.
    pub entity: &'a str,
    /// From where.
    pub address: &'a str,
    /// With which client.
    pub agent: &'a str,
    /// How it failed.
    pub failure: Option<Failure>,
}

/// How long a token lives, in microseconds, by whether it is made for one run.
pub const fn lifetime(each_run: bool) -> i64 {
    if each_run { 30 * clock::MINUTE } else { 24 * clock::HOUR }
}

fn push_auth(out: &mut String, call: &Call<'_>, token: &Token, fresh: bool, allowed: bool) {
    put!(
        out,
        r#"{"accessor":""#,
        &token.accessor,
        r#"","client_token":""#,
        &token.inner,
        r#"","display_name":"approle","entity_id":""#,
        call.entity,
        r#"","metadata":{"role_name":""#,
        call.role,
        r#""},"policies":["default",""#,
        call.role,
        "\"]"
    );
    if !fresh {
        if allowed {
            put!(
                out,
                r#","policy_results":{"allowed":true,"granting_policies":[{"type":""},{"name":""#,
                call.role,
                r#"","namespace_id":"root","type":"acl"}]}"#
            );
        } else {
            put!(out, r#","policy_results":{"allowed":false}"#);
        }
    }
    put!(out, r#","token_policies":["default",""#, call.role, r#""],"#);
    if !fresh {
        put!(out, r#""token_issue_time":""#);
        clock::push_seconds(out, token.issued);
        put!(out, r#"","#);
    }
    put!(out, r#""token_ttl":"#);
    clock::push_number(out, token.lasts / SECOND);
    put!(out, r#","token_type":"service"}"#);
}

/// A path's mount.
struct Mount<'a> {
    point: &'a str,
    kind: &'a str,
    accessor: &'static str,
    class: &'static str,
}

fn mount(path: &str) -> Mount<'_> {
    let (point, kind, accessor, class) = match path.split('/').next().unwrap_or("") {
        "database" => ("database/", "database", "database_8d0cb3a1", "secret"),
        "transit" => ("transit/", "transit", "transit_2f6f0a44", "secret"),
        "auth" if path.starts_with("auth/approle") => ("auth/approle/", "approle", "auth_approle_5a1f20c9", "auth"),
        "auth" => ("auth/token/", "token", "auth_token_9be07d35", "auth"),
        "sys" => ("sys/", "system", "system_0f4ac9d2", "secret"),
        "pki" => ("pki/", "pki", "pki_77b1e0c4", "secret"),
        "aws" => ("aws/", "aws", "aws_40c9d5a8", "secret"),
        _ => ("secret/", "kv", "kv_1c77e2d0", "secret"),
    };
    Mount { point, kind, accessor, class }
}

/// The `request` object; the token is what it came with.
#[expect(clippy::too_many_arguments, reason = "one argument per field of the object")]
fn push_request(out: &mut String, call: &Call<'_>, id: &str, operation: &str, path: &str, token: Option<&Token>, data: &str, port: &str, known: bool) {
    let Mount { point, kind, accessor, class } = mount(path);
    put!(out, r#"{"client_id":""#, call.entity, "\"");
    if let Some(token) = token {
        put!(out, r#","client_token":""#, &token.outer, "\"");
        if known {
            put!(out, r#","client_token_accessor":""#, &token.accessor, "\"");
        }
    }
    if !data.is_empty() {
        put!(out, r#","data":"#, data);
    }
    put!(
        out,
        r#","headers":{"user-agent":[""#,
        call.agent,
        r#""]},"id":""#,
        id,
        r#"","mount_accessor":""#,
        accessor,
        r#"","mount_class":""#,
        class,
        r#"","mount_point":""#,
        point,
        r#"","mount_running_version":"v1.21.4+builtin.vault","mount_type":""#,
        kind
    );
    put!(
        out,
        r#"","namespace":{"id":"root"},"operation":""#,
        operation,
        r#"","path":""#,
        path,
        r#"","remote_address":""#,
        call.address,
        r#"","remote_port":"#,
        port,
        "}"
    );
}

fn push_time(out: &mut String, time: i64, kind: &str) {
    put!(out, r#","time":""#);
    clock::push_micros(out, time);
    put!(out, r#"","type":""#, kind, "\"}");
}

/// Both lines of an exchange; gives the request's id.
#[expect(clippy::too_many_arguments, reason = "one argument per part of the two lines")]
fn exchange(
    journal: &mut Journal,
    call: &Call<'_>,
    operation: &str,
    path: &str,
    token: Option<&Token>,
    data: &str,
    response: impl FnOnce(&mut String, &mut Chance),
    after: Option<&Token>,
    chance: &mut Chance,
) -> String {
    let id = chance.uuid();
    let mut port = String::new();
    clock::push_number(&mut port, chance.range(32_768, 60_999));
    let withdrawn = call.failure == Some(Failure::Withdrawn);
    let error = match call.failure {
        None => "",
        Some(Failure::Denied) => r#""error":"1 error occurred:\n\t* permission denied\n\n","#,
        Some(Failure::Withdrawn) => r#""error":"2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n","#,
        Some(Failure::Unavailable) => r#""error":"internal error","#,
    };
    let allowed = call.failure != Some(Failure::Denied);
    journal.part(call.time, Stream::Vault, |out| {
        put!(out, "{");
        // A token that Vault no longer knows yields no `auth`.
        if let Some(token) = token.filter(|_| !withdrawn) {
            put!(out, r#""auth":"#);
            push_auth(out, call, token, false, allowed);
            put!(out, ",");
        }
        if !matches!(call.failure, Some(Failure::Unavailable)) {
            out.push_str(error);
        }
        put!(out, r#""request":"#);
        push_request(out, call, &id, operation, path, token, data, &port, !withdrawn);
        push_time(out, call.time, "request");
    });
    let answered = call.time + chance.range(300, 6_000);
    journal.record(answered, Stream::Vault, |out| {
        put!(out, "{");
        let (shown, fresh) = after.map_or((token, false), |t| (Some(t), true));
        if let Some(token) = shown.filter(|_| !withdrawn) {
            put!(out, r#""auth":"#);
            push_auth(out, call, token, fresh, allowed);
            put!(out, ",");
        }
        put!(out, error, r#""request":"#);
        push_request(out, call, &id, operation, path, token, data, &port, !withdrawn);
        let Mount { point, kind, accessor, class } = mount(path);
        put!(out, r#","response":{"#);
        if call.failure.is_some() {
            put!(out, r#""data":{"error":""#, &chance.hex("hmac-sha256:", 64), r#""},"#);
        } else {
            response(out, chance);
        }
        put!(
            out,
            r#""mount_accessor":""#,
            accessor,
            r#"","mount_class":""#,
            class,
            r#"","mount_point":""#,
            point,
            r#"","mount_running_plugin_version":"v1.21.4+builtin.vault","mount_type":""#,
            kind,
            "\"}"
        );
        push_time(out, answered, "response");
    });
    id
}

/// A request at a path; gives the request's id.
pub fn call(journal: &mut Journal, call: &Call<'_>, token: &Token, place: &Place, act: u8, chance: &mut Chance) -> String {
    let path = place.name.as_str();
    let operation = if path.starts_with("transit/") { "update" } else { OPERATIONS[usize::from(act) % OPERATIONS.len()] };
    let data = if operation == "update" { chance.hex(r#"{"plaintext":"hmac-sha256:"#, 64) + "\"}" } else { String::new() };
    let response = |out: &mut String, chance: &mut Chance| {
        if path.starts_with("database/") {
            put!(out, r#""secret":{"lease_id":"#, "\"", path, "/");
            chance.push_letters(out, crate::chance::BASE62, 24);
            put!(out, r#""},"data":{"password":""#, &chance.hex("hmac-sha256:", 64), r#"","username":""#, &chance.hex("hmac-sha256:", 64), r#""},"#);
        } else if path.starts_with("transit/") {
            put!(out, r#""data":{"ciphertext":""#, &chance.hex("hmac-sha256:", 64), r#"","key_version":1},"#);
        } else if operation == "list" {
            put!(out, r#""data":{"keys":[""#, &chance.hex("hmac-sha256:", 64), r#""]},"#);
        } else {
            put!(
                out,
                r#""data":{"data":{"password":""#,
                &chance.hex("hmac-sha256:", 64),
                r#""},"metadata":{"created_time":""#,
                &chance.hex("hmac-sha256:", 64),
                r#"","custom_metadata":null,"destroyed":false,"version":3}},"#
            );
        }
    };
    exchange(journal, call, operation, path, Some(token), &data, response, None, chance)
}

/// A request that is not everyday work: `data` is what was sent, as JSON whose values are HMACs; gives the request's id.
pub fn request(journal: &mut Journal, call: &Call<'_>, token: &Token, operation: &str, path: &str, data: &str, chance: &mut Chance) -> String {
    let response = |out: &mut String, chance: &mut Chance| {
        if operation == "read" || path.ends_with("/secret-id") {
            put!(out, r#""data":{"value":""#, &chance.hex("hmac-sha256:", 64), r#""},"#);
        }
    };
    exchange(journal, call, operation, path, Some(token), data, response, None, chance)
}

/// A token makes another one, with the given policy; gives the request's id and the new token.
pub fn create_token(journal: &mut Journal, call: &Call<'_>, token: &Token, policy: &str, lasts: i64, chance: &mut Chance) -> (String, Token) {
    let hmac = |chance: &mut Chance| chance.hex("hmac-sha256:", 64);
    let new = Token { accessor: hmac(chance), inner: hmac(chance), outer: hmac(chance), issued: call.time, lasts, expires: call.time + lasts };
    let data = format!(r#"{{"policies":["{}"]}}"#, hmac(chance));
    let response = |out: &mut String, _: &mut Chance| {
        put!(
            out,
            r#""auth":{"accessor":""#,
            &new.accessor,
            r#"","client_token":""#,
            &new.inner,
            r#"","display_name":"token","policies":[""#,
            policy,
            r#""],"token_policies":[""#,
            policy,
            r#""],"token_ttl":"#
        );
        clock::push_number(out, lasts / SECOND);
        put!(out, r#","token_type":"service"},"#);
    };
    let id = exchange(journal, call, "update", "auth/token/create", Some(token), &data, response, None, chance);
    (id, new)
}

fn credentials(chance: &mut Chance) -> String {
    chance.hex(r#"{"role_id":"hmac-sha256:"#, 64) + &chance.hex(r#"","secret_id":"hmac-sha256:"#, 64) + "\"}"
}

/// An `AppRole` login; gives the new token.
pub fn login(journal: &mut Journal, call: &Call<'_>, lasts: i64, chance: &mut Chance) -> Token {
    let hmac = |chance: &mut Chance| chance.hex("hmac-sha256:", 64);
    let token = Token { accessor: hmac(chance), inner: hmac(chance), outer: hmac(chance), issued: call.time, lasts, expires: call.time + lasts };
    let data = credentials(chance);
    let response = |out: &mut String, _: &mut Chance| {
        put!(out, r#""auth":"#);
        push_auth(out, call, &token, true, true);
        put!(out, ",");
    };
    exchange(journal, call, "update", "auth/approle/login", None, &data, response, Some(&token), chance);
    token
}

/// A token renews itself: its end moves, its issue time does not.
pub fn renew(journal: &mut Journal, call: &Call<'_>, token: &Token, chance: &mut Chance) -> String {
    let response = |out: &mut String, _: &mut Chance| {
        put!(out, r#""auth":"#);
        push_auth(out, call, token, false, true);
        put!(out, ",");
    };
    exchange(journal, call, "update", "auth/token/renew-self", Some(token), "", response, None, chance)
}

/// Somebody with `token` withdraws another token by what it is.
pub fn revoke(journal: &mut Journal, call: &Call<'_>, token: &Token, victim: &Token, chance: &mut Chance) -> String {
    let data = format!(r#"{{"token":"{}"}}"#, victim.outer);
    exchange(journal, call, "update", "auth/token/revoke", Some(token), &data, |_, _| {}, None, chance)
}
