//! Paths with a query: the path stays, of the query the parameters that are known to hold nothing free.

use std::borrow::Cow;

use super::form::unwrap::percent;
use super::form::{FORMS, Scope};
use super::harmless::is_harmless;
use super::{Redactor, command, is_withheld};

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
    "labelSelector",
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

/// A parameter's name, if it looks like one.
fn name_kept<'n>(redactor: &Redactor, name: &'n str) -> Cow<'n, str> {
    const BYTES_MAX: usize = 64;
    let plain = name.len() <= BYTES_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%'));
    if plain && FORMS.find(name, Scope::Name, false).is_empty() { Cow::Borrowed(name) } else { Cow::Owned(redactor.written(name.as_bytes())) }
}
