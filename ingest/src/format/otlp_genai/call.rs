//! What was done, and which spans say so together: those that descend from one another and say the same thing are one call.

use keytrail_schemas::Text;
use rustc_hash::FxHashMap;

use super::span::{Side, Span, Told};

/// What a span says that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// A tool was called; a transport's span may not say which.
    Tool(Option<Text>),
    /// Another request of MCP, with what it was about.
    Method(Text, Option<Text>),
    /// A model was asked.
    Model(Option<Text>),
    /// An agent was made to run.
    Agent(Option<Text>),
}

/// Spans that only link others lie so deep between two of a call at most.
const LINKS_MAX: usize = 8;
/// A trace is followed upwards so far for who acted.
const ANCESTORS_MAX: usize = 64;

impl Act {
    pub(super) fn of(told: &Told, name: &str, tool: Option<Text>, uri: Option<Text>, prompt: Option<Text>, model: Option<Text>) -> Option<Self> {
        if let Some(method) = told.method.as_deref() {
            return match method {
                "tools/call" => Some(Self::Tool(tool.or_else(|| name.split_once("tools/call ").map(|(_, tool)| Text::from(tool))))),
                "ping" => None,
                notice if notice.starts_with("notifications/") => None,
                _ => Some(Self::Method(Text::from(method), uri.or(prompt))),
            };
        }
        match told.operation.as_deref()? {
            "execute_tool" => Some(Self::Tool(tool)),
            "invoke_agent" | "create_agent" => Some(Self::Agent(told.agent.clone())),
            _ => Some(Self::Model(model)),
        }
    }

    /// Whether both can be said of one call.
    fn agrees(&self, other: &Self) -> bool {
        let same = |a: &Option<Text>, b: &Option<Text>| a.is_none() || b.is_none() || a == b;
        match (self, other) {
            (Self::Tool(a), Self::Tool(b)) => same(a, b),
            (Self::Method(a, about_a), Self::Method(b, about_b)) => a == b && same(about_a, about_b),
            _ => false,
        }
    }
}

/// The spans of a trace.
pub(super) struct Trace<'t> {
    spans: &'t [Span],
    by_id: FxHashMap<&'t str, usize>,
}

/// One call: its spans, from the agent's to the server's.
pub(super) struct Call<'t> {
    pub(super) spans: Vec<&'t Span>,
    /// Those above it, the nearest first.
    pub(super) above: Vec<&'t Span>,
}

impl<'t> Trace<'t> {
    pub(super) fn of(spans: &'t [Span]) -> Self {
        Self { spans, by_id: spans.iter().enumerate().map(|(at, span)| (span.id.as_str(), at)).collect() }
    }

    fn parent(&self, at: usize) -> Option<usize> {
        let parent = self.spans.get(at)?.parent.as_ref()?;
        self.by_id.get(parent.as_str()).copied().filter(|parent| *parent != at)
    }

    /// The span of a call that this one belongs to, if it does: the nearest one above that tells something, if it tells the same.
    fn joins(&self, at: usize) -> Option<usize> {
        let own = self.spans.get(at)?.act.as_ref()?;
        let mut above = self.parent(at)?;
        for _ in 0..LINKS_MAX {
            let span = self.spans.get(above)?;
            match &span.act {
                Some(act) => return (act.agrees(own) && span.side != Side::Server).then_some(above),
                None => above = self.parent(above)?,
            }
        }
        None
    }

    /// The calls, in the order of their first spans.
    pub(super) fn calls(&self) -> Vec<Call<'t>> {
        let mut heads: Vec<usize> = Vec::new();
        let mut members: FxHashMap<usize, Vec<(usize, usize)>> = FxHashMap::default();
        for (at, span) in self.spans.iter().enumerate() {
            if span.act.is_none() {
                continue;
            }
            let (mut head, mut depth) = (at, 0);
            while let Some(above) = self.joins(head).filter(|_| depth < ANCESTORS_MAX) {
                (head, depth) = (above, depth + 1);
            }
            let list = members.entry(head).or_default();
            if list.is_empty() {
                heads.push(head);
            }
            list.push((depth, at));
        }
        let mut calls = Vec::new();
        for head in heads {
            let mut list = members.remove(&head).unwrap_or_default();
            list.sort_unstable();
            let mut above = Vec::new();
            let mut at = head;
            while let Some(parent) = self.parent(at).filter(|_| above.len() < ANCESTORS_MAX) {
                above.extend(self.spans.get(parent));
                at = parent;
            }
            calls.push(Call { spans: list.iter().filter_map(|(_, at)| self.spans.get(*at)).collect(), above });
        }
        calls
    }
}

impl<'t> Call<'t> {
    /// The span nearest to the server.
    pub(super) fn nearest(&self) -> Option<&'t Span> {
        self.spans.iter().rev().copied().max_by_key(|span| span.side).filter(|span| span.side == Side::Server).or_else(|| self.spans.last().copied())
    }

    /// What client and server both know: the client's span next to the server, else the call's last.
    pub(super) fn id(&self) -> Option<Text> {
        let nearest = self.nearest()?;
        let span = if nearest.side == Side::Server { nearest.parent.as_ref().unwrap_or(&nearest.id) } else { &nearest.id };
        Some(crate::format::join::join(&[&nearest.trace, "/", span]))
    }

    /// What the call's spans tell of a thing, the nearest to the server first.
    pub(super) fn first<T>(&self, of: impl Fn(&'t Span, &'t Told) -> Option<T>) -> Option<T> {
        self.spans.iter().rev().find_map(|span| of(span, span.told.as_deref()?))
    }

    /// The same, and then those above.
    pub(super) fn first_upwards<T>(&self, of: impl Fn(&'t Span, &'t Told) -> Option<T>) -> Option<T> {
        self.spans.iter().rev().chain(&self.above).find_map(|span| of(span, span.told.as_deref()?))
    }
}
