//! Loads a set of rules in which some may not hold: those are named and left out, the others judge.

use std::collections::BTreeMap;

use keytrail_schemas::{Severity, Text};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{
    Rules, embedded,
    raw::logsource,
    set::{FILE_BYTES_MAX, FILES_MAX, File, Set},
    source::{self, Parsed, Sigma},
    window::{self, Windows},
};
use crate::Error;

/// Open parentheses within one file; a condition that is nested deeper would exhaust the parser's stack.
const PARENTHESES_MAX: usize = 100;
/// Longest list of reasons that a rule is told by.
const REASON_BYTES_MAX: usize = 600;

/// What stands for a logsource where a file declares a window.
pub const DECLARED_WINDOW: &str = "declared window";

/// What became of one rule, or of a file that holds none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The file.
    pub path: String,
    /// The rule's id; the file's name where it gave no rule.
    pub rule: Text,
    /// Whether it was taken in.
    pub loads: bool,
    /// Why not, or what keeps it idle.
    pub reason: Option<String>,
    /// Its logsource in words; empty where none was read.
    pub logsource: String,
    /// It loads, and no record that is read today can match it.
    pub idle: bool,
    /// The most severe that its findings are.
    pub severity: Option<Severity>,
    /// Its tags.
    pub tags: Vec<Text>,
}

/// Rules, and what became of each that was given.
pub struct Loaded {
    /// Those that judge.
    pub rules: Rules,
    /// Every rule of every file, in order of their paths.
    pub checked: Vec<Checked>,
}

/// Compiles `set`; `formats` are those that are read.
///
/// # Errors
/// When the built-in rules do not hold, which a test excludes, or all rules together are too much for one automaton.
pub fn load(set: &Set, formats: &[&str]) -> Result<Loaded, Error> {
    let mut loading = Loading { formats, checked: Vec::new(), parsed: Vec::new(), ids: FxHashMap::default(), sources: Vec::new(), windows: Windows::default() };
    if !set.without_builtin {
        for (name, yaml) in embedded::FILES {
            loading.sources.push(((*name).to_owned(), (*yaml).to_owned()));
            for parsed in source::parse(name, yaml)? {
                loading.ids.insert(parsed.id.to_string(), format!("built in, {name}"));
                loading.parsed.push((parsed, None));
            }
        }
    }
    let mut files = 0;
    for folder in &set.folders {
        for file in &folder.files {
            files += 1;
            let path =
                if folder.files.len() == 1 && folder.path.ends_with(&file.path) { folder.path.clone() } else { format!("{}/{}", folder.path, file.path) };
            if files > FILES_MAX {
                loading.refuse(&path, &format!("it is beyond the {FILES_MAX}th rule file"));
                continue;
            }
            loading.file(path, file, folder.severity_max);
        }
    }
    loading.finish()
}

struct Loading<'a> {
    formats: &'a [&'a str],
    checked: Vec<Checked>,
    /// With the place in `checked`, for those that were given.
    parsed: Vec<(Parsed, Option<usize>)>,
    ids: FxHashMap<String, String>,
    sources: Vec<(String, String)>,
    windows: Windows,
}

impl Loading<'_> {
    fn refuse(&mut self, path: &str, reason: &str) {
        let stem = source::stem(path);
        self.checked.push(Checked {
            path: path.to_owned(),
            rule: stem.into(),
            loads: false,
            reason: Some(shortened(reason)),
            logsource: String::new(),
            idle: false,
            severity: None,
            tags: Vec::new(),
        });
    }

    fn file(&mut self, path: String, file: &File, severity_max: Severity) {
        if let Ok(text) = &file.text
            && window::is_file_of_windows(text)
        {
            self.windows(&path, text);
            return;
        }
        let parsed = match &file.text {
            Err(reason) => Err(reason.clone()),
            Ok(text) => readable(text).and_then(|()| source::parse_folder_file(&file.path, text)),
        };
        match parsed {
            Err(reason) => self.refuse(&path, &reason),
            Ok(rules) => {
                if let Ok(text) = &file.text {
                    self.sources.push((path.clone(), text.clone()));
                }
                for mut parsed in rules {
                    parsed.severity = parsed.severity.min(severity_max);
                    self.rule(&path, parsed);
                }
            }
        }
    }

    /// A file of declared windows.
    fn windows(&mut self, path: &str, text: &str) {
        let taken = readable(text).and_then(|()| window::parse(text)).and_then(|windows| {
            let names: Vec<Text> = windows.iter().map(|window| window.name.clone()).collect();
            self.windows.extend(windows).map(|()| names)
        });
        match taken {
            Err(reason) => self.refuse(path, &reason),
            Ok(names) => self.checked.extend(names.into_iter().map(|name| Checked {
                path: path.to_owned(),
                rule: name,
                loads: true,
                reason: None,
                logsource: DECLARED_WINDOW.to_owned(),
                idle: false,
                severity: None,
                tags: Vec::new(),
            })),
        }
    }

    fn rule(&mut self, path: &str, parsed: Parsed) {
        let (words, idle) = match &parsed.body {
            Sigma::Detection(_) => ("machine_identity".to_owned(), None),
            Sigma::Correlation(_) => ("correlation".to_owned(), None),
            Sigma::Raw(rule) => (logsource::words(&rule.logsource), self.idle(rule)),
        };
        let twice = [Some(parsed.id.to_string()), parsed.uuid.clone()].into_iter().flatten().find_map(|id| self.ids.get(&id).map(|known| (id, known.clone())));
        let mut checked = Checked {
            path: path.to_owned(),
            rule: parsed.id.clone(),
            loads: twice.is_none(),
            reason: idle.clone(),
            logsource: words,
            idle: twice.is_none() && idle.is_some(),
            severity: Some(parsed.severity),
            tags: parsed.tags.clone(),
        };
        if let Some((id, known)) = twice {
            checked.reason = Some(format!("the id {id} stands twice: first in {known}"));
            self.checked.push(checked);
            return;
        }
        for id in [Some(parsed.id.to_string()), parsed.uuid.clone()].into_iter().flatten() {
            self.ids.insert(id, path.to_owned());
        }
        self.checked.push(checked);
        self.parsed.push((parsed, Some(self.checked.len() - 1)));
    }

    /// Why no record that is read can match the rule.
    fn idle(&self, rule: &rsigma_parser::SigmaRule) -> Option<String> {
        let sources: Vec<_> = logsource::sources(&rule.logsource).collect();
        let read: Vec<_> = sources.iter().filter(|source| self.formats.contains(&source.format)).collect();
        let beyond = |source: &&&logsource::Source| {
            let reach = source.reach?;
            let compiled = rsigma_eval::compile_rule(&source.translated(rule)).ok()?;
            (!reach.covers(&compiled)).then_some(reach.others)
        };
        if !read.is_empty() {
            let others: Vec<&str> = read.iter().filter_map(beyond).collect();
            return (others.len() == read.len()).then(|| format!("not read: {}", others.join(", ")));
        }
        let formats: Vec<&str> = sources.iter().map(|source| source.format).collect();
        Some(match formats.as_slice() {
            [] => format!("format not read yet: no format is known for {}", logsource::words(&rule.logsource)),
            formats => format!("format not read yet: {}", formats.join(", ")),
        })
    }

    fn finish(mut self) -> Result<Loaded, Error> {
        // A correlation that does not hold is left out before rules get their numbers.
        let names = super::Names::of(self.parsed.iter().map(|(parsed, _)| parsed));
        let mut failed = BTreeMap::new();
        for (at, (parsed, given)) in self.parsed.iter().enumerate() {
            if let (Sigma::Correlation(correlation), Some(given)) = (&parsed.body, given)
                && let Err(reason) = super::correlate(&parsed.id, correlation, &names)
            {
                failed.insert(at, (*given, reason));
            }
        }
        for (given, reason) in failed.values() {
            if let Some(checked) = self.checked.get_mut(*given) {
                (checked.loads, checked.reason) = (false, Some(shortened(reason)));
            }
        }
        let kept = self.parsed.into_iter().enumerate().filter(|(at, _)| !failed.contains_key(at)).map(|(_, (parsed, _))| parsed).collect();
        let mut rules = Rules::compile(kept, self.sources, Some(self.formats))?;
        rules.windows = self.windows;
        Ok(Loaded { rules, checked: self.checked })
    }
}

/// What is refused before a parser sees it.
fn readable(text: &str) -> Result<(), String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes, and a rule file has at most {FILE_BYTES_MAX}", text.len()));
    }
    let (mut open, mut before) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' if before != b'\\' => open += 1,
            b')' if before != b'\\' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > PARENTHESES_MAX {
            return Err(format!("more than {PARENTHESES_MAX} parentheses are open at once"));
        }
        before = byte;
    }
    Ok(())
}

fn shortened(reason: &str) -> String {
    let one_line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(REASON_BYTES_MAX) {
        Some((at, _)) => format!("{}…", one_line.get(..at).unwrap_or_default()),
        None => one_line,
    }
}
