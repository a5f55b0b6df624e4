//! Reads rule files: Sigma YAML with the sections `keytrail:` (what a finding of the rule is) and `tests:`.
//!
//! A file's stem is its rule's id. A file may hold several documents: the last one is the rule, and those before it are what it
//! correlates, found by their `name`.

use keytrail_schemas::{FindingKind, Micros, Severity, Text};
use rsigma_eval::{CompiledDetection, CompiledRule};
use rsigma_parser::{CorrelationRule, Level, SigmaRule};
use serde::Deserialize;

use super::{cause::Cause, observation::field, test::Test};
use crate::Error;

/// What findings of a rule have in common: two of the same fold into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The identity.
    Identity,
    /// The identity with one credential.
    #[default]
    Credential,
    /// The source address, whoever it acts as.
    Source,
    /// The identity with one destination.
    Destination,
}

/// The section `keytrail:`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Meta {
    /// Where the finding comes from.
    #[serde(deserialize_with = "word")]
    pub kind: FindingKind,
    /// How long a finding stays open, such as `24h`; the configured default when absent.
    pub fold_window: Option<String>,
    /// What findings that fold have in common.
    pub scope: Scope,
    /// The rule describes a lasting condition: where something acute is open for the same credential, it is one of its reasons.
    pub posture: bool,
    /// A sign: it counts beside others, and gives no finding of its own.
    pub sign: bool,
    /// It says how unusual an act is and not what it was: of rules of the same severity another one gives the finding its name.
    pub general: bool,
    /// Who does such acts habitually is learned (`baseline.action_routine`): a routine act is kept as a sign, and gives no finding of its own.
    pub learns: bool,
    /// The rule judges people too.
    pub humans: bool,
    /// What to do, in a line.
    pub runbook: Option<String>,
    /// One sentence with `{field}`s: what was seen. `{observed.ASPECT}` and `{expected.ASPECT}` are the baseline's words, `{observed}` its strongest three aspects'.
    pub reason: Option<String>,
    /// More questions to ask: commands with `{identity}`, `{credential}`, `{destination}`, `{source_ip}`, `{since}`, `{until}`.
    pub questions: Vec<String>,
    /// Whether it makes judgements, which have a budget, or states facts, which always pass. When absent, only policy of high severity is fact.
    pub budgeted: Option<bool>,
    /// What tells its detections apart; follows from the fields that it asks when absent.
    pub cause: Option<Cause>,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            kind: FindingKind::Policy,
            fold_window: None,
            scope: Scope::default(),
            posture: false,
            sign: false,
            general: false,
            learns: false,
            humans: false,
            runbook: None,
            reason: None,
            questions: Vec::new(),
            budgeted: None,
            cause: None,
        }
    }
}

fn word<'de, D: serde::Deserializer<'de>>(d: D) -> Result<FindingKind, D::Error> {
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

/// A rule as its file says, before its correlations are resolved.
pub struct Parsed {
    /// The file's stem, with `/name` for documents that are not the rule itself.
    pub id: Text,
    /// The name that correlations find it by.
    pub name: Option<String>,
    /// Sigma's own id, which correlations find it by too.
    pub uuid: Option<String>,
    /// One line.
    pub title: Text,
    /// What it is about.
    pub description: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// Tags.
    pub tags: Vec<Text>,
    /// When it is nothing.
    pub falsepositives: Vec<String>,
    /// The section `keytrail:`.
    pub meta: Meta,
    /// How long a finding stays open, in microseconds.
    pub fold_window_us: Option<i64>,
    /// Whether it gives findings, or is only correlated.
    pub reports: bool,
    /// The section `tests:`.
    pub tests: Vec<Test>,
    /// The rule itself.
    pub body: Sigma,
}

/// A Sigma document.
pub enum Sigma {
    /// A detection over observations.
    Detection(Box<CompiledRule>),
    /// A detection over raw records: compiled for each format that its logsource means.
    Raw(Box<SigmaRule>),
    /// A correlation.
    Correlation(Box<CorrelationRule>),
}

/// Reads the file called `name`.
///
/// # Errors
/// [`Error::Rule`] with what is wrong with it.
pub fn parse(name: &str, yaml: &str) -> Result<Vec<Parsed>, Error> {
    let stem = stem(name);
    let wrong = |reason: String| Error::Rule { rule: name.to_owned(), reason };
    let collection = rsigma_parser::parse_sigma_yaml(yaml).map_err(|error| wrong(error.to_string()))?;
    if let Some(error) = collection.errors.first() {
        return Err(wrong(error.clone()));
    }
    if !collection.filters.is_empty() {
        return Err(wrong("Sigma filters are not supported".to_owned()));
    }
    if collection.correlations.len() > 1 || collection.correlations.is_empty() && collection.rules.len() != 1 {
        return Err(wrong("a file holds one rule: one detection, or one correlation with the detections that it correlates".to_owned()));
    }
    let mut parsed = Vec::new();
    let correlates = collection.correlations.first().map(|rule| rule.generate);
    for rule in &collection.rules {
        let id = match (correlates, &rule.name) {
            (None, _) => stem.to_owned(),
            (Some(_), Some(name)) => format!("{stem}/{name}"),
            (Some(_), None) => return Err(wrong("a detection that is correlated needs a name".to_owned())),
        };
        parsed.push(detection(id, rule, correlates.unwrap_or(true)).map_err(wrong)?);
    }
    for rule in collection.correlations {
        parsed.push(correlation(stem, rule).map_err(wrong)?);
    }
    Ok(parsed)
}

/// A file's name without its folders and its ending.
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).unwrap_or(name)
}

/// Reads a file of a folder of rules that others wrote: it may hold any number of rules, and sections that are not ours.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_folder_file(path: &str, yaml: &str) -> Result<Vec<Parsed>, String> {
    let stem = stem(path);
    let collection = rsigma_parser::parse_sigma_yaml(yaml).map_err(|error| error.to_string())?;
    if let Some(error) = collection.errors.iter().find(|error| !is_remark(error)) {
        return Err(error.clone());
    }
    if !collection.filters.is_empty() {
        return Err("Sigma filters are not supported".to_owned());
    }
    let documents = collection.rules.len() + collection.correlations.len();
    if documents == 0 {
        return Err("it holds no rule".to_owned());
    }
    let mut parsed = Vec::new();
    for (number, rule) in collection.rules.iter().enumerate() {
        let named = |name: &String| {
            collection.correlations.iter().filter(|correlation| correlation.rules.contains(name)).map(|correlation| correlation.generate).reduce(|a, b| a || b)
        };
        let correlates = rule.name.as_ref().and_then(named).or_else(|| rule.id.as_ref().and_then(named));
        let id = match (&rule.name, documents) {
            (_, 1) => stem.to_owned(),
            (Some(name), _) => format!("{stem}/{name}"),
            (None, _) => format!("{stem}/{}", number + 1),
        };
        let mut rule = rule.clone();
        rule.custom_attributes.retain(|key, _| matches!(key.as_str(), "keytrail" | "tests"));
        parsed.push(detection(id, &rule, correlates.unwrap_or(true))?);
    }
    let several = collection.correlations.len() > 1;
    for (number, mut rule) in collection.correlations.into_iter().enumerate() {
        rule.custom_attributes.retain(|key, _| matches!(key.as_str(), "keytrail" | "tests"));
        let id = if several { format!("{stem}/correlation-{}", number + 1) } else { stem.to_owned() };
        parsed.push(correlation(&id, rule)?);
    }
    Ok(parsed)
}

/// What the parser remarks on without leaving anything out.
fn is_remark(error: &str) -> bool {
    ["status", "level", "related", "Invalid status", "Invalid level"].iter().any(|word| error.contains(word)) && !error.contains("parse error")
}

/// `reports`: whether it gives findings, or is only correlated.
fn detection(id: String, rule: &SigmaRule, reports: bool) -> Result<Parsed, String> {
    let compiled = rsigma_eval::compile_rule(rule).map_err(|error| error.to_string())?;
    let mut attributes = rule.custom_attributes.clone();
    if rule.logsource.category.as_deref() != Some("machine_identity") {
        // Public rules carry sections of their authors' own.
        attributes.retain(|key, _| matches!(key.as_str(), "keytrail" | "tests"));
    }
    let (mut meta, tests) = sections(&attributes)?;
    let body = if rule.logsource.category.as_deref() == Some("machine_identity") {
        compiled.detections.values().try_for_each(check_fields)?;
        Sigma::Detection(Box::new(compiled))
    } else {
        // Who it is about does not stand in a public rule: it judges everyone, unless it says otherwise.
        let says = rule.custom_attributes.get("keytrail").is_some_and(|section| section.get("humans").is_some());
        meta.humans |= !says;
        Sigma::Raw(Box::new(rule.clone()))
    };
    Ok(Parsed {
        id: id.into(),
        name: rule.name.clone(),
        uuid: rule.id.clone(),
        title: rule.title.as_str().into(),
        description: rule.description.clone(),
        severity: severity(rule.level),
        tags: rule.tags.iter().map(Text::from).collect(),
        falsepositives: rule.falsepositives.clone(),
        fold_window_us: fold_window(&meta)?,
        meta,
        reports,
        tests,
        body,
    })
}

fn correlation(stem: &str, rule: CorrelationRule) -> Result<Parsed, String> {
    let (meta, tests) = sections(&rule.custom_attributes)?;
    Ok(Parsed {
        id: stem.into(),
        name: rule.name.clone(),
        uuid: rule.id.clone(),
        title: rule.title.as_str().into(),
        description: rule.description.clone(),
        severity: severity(rule.level),
        tags: rule.tags.iter().map(Text::from).collect(),
        falsepositives: rule.falsepositives.clone(),
        fold_window_us: fold_window(&meta)?,
        meta,
        reports: true,
        tests,
        body: Sigma::Correlation(Box::new(rule)),
    })
}

fn sections(attributes: &std::collections::HashMap<String, yaml_serde::Value>) -> Result<(Meta, Vec<Test>), String> {
    let mut unknown: Vec<&String> = attributes.keys().filter(|key| !matches!(key.as_str(), "keytrail" | "tests")).collect();
    unknown.sort_unstable();
    if let Some(key) = unknown.first() {
        return Err(format!("unknown section {key:?}"));
    }
    let meta: Meta = attributes
        .get("keytrail")
        .map_or_else(|| Ok(Meta::default()), |value| yaml_serde::from_value(value.clone()))
        .map_err(|error| format!("keytrail: {error}"))?;
    let tests =
        attributes.get("tests").map_or_else(|| Ok(Vec::new()), |value| yaml_serde::from_value(value.clone())).map_err(|error| format!("tests: {error}"))?;
    for template in meta.reason.iter() {
        for name in placeholders(template) {
            if field(name).is_none() && crate::fold::seen(name).is_none() && !matches!(name, "count" | "observed") {
                return Err(format!("keytrail.reason names the field {name:?}, which is not there"));
            }
        }
    }
    for template in &meta.questions {
        if let Some(name) = placeholders(template)
            .find(|name| !matches!(*name, "identity" | "credential" | "destination" | "source_ip" | "since" | "until" | "finding" | "rule"))
        {
            return Err(format!("keytrail.questions cannot fill {{{name}}}"));
        }
    }
    Ok((meta, tests))
}

/// The names in braces.
pub fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name)
}

fn fold_window(meta: &Meta) -> Result<Option<i64>, String> {
    meta.fold_window
        .as_deref()
        .map(|text| duration_us(text).ok_or_else(|| format!("keytrail.fold_window: {text:?} is not a duration such as 90m, 24h or 7d")))
        .transpose()
}

/// `90s`, `15m`, `24h`, `7d`, in any sequence (`1d12h`), in microseconds.
#[must_use]
pub fn duration_us(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut number = String::new();
    for c in text.trim().chars() {
        let unit = match c {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            's' => Micros::SECOND,
            'm' => Micros::MINUTE,
            'h' => Micros::HOUR,
            'd' => Micros::DAY,
            _ => return None,
        };
        let n: f64 = number.parse().ok()?;
        number.clear();
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "durations in rules are far below 2^52 microseconds")]
        let span = (n * unit as f64) as i64;
        total = total.checked_add(span)?;
    }
    (number.is_empty() && !text.trim().is_empty()).then_some(total)
}

fn severity(level: Option<Level>) -> Severity {
    match level {
        Some(Level::Informational) => Severity::Informational,
        Some(Level::Low) => Severity::Low,
        Some(Level::Medium) | None => Severity::Medium,
        Some(Level::High) => Severity::High,
        Some(Level::Critical) => Severity::Critical,
    }
}

fn check_fields(detection: &CompiledDetection) -> Result<(), String> {
    match detection {
        CompiledDetection::AllOf(items) => items.iter().filter_map(|item| item.field.as_deref()).try_for_each(check_field),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().try_for_each(check_fields),
        CompiledDetection::ArrayMatch { field, .. } => check_field(field),
        CompiledDetection::Keywords(_) | CompiledDetection::Conditional { .. } => Ok(()),
    }
}

fn check_field(name: &str) -> Result<(), String> {
    if field(name).is_some() { Ok(()) } else { Err(format!("no field is called {name:?}")) }
}
