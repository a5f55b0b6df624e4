//! Paths with a query: the path stays, of the query the parameters that are known to hold nothing free.

use std::borrow::Cow;

use super::form::unwrap::percent;
use super::form::{FORMS, Scope};
use super::harmless::is_harmless;
use super::place::{Kind, Policy};
use super::{Redactor, command, is_withheld, words};

/// Parameters of the Kubernetes API whose values are names, selectors and switches (Kubernetes API reference, "Common parameters" and the
/// options of `exec`, `attach`, `log`, `port-forward`).
const KNOWN: &[&str] = &[
    "allowWatchBookmarks",
    "container",
    "dryRun",
    "exact",
    "export",
    "fieldManager",
    "fieldSelector",
    "fieldValidation",
    "follow",
    "force",
    "gracePeriodSeconds",
    "includeUninitialized",
    "insecureSkipTLSVerifyBackend",
    "limit",
    "limitBytes",
    "orphanDependents",
    "ports",
    "pretty",
    "previous",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "sinceSeconds",
    "sinceTime",
    "stderr",
    "stdin",
    "stdout",
    "tailLines",
    "timeout",
    "timeoutSeconds",
    "timestamps",
    "tty",
    "verbose",
    "watch",
    "stream",
    "allNamespaces",
];

/// Parameters that select by labels: what a label holds is kept as it is in an object.
const LABELS: &[&str] = &["labelSelector"];

/// Parameters that are words of a command line.
const COMMANDS: &[&str] = &["command"];

/// A URI with what its parameters hold replaced, where it is not known to be harmless.
pub(super) fn redacted<'t>(redactor: &Redactor, uri: &'t str) -> Cow<'t, str> {
    let Some((path, query)) = uri.split_once('?') else { return Cow::Borrowed(uri) };
    let mut out = String::with_capacity(uri.len() + 64);
    out.push_str(path);
    out.push('?');
    for (index, parameter) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        let Some((name, value)) = parameter.split_once('=') else {
            if parameter.len() <= 3 || KNOWN.contains(&parameter) {
                out.push_str(parameter)
            } else {
                out.push_str(&redactor.written(parameter.as_bytes()))
            }
            continue;
        };
        out.push_str(&name_kept(redactor, name));
        out.push('=');
        let plain = percent(value).map_or(Cow::Borrowed(value), Cow::Owned);
        if is_withheld(&plain) {
            out.push_str(value);
        } else if COMMANDS.contains(&name) {
            match command::redacted(redactor, &plain) {
                Cow::Borrowed(_) => out.push_str(value),
                Cow::Owned(redacted) => out.push_str(&redacted.replace(' ', "+")),
            }
        } else if LABELS.contains(&name) {
            match selector(redactor, &plain) {
                Cow::Borrowed(_) => out.push_str(value),
                Cow::Owned(redacted) => out.push_str(&redacted.replace(' ', "+")),
            }
        } else if KNOWN.contains(&name) && FORMS.find(&plain, Scope::Name, false).is_empty() || is_harmless(&plain, "") {
            out.push_str(value);
        } else {
            out.push_str(&redactor.written(plain.as_bytes()));
        }
    }
    if let Some(verdict) = super::value::replaced(redactor, path, Scope::Name, false, true) {
        out.replace_range(..path.len(), &verdict.written);
    }
    if out == uri { Cow::Borrowed(uri) } else { Cow::Owned(out) }
}

/// A selector of labels (`app=web,tier in (a, b),!canary`) with the values replaced of labels that the list of places does not name.
fn selector<'t>(redactor: &Redactor, text: &'t str) -> Cow<'t, str> {
    let policy = Policy::of("k8s_audit");
    let labels = ["requestobject", "metadata", "labels"].iter().fold(policy.root(), |spot, key| policy.child(spot, key));
    let mut out = String::with_capacity(text.len() + 64);
    let mut keeps = false;
    let mut within = false;
    for (index, part) in text.split(',').enumerate() {
        if index > 0 {
            out.push(',');
        }
        // `key`, `!key`, `key=value`, `key in (value`, and behind it values alone.
        let (key, values) = if within { ("", part) } else { part.split_at(part.find(['=', '!', '<', '>', ' ']).filter(|at| *at > 0).unwrap_or(part.len())) };
        if !within {
            let name = key.trim_start_matches('!');
            keeps = policy.child(labels, name).kind == Kind::Name;
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/'));
            let kept = keeps || (plain && name.len() <= 317 && FORMS.find(name, Scope::Name, false).is_empty());
            if kept { out.push_str(key) } else { out.push_str(&redactor.written(key.as_bytes())) }
        }
        within = (within || values.contains('(')) && !values.contains(')');
        let judged = words::each(values, |word| {
            let clean = is_withheld(word)
                || matches!(word, "in" | "notin" | "exists")
                || is_harmless(word, "")
                || keeps && FORMS.find(word, Scope::Name, false).is_empty();
            if clean { Cow::Borrowed(word) } else { Cow::Owned(redactor.written(word.as_bytes())) }
        });
        out.push_str(&judged);
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// A parameter's name, if it looks like one.
fn name_kept<'n>(redactor: &Redactor, name: &'n str) -> Cow<'n, str> {
    const BYTES_MAX: usize = 64;
    let plain = name.len() <= BYTES_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%'));
    if plain && FORMS.find(name, Scope::Name, false).is_empty() { Cow::Borrowed(name) } else { Cow::Owned(redactor.written(name.as_bytes())) }
}
