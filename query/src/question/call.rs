//! A question as a door is asked it: a name, and arguments by name as text.

use std::sync::Arc;

use super::function::{Function, Kind, Value, Values, usage};
use super::{Question, all, by_name};
use crate::Error;

/// A question with its arguments, checked against what the function declares. Names and times are resolved when it is asked.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) function: Arc<dyn Function>,
    pub(crate) values: Values,
}

impl Call {
    /// The question `name` with these arguments; an empty text is one that was left out.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a question that there is not, [`Error::Arguments`] for an argument that it does not take, that is given twice, missing or of the
    /// wrong kind.
    pub fn new<'a>(name: &str, given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let Some(function) = by_name(name) else {
            let nearest =
                all().iter().map(|function| function.name().to_owned()).filter(|known| known.contains(name) || name.contains(known.as_str())).collect();
            return Err(Error::Unknown { what: "question", text: name.chars().take(64).collect(), nearest });
        };
        let problem = |problem: String| Error::Arguments { function: function.name(), problem, usage: usage(function.as_ref()) };
        let declared = function.arguments();
        let mut values: Vec<Option<Value>> = vec![None; declared.len()];
        let mut seen = vec![false; declared.len()];
        for (argument, text) in given {
            let Some(index) = declared.iter().position(|known| known.name == argument) else {
                return Err(problem(format!("it takes no argument {:?}", argument.chars().take(64).collect::<String>())));
            };
            let (Some(slot), Some(seen), Some(known)) = (values.get_mut(index), seen.get_mut(index), declared.get(index)) else { continue };
            if std::mem::replace(seen, true) {
                return Err(problem(format!("{argument} is given twice")));
            }
            if text.is_empty() {
                continue;
            }
            *slot = Some(match known.kind {
                Kind::Text | Kind::Time => Value::Text(text.to_owned()),
                Kind::Count => Value::Count(
                    text.parse().map_err(|_| problem(format!("{argument} is a whole number, not {:?}", text.chars().take(64).collect::<String>())))?,
                ),
            });
        }
        if let Some(missing) = declared.iter().zip(&values).find(|(argument, value)| argument.required && value.is_none()) {
            return Err(problem(format!("{} is missing", missing.0.name)));
        }
        Ok(Self { function, values: Values(values) })
    }

    /// The question's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.function.name()
    }

    /// The arguments that were given, by name, as text.
    #[must_use]
    pub fn arguments(&self) -> Vec<(&'static str, String)> {
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            Value::Time(time) => time.to_rfc3339(),
            Value::Count(count) => count.to_string(),
        };
        self.function.arguments().iter().zip(&self.values.0).filter_map(|(argument, value)| Some((argument.name, text(value.as_ref()?)))).collect()
    }

    /// The same question in SQL.
    #[must_use]
    pub fn to_sql(&self) -> String {
        super::typed::sql(self.name(), &self.values)
    }
}

impl From<&Question> for Call {
    fn from(question: &Question) -> Self {
        let (name, values) = question.call();
        let function = by_name(name).unwrap_or_else(|| Arc::new(super::posture::Posture));
        debug_assert_eq!(function.name(), name, "every typed question has its function");
        Self { function, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_held_against_what_is_declared() {
        let call = Call::new("touched", [("identity", "o'neill"), ("to", "-1d")]).unwrap();
        assert_eq!(call.to_sql(), "SELECT * FROM touched('o''neill', NULL, '-1d')");
        assert_eq!(call.arguments(), [("identity", "o'neill".to_owned()), ("to", "-1d".to_owned())]);
        for (name, given, told) in [
            ("touched", vec![], "identity is missing"),
            ("touched", vec![("identity", "")], "identity is missing"),
            ("touched", vec![("identity", "a"), ("identity", "b")], "given twice"),
            ("touched", vec![("identity", "a"), ("hops", "2")], "no argument \"hops\""),
            ("blast_radius", vec![("identity_or_credential", "a"), ("hops", "2.5")], "whole number"),
            ("touch", vec![], "nearest: touched, who_touched"),
        ] {
            let message = Call::new(name, given).unwrap_err().to_string();
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn every_typed_question_has_its_function() {
        assert_eq!(Call::from(&Question::Posture).name(), "posture");
        assert_eq!(Call::from(&Question::Identities { who: crate::Who::All }).to_sql(), "SELECT * FROM identities('all')");
    }
}
