//! Command lines: programs, options and references to variables are kept, what is handed to them is not.

use std::borrow::Cow;
use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use super::harmless::is_harmless;
use super::{Redactor, is_withheld, words};

static PROGRAMS: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| include_str!("../../data/redact/programs.txt").lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect());

/// Folders that programs lie in.
const FOLDERS: &[&str] = &["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/opt/bin/"];

/// A command line with every word replaced that is neither a program, nor an option, nor a variable's name.
pub(super) fn redacted<'t>(redactor: &Redactor, text: &'t str) -> Cow<'t, str> {
    words::each(text, |word| {
        if passes(word) {
            return Cow::Borrowed(word);
        }
        // `169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`: a variable behind something else.
        match word.split_once('$') {
            Some((before, name)) if !before.is_empty() && is_variable(name) => {
                if passes(before) {
                    Cow::Borrowed(word)
                } else {
                    Cow::Owned(format!("{}${name}", redactor.written(before.as_bytes())))
                }
            }
            _ => Cow::Owned(redactor.written(word.as_bytes())),
        }
    })
}

fn passes(word: &str) -> bool {
    is_withheld(word)
        || word.len() <= 1
        || is_option(word)
        || is_program(word)
        || is_harmless(word, "")
        || word.strip_prefix('$').is_some_and(is_variable)
        || is_host(word)
}

/// `-x`, `--long-name`: of a short one only the letter, for a value may stand right behind it.
fn is_option(word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(name) => name.split('-').all(|part| part.len() <= 16 && words::are_words(part)),
        None => word
            .strip_prefix('-')
            .is_some_and(|letter| letter.len() <= 1 || matches!(letter, "rf" | "la" | "al" | "lc" | "ec" | "euc" | "xe" | "it" | "ti" | "sS" | "fsSL" | "sSL")),
    }
}

fn is_program(word: &str) -> bool {
    let name = FOLDERS.iter().find_map(|folder| word.strip_prefix(folder)).unwrap_or(word);
    PROGRAMS.contains(name.to_ascii_lowercase().as_str())
}

/// What follows `$`: `NAME`, `{NAME}`, `(NAME)`, or a digit.
fn is_variable(text: &str) -> bool {
    const BYTES_MAX: usize = 64;
    let name = text.trim_start_matches(['{', '(']).trim_end_matches(['}', ')']);
    !name.is_empty() && name.len() <= BYTES_MAX && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
}

/// `http://169.254.170.2`: a scheme and an address, nothing behind it.
fn is_host(word: &str) -> bool {
    let rest = ["http://", "https://", "tcp://"].iter().find_map(|scheme| word.strip_prefix(scheme));
    rest.is_some_and(|rest| rest.is_empty() || is_harmless(rest.trim_end_matches('/'), ""))
}
