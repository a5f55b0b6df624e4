//! Rules: Sigma over events and features. What is suspicious is decided here and nowhere else; code only computes features.

pub mod attack;
pub mod cause;
mod correlation;
mod embedded;
pub mod load;
mod matching;
pub mod observation;
mod prefilter;
pub mod raw;
pub mod set;
pub mod source;
pub mod test;
pub mod window;

use std::{collections::BTreeMap, sync::Arc};

use keytrail_schemas::{EventId, FindingKind, IdentityKind, Severity, Text};
use rsigma_eval::CompiledRule;

pub use self::correlation::Groups;
use self::{
    correlation::{Bounds, Column, Correlation, Place},
    observation::Observation,
    prefilter::{Memory, Prefilter},
    raw::{Given, Memories, Programs, logsource},
    source::{Meta, Parsed, Sigma},
    test::{Report, Test},
    window::Windows,
};
use crate::{Error, shape::Shape};

/// Events that a correlation may count to.
const CORRELATION_EVENTS_MAX: usize = 1024;

/// A set of rules, compiled. Immutable: several detectors share one.
pub struct Rules {
    rules: Vec<Rule>,
    prefilter: Prefilter,
    programs: Programs,
    sources: Vec<(String, String)>,
    windows: Windows,
}

/// One rule.
pub struct Rule {
    /// The file's stem.
    pub id: Text,
    /// One line for a person.
    pub title: Text,
    /// What it is about.
    pub description: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// ATT&CK techniques, OWASP NHI numbers and others.
    pub tags: Vec<Text>,
    /// When it is nothing.
    pub falsepositives: Vec<String>,
    /// What a finding of it is.
    pub meta: Meta,
    /// How long a finding of it stays open, in microseconds; the configured default when absent.
    pub fold_window_us: Option<i64>,
    /// The ATT&CK technique in its tags.
    pub technique: Option<Text>,
    /// The tactic.
    pub tactic: Option<Text>,
    /// What tells its detections apart.
    pub cause: cause::Cause,
    /// Its own tests.
    pub tests: Vec<Test>,
    reports: bool,
    body: Body,
}

enum Body {
    Detection(Box<CompiledRule>),
    /// In the programs of its formats.
    Raw,
    Correlation(Correlation),
}

/// Rules by what correlations call them.
struct Names<'a> {
    /// Id, name, Sigma's id, and what its fields are of.
    rules: Vec<(&'a Text, Option<&'a str>, Option<&'a str>, Fields<'a>)>,
}

enum Fields<'a> {
    Observation,
    Record(&'a rsigma_parser::LogSource),
    /// It correlates, and is not correlated itself.
    None,
}

/// One line of `rules list`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Listed {
    /// The rule's id.
    pub rule: Text,
    /// Its title.
    pub title: Text,
    /// How much it matters.
    pub severity: Severity,
    /// Where its findings come from.
    pub kind: FindingKind,
    /// Its ATT&CK techniques, `T1078, T1098.003`.
    pub attack: String,
    /// Its numbers in OWASP's Non-Human Identities Top 10, `NHI2, NHI7`.
    pub nhi: String,
    /// Its tags.
    pub tags: Vec<Text>,
    /// How many tests it carries.
    pub tests: usize,
    /// Whether it counts against the alert budget.
    pub budgeted: bool,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub rule: usize,
    /// What was counted, and the events, for a correlation.
    pub correlated: Option<(u64, Vec<EventId>)>,
}

impl Rules {
    /// The rules that keytrail comes with.
    ///
    /// # Errors
    /// [`Error`] when one of them does not hold, which a test excludes.
    pub fn embedded() -> Result<Self, Error> {
        Self::from_sources(embedded::FILES.iter().map(|(name, yaml)| ((*name).to_owned(), (*yaml).to_owned())))
    }

    /// Rules from (file name, YAML) pairs.
    ///
    /// # Errors
    /// [`Error::Rule`] for the first that does not hold, [`Error::RuleTwice`] when two share an id.
    pub fn from_sources(sources: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut sources: Vec<(String, String)> = sources.collect();
        sources.sort_unstable();
        let mut parsed = Vec::new();
        for (name, yaml) in &sources {
            parsed.extend(source::parse(name, yaml)?);
        }
        Self::compile(parsed, sources, None)
    }

    /// Compiles rules; those over raw records for `formats`, or for every format that is known.
    fn compile(mut parsed: Vec<Parsed>, sources: Vec<(String, String)>, formats: Option<&[&str]>) -> Result<Self, Error> {
        // Equal sets are evaluated in an equal order, wherever they come from.
        parsed.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some([first, _]) = parsed.array_windows::<2>().find(|[a, b]| a.id == b.id) {
            return Err(Error::RuleTwice(first.id.to_string()));
        }
        let names = Names::of(parsed.iter());
        let correlations = parsed
            .iter()
            .map(|rule| match &rule.body {
                Sigma::Correlation(correlation) => {
                    correlate(&rule.id, correlation, &names).map(Some).map_err(|reason| Error::Rule { rule: rule.id.to_string(), reason })
                }
                Sigma::Detection(_) | Sigma::Raw(_) => Ok(None),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut asked: Vec<String> = correlations.iter().flatten().flat_map(Correlation::raw_names).cloned().collect();
        asked.sort_unstable();
        asked.dedup();
        let programs = Programs::new(given(&parsed, formats)?, &asked).map_err(Error::Rules)?;
        let rules: Vec<Rule> = parsed.into_iter().zip(correlations).map(|(rule, correlation)| Rule::new(rule, correlation)).collect();
        let prefilter = Prefilter::new(rules.iter().map(|rule| match &rule.body {
            Body::Detection(compiled) => Some(&**compiled),
            Body::Raw | Body::Correlation(_) => None,
        }));
        Ok(Self { rules, prefilter, programs, sources, windows: Windows::default() })
    }

    /// Every rule that gives findings, sorted by id.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.rules
            .iter()
            .filter(|rule| rule.reports)
            .map(|rule| Listed {
                rule: rule.id.clone(),
                title: rule.title.clone(),
                severity: rule.severity,
                kind: rule.meta.kind,
                attack: tagged(&rule.tags, |tag| {
                    tag.strip_prefix("attack.t").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).map(|number| format!("T{number}"))
                }),
                nhi: tagged(&rule.tags, |tag| tag.strip_prefix("nhi.").map(|number| format!("NHI{number}"))),
                tags: rule.tags.clone(),
                tests: rule.tests.len(),
                budgeted: !rule.meta.posture && crate::rank::is_judgement(rule),
            })
            .collect()
    }

    /// What a reviewer would object to, one line each: rules without tests, tags, false positives or runbook.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut objections = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.reports) {
            let mut object = |what: &str| objections.push(format!("{}: {what}", rule.id));
            if !rule.tests.iter().any(|test| test.fires.count() > 0) {
                object("no test in which it fires");
            }
            if !rule.tests.iter().any(|test| test.fires.count() == 0) {
                object("no test in which it does not fire");
            }
            if rule.tags.is_empty() {
                object("no tags");
            }
            if rule.falsepositives.is_empty() {
                object("no falsepositives");
            }
            if rule.meta.runbook.is_none() {
                object("no keytrail.runbook");
            }
            if rule.meta.reason.is_none() {
                object("no keytrail.reason");
            }
        }
        objections
    }

    /// Runs the tests that every rule carries, each against a fresh detector with that rule's file alone.
    #[must_use]
    pub fn test(&self) -> Vec<Report> {
        // Rules that others wrote carry none.
        self.sources.iter().filter(|(_, yaml)| yaml.contains("\ntests:")).flat_map(|(name, yaml)| test::run(name, yaml)).collect()
    }

    /// The declared windows.
    #[must_use]
    pub const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// A rule by number.
    #[must_use]
    pub fn get(&self, rule: usize) -> Option<&Rule> {
        self.rules.get(rule)
    }

    /// How many detections the prefilter decides alone, and how many detections there are.
    #[must_use]
    pub fn decided_natively(&self) -> (usize, usize) {
        (self.prefilter.exact(), self.rules.iter().filter(|rule| matches!(rule.body, Body::Detection(_))).count())
    }

    /// The rules' plain verdict without the prefilter, for tests: numbers of the detections that match.
    #[must_use]
    pub fn matches_plainly(&self, o: &Observation<'_>) -> Vec<usize> {
        let matching = |rule: &Rule| matches!(&rule.body, Body::Detection(compiled) if rule.judges(o) && rsigma_eval::evaluate_rule(compiled, o).is_some());
        self.rules.iter().enumerate().filter(|(_, rule)| matching(rule)).map(|(number, _)| number).collect()
    }
}

fn tagged(tags: &[Text], of: impl Fn(&str) -> Option<String>) -> String {
    tags.iter().filter_map(|tag| of(tag)).collect::<Vec<_>>().join(", ")
}

/// What the programs of each format are made of.
fn given<'a>(parsed: &[Parsed], formats: Option<&[&str]>) -> Result<BTreeMap<&'a str, Vec<Given>>, Error> {
    let mut by_format: BTreeMap<&str, Vec<Given>> = BTreeMap::new();
    for (number, parsed) in parsed.iter().enumerate() {
        let Sigma::Raw(rule) = &parsed.body else { continue };
        let mut last = None;
        for source in logsource::sources(&rule.logsource).filter(|source| formats.is_none_or(|formats| formats.contains(&source.format))) {
            if last.replace(source.format) == Some(source.format) {
                continue;
            }
            let compiled =
                rsigma_eval::compile_rule(&source.translated(rule)).map_err(|error| Error::Rule { rule: parsed.id.to_string(), reason: error.to_string() })?;
            let service = rule.logsource.service.clone().filter(|_| source.services.len() > 1);
            by_format.entry(source.format).or_default().push(Given { number, service, rule: compiled });
        }
    }
    Ok(by_format)
}

/// Compiles the correlation called `id`: its rules are those of its own file, or any by their ids and names.
fn correlate(id: &Text, rule: &rsigma_parser::CorrelationRule, names: &Names<'_>) -> Result<Correlation, String> {
    let own = format!("{id}/");
    let find = |name: &str| {
        let all = || names.rules.iter().enumerate();
        let (number, (_, _, _, fields)) = all()
            .find(|(_, (id, ..))| id.strip_prefix(own.as_str()) == Some(name))
            .or_else(|| all().find(|(_, (id, known, uuid, _))| *id == name || *known == Some(name) || *uuid == Some(name)))?;
        match fields {
            Fields::None => None,
            Fields::Observation => Some(Place { number, column: Box::new(|field| observation::field(field).map(Column::Own)) }),
            Fields::Record(logsource) => Some(Place {
                number,
                column: Box::new(move |field| Some(Column::Raw(logsource::sources(logsource).map(|source| (source.format, source.name(field))).collect()))),
            }),
        }
    };
    Correlation::new(rule, find, CORRELATION_EVENTS_MAX)
}

impl<'a> Names<'a> {
    fn of(parsed: impl Iterator<Item = &'a Parsed>) -> Self {
        let rules = parsed.map(|rule| {
            let fields = match &rule.body {
                Sigma::Detection(_) => Fields::Observation,
                Sigma::Raw(raw) => Fields::Record(&raw.logsource),
                Sigma::Correlation(_) => Fields::None,
            };
            (&rule.id, rule.name.as_deref(), rule.uuid.as_deref(), fields)
        });
        Self { rules: rules.collect() }
    }
}

impl Rule {
    fn new(parsed: Parsed, correlation: Option<Correlation>) -> Self {
        let cause = match &parsed.body {
            Sigma::Detection(compiled) => cause::Cause::of(compiled, &parsed.meta),
            // A record is about an act.
            Sigma::Raw(_) => parsed.meta.cause.unwrap_or(cause::Cause { action: true, ..cause::Cause::default() }),
            Sigma::Correlation(_) => parsed.meta.cause.unwrap_or_default(),
        };
        let body = match (parsed.body, correlation) {
            (_, Some(correlation)) => Body::Correlation(correlation),
            (Sigma::Detection(compiled), None) => Body::Detection(compiled),
            (Sigma::Raw(_) | Sigma::Correlation(_), None) => Body::Raw,
        };
        Self {
            technique: attack::technique(&parsed.tags),
            tactic: attack::tactic(&parsed.tags),
            cause,
            id: parsed.id,
            title: parsed.title,
            description: parsed.description,
            severity: parsed.severity,
            tags: parsed.tags,
            falsepositives: parsed.falsepositives,
            meta: parsed.meta,
            fold_window_us: parsed.fold_window_us,
            tests: parsed.tests,
            reports: parsed.reports,
            body,
        }
    }

    /// Whether it looks at the observation at all: people are not judged unless it says so.
    fn judges(&self, o: &Observation<'_>) -> bool {
        self.meta.humans || o.event.identity_kind != IdentityKind::Human
    }
}

/// Evaluates rules; holds what the prefilter remembers, which no outcome depends on.
pub struct Evaluator {
    rules: Arc<Rules>,
    memory: Memory,
    memories: Memories,
    matched: Vec<usize>,
    correlations: Vec<usize>,
    bounds: Bounds,
}

impl Evaluator {
    /// For `rules`, with bounds on the groups of correlations.
    #[must_use]
    pub fn new(rules: Arc<Rules>, groups_max: usize, events_max: usize) -> Self {
        let correlations = rules.rules.iter().enumerate().filter(|(_, rule)| matches!(rule.body, Body::Correlation(_))).map(|(number, _)| number).collect();
        Self {
            memory: rules.prefilter.memory(),
            memories: rules.programs.memories(),
            matched: Vec::new(),
            correlations,
            bounds: Bounds { groups_max, events_max },
            rules,
        }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Looks at what will be asked of an event of `shape`.
    #[inline]
    #[must_use]
    pub fn touch(&self, shape: Shape) -> u32 {
        self.memory.touch(shape)
    }

    /// Numbers of the detections that match, reported or not, for tests.
    #[must_use]
    pub fn detections(&mut self, o: &Observation<'_>, groups: &mut Groups) -> Vec<usize> {
        self.evaluate(o, groups, &mut Vec::new());
        self.matched.clone()
    }

    /// Appends to `hits` the rules that match, in the order of their ids within detections and then correlations.
    pub fn evaluate(&mut self, o: &Observation<'_>, groups: &mut Groups, hits: &mut Vec<Hit>) {
        self.matched.clear();
        let record = if o.absence.is_none() { self.rules.programs.judge(o.event, &mut self.memories, &mut self.matched) } else { None };
        self.matched.retain(|number| self.rules.rules.get(*number).is_some_and(|rule| rule.judges(o)));
        for (number, certain) in self.rules.prefilter.candidates(o, &mut self.memory).iter().copied() {
            let Some(rule) = self.rules.rules.get(number).filter(|rule| rule.judges(o)) else { continue };
            let Body::Detection(compiled) = &rule.body else { continue };
            if certain || rsigma_eval::evaluate_rule(compiled, o).is_some() {
                self.matched.push(number);
            }
        }
        self.matched.sort_unstable();
        let reporting = self.matched.iter().filter(|number| self.rules.rules.get(**number).is_some_and(|rule| rule.reports));
        hits.extend(reporting.map(|number| Hit { rule: *number, correlated: None }));
        if self.matched.is_empty() {
            return;
        }
        for number in &self.correlations {
            let Some(Rule { id, body: Body::Correlation(correlation), .. }) = self.rules.rules.get(*number) else { continue };
            let mut fired = None;
            for (place, rule) in correlation.rules.iter().enumerate() {
                if self.matched.contains(rule) {
                    fired = groups.observe(id, correlation, place, o, record.as_ref(), self.bounds).or(fired);
                }
            }
            if fired.is_some() {
                hits.push(Hit { rule: *number, correlated: fired });
            }
        }
    }
}
