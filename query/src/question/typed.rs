//! Questions as values: what the command line and HTTP hand over, and what they read as in SQL.

use keytrail_schemas::{Micros, Severity};

use super::function::{Value, Values};

/// Whom an inventory shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Who {
    /// Machines only.
    #[default]
    Machines,
    /// Humans only.
    Humans,
    /// Both.
    All,
}

impl Who {
    const fn word(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Humans => "humans",
            Self::All => "all",
        }
    }
}

/// A named question with its arguments. Names are canonical ids or unique fragments; `from` belongs to a period, `to` does
/// not, and an absent bound is open.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented, and its fields are the arguments of the table function of that name")]
pub enum Question {
    /// Everything that an identity touched.
    Touched { identity: String, from: Option<Micros>, to: Option<Micros> },
    /// Every identity that touched a destination.
    WhoTouched { destination: String, from: Option<Micros>, to: Option<Micros> },
    /// What an identity did, in order.
    Timeline { identity: String, from: Option<Micros>, to: Option<Micros> },
    /// An identity's activity, cut into sessions.
    Sessions { identity: String, from: Option<Micros>, to: Option<Micros> },
    /// Who may have acted as an identity that is an address; `within` is minutes, and defaults to 15.
    Candidates { identity: String, within: Option<u32>, from: Option<Micros>, to: Option<Micros> },
    /// What changed from period `a` to period `b`; an absent `b_from` is `a_to`.
    Compare { identity: String, a_from: Option<Micros>, a_to: Option<Micros>, b_from: Option<Micros>, b_to: Option<Micros> },
    /// Values of a dimension that an identity had never shown before.
    FirstSeen { dimension: String, from: Option<Micros>, to: Option<Micros> },
    /// Every identity.
    Identities { who: Who },
    /// Every credential.
    Credentials { who: Who },
    /// The life of a credential, or of an identity's credentials.
    CredentialHistory { of: String },
    /// Where a credential came from and what came of it.
    Lineage { credential: String },
    /// What could be reached; `hops` defaults to 3.
    BlastRadius { of: String, from: Option<Micros>, to: Option<Micros>, hops: Option<u32> },
    /// Findings; `severity` means at least that severe.
    Findings { from: Option<Micros>, to: Option<Micros>, identity: Option<String>, rule: Option<String>, severity: Option<Severity> },
    /// What each rule saw; a technique also stands for its sub-techniques.
    Detections { from: Option<Micros>, to: Option<Micros>, identity: Option<String>, rule: Option<String>, technique: Option<String> },
    /// What is wrong with credentials and identities.
    Posture,
    /// Which sources reported when.
    Coverage { from: Option<Micros>, to: Option<Micros> },
}

impl Question {
    /// The table function that answers it, and its arguments.
    pub(crate) fn call(&self) -> (&'static str, Values) {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let time = |time: &Option<Micros>| time.map(Value::Time);
        let (name, values) = match self {
            Self::Touched { identity, from, to } => ("touched", vec![text(identity), time(from), time(to)]),
            Self::WhoTouched { destination, from, to } => ("who_touched", vec![text(destination), time(from), time(to)]),
            Self::Timeline { identity, from, to } => ("timeline", vec![text(identity), time(from), time(to)]),
            Self::Sessions { identity, from, to } => ("sessions", vec![text(identity), time(from), time(to)]),
            Self::Candidates { identity, within, from, to } => {
                ("candidates", vec![text(identity), within.map(|within| Value::Count(within.into())), time(from), time(to)])
            }
            Self::Compare { identity, a_from, a_to, b_from, b_to } => ("compare", vec![text(identity), time(a_from), time(a_to), time(b_from), time(b_to)]),
            Self::FirstSeen { dimension, from, to } => ("first_seen", vec![text(dimension), time(from), time(to)]),
            Self::Identities { who } => ("identities", vec![text(who.word())]),
            Self::Credentials { who } => ("credentials", vec![text(who.word())]),
            Self::CredentialHistory { of } => ("credential_history", vec![text(of)]),
            Self::Lineage { credential } => ("lineage", vec![text(credential)]),
            Self::BlastRadius { of, from, to, hops } => ("blast_radius", vec![text(of), time(from), time(to), hops.map(|hops| Value::Count(hops.into()))]),
            Self::Findings { from, to, identity, rule, severity } => (
                "findings",
                vec![
                    time(from),
                    time(to),
                    identity.as_deref().and_then(text),
                    rule.as_deref().and_then(text),
                    severity.and_then(|severity| text(severity.as_str())),
                ],
            ),
            Self::Detections { from, to, identity, rule, technique } => (
                "detections",
                vec![time(from), time(to), identity.as_deref().and_then(text), rule.as_deref().and_then(text), technique.as_deref().and_then(text)],
            ),
            Self::Posture => ("posture", Vec::new()),
            Self::Coverage { from, to } => ("coverage", vec![time(from), time(to)]),
        };
        (name, Values(values))
    }

    /// The period that the question is about, for its coverage line.
    #[must_use]
    pub const fn period(&self) -> (Option<Micros>, Option<Micros>) {
        match self {
            Self::Touched { from, to, .. }
            | Self::WhoTouched { from, to, .. }
            | Self::Timeline { from, to, .. }
            | Self::Sessions { from, to, .. }
            | Self::Candidates { from, to, .. }
            | Self::FirstSeen { from, to, .. }
            | Self::BlastRadius { from, to, .. }
            | Self::Findings { from, to, .. }
            | Self::Detections { from, to, .. }
            | Self::Coverage { from, to } => (*from, *to),
            Self::Compare { a_from, b_to, .. } => (*a_from, *b_to),
            Self::Identities { .. } | Self::Credentials { .. } | Self::CredentialHistory { .. } | Self::Lineage { .. } | Self::Posture => (None, None),
        }
    }

    /// The same question in SQL, for whoever wants to go on from it.
    #[must_use]
    pub fn to_sql(&self) -> String {
        let (name, values) = self.call();
        sql(name, &values)
    }
}

/// A call in SQL, without the arguments at its end that were left out.
pub(super) fn sql(name: &str, Values(values): &Values) -> String {
    let given = values.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let values: Vec<String> = values.iter().take(given).map(literal).collect();
    format!("SELECT * FROM {name}({})", values.join(", "))
}

fn literal(value: &Option<Value>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(Value::Text(text)) => format!("'{}'", text.replace('\'', "''")),
        Some(Value::Time(time)) => format!("'{}'", time.to_rfc3339()),
        Some(Value::Count(count)) => count.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_as_sql_with_its_text_quoted() {
        let from = Some(Micros::parse_rfc3339("2026-01-01T00:00:00Z").unwrap());
        assert_eq!(Question::Touched { identity: "o'neill".to_owned(), from, to: None }.to_sql(), "SELECT * FROM touched('o''neill', '2026-01-01T00:00:00Z')");
        assert_eq!(
            Question::BlastRadius { of: "x".to_owned(), from: None, to: None, hops: Some(2) }.to_sql(),
            "SELECT * FROM blast_radius('x', NULL, NULL, 2)"
        );
        assert_eq!(Question::Posture.to_sql(), "SELECT * FROM posture()");
    }
}
