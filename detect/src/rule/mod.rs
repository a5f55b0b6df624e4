//! Rules: Sigma over events and features. What is suspicious is decided here and nowhere else; code only computes features.

pub mod attack;
pub mod cause;
mod correlation;
mod embedded;
pub mod observation;
mod prefilter;
pub mod source;
pub mod test;

use std::sync::Arc;

use keytrail_schemas::{EventId, FindingKind, IdentityKind, Severity, Text};
use rsigma_eval::CompiledRule;

pub use self::correlation::Groups;
use self::{
    correlation::{Bounds, Correlation},
    observation::Observation,
    prefilter::{Memory, Prefilter},
    source::{Meta, Parsed, Sigma},
    test::{Report, Test},
};
use crate::Error;

/// Events that a correlation may count to.
const CORRELATION_EVENTS_MAX: usize = 1024;

/// A set of rules, compiled. Immutable: several detectors share one.
pub struct Rules {
    rules: Vec<Rule>,
    prefilter: Prefilter,
    sources: Vec<(String, String)>,
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
    Correlation(Correlation),
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
        // Equal sets are evaluated in an equal order, wherever they come from.
        parsed.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some([first, _]) = parsed.array_windows::<2>().find(|[a, b]| a.id == b.id) {
            return Err(Error::RuleTwice(first.id.to_string()));
        }
        let names: Vec<(Text, Option<String>)> = parsed.iter().map(|rule| (rule.id.clone(), rule.name.clone())).collect();
        let rules = parsed.into_iter().map(|rule| Rule::new(rule, &names)).collect::<Result<Vec<_>, _>>()?;
        let prefilter = Prefilter::new(rules.iter().map(|rule| match &rule.body {
            Body::Detection(compiled) => Some(&**compiled),
            Body::Correlation(_) => None,
        }));
        Ok(Self { rules, prefilter, sources })
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
        self.sources.iter().flat_map(|(name, yaml)| test::run(name, yaml)).collect()
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

impl Rule {
    fn new(parsed: Parsed, names: &[(Text, Option<String>)]) -> Result<Self, Error> {
        let wrong = |reason| Error::Rule { rule: parsed.id.to_string(), reason };
        let body = match &parsed.body {
            Sigma::Detection(compiled) => Body::Detection(compiled.clone()),
            Sigma::Correlation(correlation) => {
                let own = format!("{}/", parsed.id);
                let find = |name: &str| {
                    names
                        .iter()
                        .position(|(id, _)| id.strip_prefix(own.as_str()) == Some(name))
                        .or_else(|| names.iter().position(|(id, known)| id == name || known.as_deref() == Some(name)))
                };
                Body::Correlation(Correlation::new(correlation, find, CORRELATION_EVENTS_MAX).map_err(wrong)?)
            }
        };
        let cause = match &parsed.body {
            Sigma::Detection(compiled) => cause::Cause::of(compiled, &parsed.meta),
            Sigma::Correlation(_) => parsed.meta.cause.unwrap_or_default(),
        };
        Ok(Self {
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
        })
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
    matched: Vec<usize>,
    correlations: Vec<usize>,
    bounds: Bounds,
}

impl Evaluator {
    /// For `rules`, with bounds on the groups of correlations.
    #[must_use]
    pub fn new(rules: Arc<Rules>, groups_max: usize, events_max: usize) -> Self {
        let correlations = rules.rules.iter().enumerate().filter(|(_, rule)| matches!(rule.body, Body::Correlation(_))).map(|(number, _)| number).collect();
        Self { memory: rules.prefilter.memory(), matched: Vec::new(), correlations, bounds: Bounds { groups_max, events_max }, rules }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Numbers of the detections that match, reported or not, for tests.
    #[must_use]
    pub fn detections(&mut self, o: &Observation<'_>, groups: &mut Groups) -> Vec<usize> {
        self.evaluate(o, groups, &mut Vec::new());
        self.matched.clone()
    }

    /// Appends to `hits` the rules that match, in the order of their ids within detections and then correlations.
    pub fn evaluate(&mut self, o: &Observation<'_>, groups: &mut Groups, hits: &mut Vec<Hit>) {
        self.rules.prefilter.look(o, &mut self.memory);
        self.matched.clear();
        for (number, certain) in self.rules.prefilter.candidates(&mut self.memory) {
            let Some(rule) = self.rules.rules.get(number).filter(|rule| rule.judges(o)) else { continue };
            let Body::Detection(compiled) = &rule.body else { continue };
            if certain || rsigma_eval::evaluate_rule(compiled, o).is_some() {
                self.matched.push(number);
                if rule.reports {
                    hits.push(Hit { rule: number, correlated: None });
                }
            }
        }
        if self.matched.is_empty() {
            return;
        }
        for number in &self.correlations {
            let Some(Rule { id, body: Body::Correlation(correlation), .. }) = self.rules.rules.get(*number) else { continue };
            let mut fired = None;
            for (place, rule) in correlation.rules.iter().enumerate() {
                if self.matched.contains(rule) {
                    fired = groups.observe(id, correlation, place, o, self.bounds).or(fired);
                }
            }
            if fired.is_some() {
                hits.push(Hit { rule: *number, correlated: fired });
            }
        }
    }
}
