//! The class of an action that no reference lists, by its verb and by what it is done to. Every provider builds names of these words.

use super::Class;

const LISTS: &[&str] = &["list", "search", "enumerate", "query", "scan", "find", "discover", "browse", "watch", "lookup", "count"];
const READS: &[&str] = &[
    "get", "describe", "read", "head", "view", "fetch", "download", "check", "test", "validate", "show", "select", "verify", "preview", "estimate", "simulate",
];
const ENDS: &[&str] = &["delete", "terminate", "destroy", "purge", "drop", "erase", "wipe", "deletes", "shutdown"];
const EXECUTES: &[&str] = &["run", "execute", "exec", "invoke", "launch", "submit", "eval", "trigger", "dispatch"];
const SHARES: &[&str] = &["share", "export", "publicize", "expose"];
const ENTERS: &[&str] = &["login", "logon", "logout", "signin", "authenticate", "authentication", "assume", "handshake", "sso"];
const GRANTS: &[&str] = &["grant", "authorize", "entitle", "impersonate"];
/// Words that stand before the verb.
const BEFORE: &[&str] = &["batch", "bulk", "admin", "async", "force", "add"];
/// Verbs that change, so that a name's verb is found also where it stands last.
const CHANGES: &[&str] = &[
    "create",
    "update",
    "put",
    "set",
    "add",
    "remove",
    "attach",
    "detach",
    "enable",
    "disable",
    "stop",
    "start",
    "modify",
    "change",
    "reset",
    "rotate",
    "patch",
    "write",
    "insert",
    "associate",
    "disassociate",
    "register",
    "deregister",
    "import",
    "upload",
    "generate",
    "issue",
    "revoke",
    "renew",
    "action",
];

const PERMISSIONS: &[&str] = &[
    "policy",
    "policies",
    "permission",
    "permissions",
    "role",
    "roles",
    "grant",
    "binding",
    "bindings",
    "acl",
    "entitlement",
    "privilege",
    "privileges",
    "trust",
    "membership",
];
const CREDENTIALS: &[&str] = &[
    "password",
    "credential",
    "credentials",
    "token",
    "tokens",
    "secret",
    "secrets",
    "certificate",
    "certificates",
    "mfa",
    "apikey",
    "accesskey",
    "keypair",
    "factor",
];
const WATCHES: &[&str] = &["trail", "audit", "log", "logs", "logging", "detector", "alarm", "alarms", "alert", "alerts", "sink", "diagnostic"];
const SECRETS: &[&str] = &["secret", "secrets", "password", "passwords", "credential", "credentials"];

pub(super) fn class(action: &str) -> Class {
    let words = words(action);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_verb = |word: &&String| {
        [LISTS, READS, ENDS, EXECUTES, SHARES, ENTERS, GRANTS, CHANGES].iter().any(|list| list.contains(&word.as_str())) && !BEFORE.contains(&word.as_str())
    };
    let verb = words.iter().find(is_verb).map_or("", String::as_str);
    if has(ENTERS) || words.iter().any(|word| word == "session") && !LISTS.contains(&verb) && !READS.contains(&verb) {
        return Class::Session;
    }
    if LISTS.contains(&verb) {
        return Class::List;
    }
    if READS.contains(&verb) {
        return if has(SECRETS) { Class::Secret } else { Class::Read };
    }
    if words.iter().any(|word| word == "decrypt") {
        return Class::Secret;
    }
    if GRANTS.contains(&verb) || has(PERMISSIONS) {
        return Class::Permission;
    }
    let key = words.iter().any(|word| word == "key" || word == "keys")
        && words.iter().any(|word| matches!(word.as_str(), "access" | "api" | "ssh" | "signing" | "account"));
    if key || has(CREDENTIALS) {
        return Class::Credential;
    }
    if has(WATCHES) {
        return Class::Logging;
    }
    match verb {
        verb if ENDS.contains(&verb) => Class::Destruction,
        verb if EXECUTES.contains(&verb) => Class::Execution,
        verb if SHARES.contains(&verb) => Class::Share,
        _ => Class::Write,
    }
}

/// The words of a name, in lower case, without an AWS service before it.
fn words(action: &str) -> Vec<String> {
    let name = action.split_once(':').map_or(action, |(_, name)| name);
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before_was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before_was_lower) {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        before_was_lower = c.is_lowercase() || c.is_numeric();
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}
