//! Whether any record of a format can match a rule, where it is known what the records of the format hold: a rule about fields that they have
//! never, or about a type of record that is no event, loads and judges nothing, and is said to be idle.

use rsigma_eval::{CompiledMatcher, CompiledRule, EventValue, JsonEvent};
use serde_json::Value;

use super::tree::{self, Leaf, Node, Slots};

/// What the records of a format hold.
#[derive(Debug)]
pub struct Reach {
    /// Every field that a record may have; empty where any may be there.
    pub fields: &'static [&'static str],
    /// A field, and every value that it may have.
    pub values: (&'static str, &'static [&'static str]),
    /// What is not read, in words.
    pub others: &'static str,
}

/// What a condition says of all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Never,
    Perhaps,
    Always,
}

impl Reach {
    /// Whether a record may match. What is not known counts as may.
    #[must_use]
    pub fn covers(&self, rule: &CompiledRule) -> bool {
        let mut slots = Slots::default();
        tree::compile(rule, &mut slots).is_none_or(|node| self.of(&node, &slots) > Says::Never)
    }

    fn of(&self, node: &Node, slots: &Slots) -> Says {
        match node {
            Node::All(parts) => parts.iter().map(|part| self.of(part, slots)).min().unwrap_or(Says::Always),
            Node::Some(n, parts) => {
                let says: Vec<Says> = parts.iter().map(|part| self.of(part, slots)).collect();
                let at_least = |least: Says| says.iter().filter(|says| **says >= least).count() as u64 >= *n;
                if at_least(Says::Always) {
                    Says::Always
                } else if at_least(Says::Perhaps) {
                    Says::Perhaps
                } else {
                    Says::Never
                }
            }
            Node::Not(part) => match self.of(part, slots) {
                Says::Never => Says::Always,
                Says::Perhaps => Says::Perhaps,
                Says::Always => Says::Never,
            },
            Node::Leaf(leaf) => self.of_leaf(leaf, slots),
        }
    }

    fn of_leaf(&self, leaf: &Leaf, slots: &Slots) -> Says {
        let Some(name) = leaf.slot.and_then(|slot| slots.iter().find(|(_, known)| **known == slot)).map(|(name, _)| name.as_str()) else {
            return Says::Perhaps;
        };
        if !self.fields.is_empty() && !self.fields.contains(&name) {
            let holds = leaf.exists == Some(false) || (leaf.exists.is_none() && matches!(leaf.matcher, CompiledMatcher::Null));
            return if holds { Says::Always } else { Says::Never };
        }
        let (named, values) = self.values;
        let record = Value::Null;
        let matches = |value: &&str| leaf.matcher.matches(&EventValue::Str((*value).into()), &JsonEvent::borrow(&record));
        if name == named && leaf.exists.is_none() && !values.iter().any(matches) { Says::Never } else { Says::Perhaps }
    }
}

#[cfg(test)]
mod tests {
    use super::super::logsource;

    #[test]
    fn what_no_record_can_match_is_known() {
        let covers = |detection: &str| {
            let yaml = format!("title: t\nlogsource: {{product: linux, service: auditd}}\ndetection:\n{detection}\n");
            let rule = rsigma_parser::parse_sigma_yaml(&yaml).unwrap().rules.remove(0);
            let reach = logsource::sources(&rule.logsource).next().unwrap().reach.unwrap();
            reach.covers(&rsigma_eval::compile_rule(&rule).unwrap())
        };
        assert!(covers("  s: {type: ADD_USER}\n  condition: s"));
        assert!(covers("  s: {type: user_cmd, exe|endswith: /sudo}\n  condition: s"));
        assert!(!covers("  s: {type: EXECVE, a0: cat}\n  condition: s"));
        assert!(!covers("  s: {a1|startswith: --cpu-priority}\n  condition: s"));
        assert!(!covers("  s: {type: SYSCALL}\n  f: {exe: /bin/x}\n  condition: s and not f"));
        assert!(covers("  s: {type: [SYSCALL, DEL_USER]}\n  t: {type: PATH}\n  condition: 1 of them"));
        assert!(!covers("  s: {type: DEL_USER}\n  t: {type: PATH}\n  condition: all of them"));
        assert!(covers("  s: {type: DEL_USER}\n  f: {key: x}\n  condition: s and not f"));
        assert!(covers("  s: {key: null}\n  condition: s"));
        assert!(covers("  k: [password, login]\n  condition: k"));
        assert!(!covers("  s: {type: EXECVE}\n  k: [password]\n  condition: s and k"));
    }
}
