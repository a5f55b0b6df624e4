//! Rules over the raw record: public Sigma rules as they are, against the redacted JSON that an event carries.
//!
//! A [`Program`] holds the rules of one format. A record's bytes are walked once for the fields that any of them names ([`walk`]);
//! what stands there says which rules may match ([`trigger`]); those are evaluated ([`tree`]).

pub mod line;
mod literal;
pub mod logsource;
mod order;
pub mod reach;
pub mod record;
mod tree;
mod trigger;
mod walk;

use std::collections::BTreeMap;

use keytrail_schemas::Event;
use rsigma_eval::{CompiledRule, JsonEvent};
use rustc_hash::FxHashMap;

use self::{
    record::Record,
    tree::{Node, Slots},
    trigger::{Candidates, Index},
    walk::{Found, Paths},
};

/// The rules of one format, compiled.
#[derive(Default)]
pub struct Program {
    rules: Vec<Entry>,
    slots: Slots,
    paths: Paths,
    index: Index,
}

struct Entry {
    /// The rule's number in its set.
    number: usize,
    /// One of several logs of the format; any when absent.
    service: Option<String>,
    body: Body,
}

enum Body {
    Tree(Node),
    /// It asks for members of lists by quantifier or position: evaluated by rsigma on the parsed record.
    Whole(Box<CompiledRule>),
}

/// What is at hand for records of one program; no outcome depends on it.
#[derive(Default)]
pub struct Memory {
    found: Found,
    candidates: Candidates,
}

/// A rule as it is put into a program.
pub struct Given {
    /// Its number in its set.
    pub number: usize,
    /// The log of the format that it is for.
    pub service: Option<String>,
    /// The rule, with the format's own names.
    pub rule: CompiledRule,
}

impl Program {
    /// Compiles `rules`; `others` are fields that are asked for besides.
    ///
    /// # Errors
    /// When the literals of all rules make too large an automaton.
    pub fn new<'a>(rules: impl Iterator<Item = Given>, others: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut slots = Slots::default();
        let rules: Vec<Entry> = rules
            .map(|Given { number, service, rule }| {
                let body = tree::compile(&rule, &mut slots).map_or_else(|| Body::Whole(Box::new(rule)), Body::Tree);
                Entry { number, service, body }
            })
            .collect();
        for name in others {
            tree::slot(name, &mut slots);
        }
        let mut paths = Paths::default();
        for (name, slot) in &slots {
            paths.add(name, *slot);
        }
        let trees = rules.iter().map(|entry| match &entry.body {
            Body::Tree(node) => Some(node),
            Body::Whole(_) => None,
        });
        let index = Index::new(trees, slots.len())?;
        Ok(Self { rules, slots, paths, index })
    }

    /// How many rules it has, and how many of them are evaluated for every record.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.rules.len(), self.index.always())
    }

    /// Memory for this program.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory { found: Found::new(self.slots.len()), candidates: Candidates::default() }
    }

    /// Appends to `matched` the numbers of the rules that match `raw`. False when it is no JSON object, and nothing was judged.
    pub fn judge(&self, raw: &str, service: Option<&str>, memory: &mut Memory, matched: &mut Vec<usize>) -> bool {
        if self.paths.walk(raw, &mut memory.found).is_err() {
            return false;
        }
        let record = Record { raw, slots: &self.slots, found: &memory.found };
        let mut parsed = None;
        for candidate in self.index.look(&record, &mut memory.candidates) {
            let Some(entry) = self.rules.get(*candidate as usize) else { continue };
            if let (Some(asked), Some(service)) = (&entry.service, service)
                && !asked.eq_ignore_ascii_case(service)
            {
                continue;
            }
            let holds = match &entry.body {
                Body::Tree(node) => node.holds(&record),
                Body::Whole(rule) => {
                    let value = parsed.get_or_insert_with(|| serde_json::from_str::<serde_json::Value>(raw).unwrap_or_default());
                    rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(value)).is_some()
                }
            };
            if holds {
                matched.push(entry.number);
            }
        }
        true
    }

    /// The record that was judged last, for its fields.
    #[must_use]
    pub fn record<'a>(&'a self, raw: &'a str, memory: &'a Memory) -> Record<'a> {
        Record { raw, slots: &self.slots, found: &memory.found }
    }
}

/// The programs of a set of rules, by format.
#[derive(Default)]
pub struct Programs(FxHashMap<String, Program>);

/// What an evaluator has at hand for each program.
#[derive(Default)]
pub struct Memories {
    by_format: FxHashMap<String, Memory>,
    /// The object that the last line was taken for.
    object: String,
}

impl Programs {
    /// Compiles the rules of every format; `others` are fields that are asked for besides, in every format.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn new(by_format: BTreeMap<&str, Vec<Given>>, others: &[String]) -> Result<Self, String> {
        let program = |(format, rules): (&str, Vec<Given>)| {
            let program = Program::new(rules.into_iter(), others.iter().map(String::as_str))?;
            Ok((format.to_owned(), program))
        };
        by_format.into_iter().map(program).collect::<Result<_, _>>().map(Self)
    }

    /// Memory for these programs.
    #[must_use]
    pub fn memories(&self) -> Memories {
        Memories { by_format: self.0.iter().map(|(format, program)| (format.clone(), program.memory())).collect(), object: String::new() }
    }

    /// Appends to `matched` the numbers of the rules that match the event's raw record, and gives the record where any did.
    pub fn judge<'a>(&'a self, event: &'a Event, memories: &'a mut Memories, matched: &mut Vec<usize>) -> Option<Record<'a>> {
        let program = self.0.get(event.format.as_str())?;
        let memory = memories.by_format.get_mut(event.format.as_str())?;
        let raw = match line::object(&event.format, event.raw.as_deref()?) {
            Some(object) => {
                memories.object = object;
                memories.object.as_str()
            }
            None => event.raw.as_deref()?,
        };
        let before = matched.len();
        program.judge(raw, service(event), memory, matched);
        (matched.len() > before).then(|| program.record(raw, memory))
    }
}

/// The key under which Zeek names its log.
const PATH: &[u8] = b"\"_path\":";

/// Which of the format's logs the record is from, where the format has several.
fn service(event: &Event) -> Option<&str> {
    if event.format == "sshd" {
        let of_tool = || event.action.as_deref().filter(|action| *action == "sudo").or(Some(""));
        return event.protocol.as_deref().filter(|protocol| *protocol == "ssh").map(|_| "sshd").or_else(of_tool);
    }
    if event.format != "zeek" {
        return None;
    }
    // Zeek's JSON names its log in `_path`, or does not; then the protocol says it as far as it can.
    let raw = event.raw.as_deref()?;
    if let Some(rest) = memchr::memmem::find(raw.as_bytes(), PATH).and_then(|at| raw.get(at + PATH.len()..)) {
        return rest.trim_start().strip_prefix('"')?.split('"').next();
    }
    event.protocol.as_deref().filter(|protocol| *protocol != "tls")
}
