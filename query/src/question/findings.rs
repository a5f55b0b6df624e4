//! `findings(from, to, identity, rule, severity)`: the latest revision of each finding told in a period, best first.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType, Severity};

use super::function::{Answer, Argument, FROM, Function, Kind, TO, Values};
use crate::column::{always, maybe};
use crate::engine::Engine;
use crate::{Error, resolve};

const COLUMNS: &[Column] = &[
    always("finding_id", ColumnType::Utf8, "Deterministic id."),
    always("rule", ColumnType::Utf8, "The rule."),
    always("title", ColumnType::Utf8, "One line for a person."),
    always("severity", ColumnType::Utf8, "informational, low, medium, high or critical."),
    always("identity", ColumnType::Utf8, "Who."),
    maybe("credential", ColumnType::Utf8, "With which credential."),
    maybe("credential_age_days", ColumnType::Float64, "Its age, in days, at the first event of the detection that leads."),
    always("time", ColumnType::Timestamp, "When it was first told: the time of the event that caused it."),
    always("first_event_time", ColumnType::Timestamp, "Time of the first event that is evidence."),
    always("last_event_time", ColumnType::Timestamp, "Time of the last one."),
    always("event_ids", ColumnType::Utf8List, "Events that are evidence, at most 64; each detection has its own."),
    always("count", ColumnType::Int64, "Events folded into the finding."),
    always("reasons", ColumnType::Utf8List, "Each reason, with what was observed and what was expected."),
    maybe("score", ColumnType::Float64, "The rank, 0 to 100, whatever the kind: what to read first."),
    maybe("p_value", ColumnType::Float64, "Least calibrated probability of as much surprise on normal traffic; empty where facts alone speak."),
    always("tags", ColumnType::Utf8List, "ATT&CK techniques, OWASP NHI numbers and other tags."),
    always("not_assessable", ColumnType::Utf8List, "What could not be assessed, and why."),
    always("kind", ColumnType::Utf8, "policy, statistical, incident or absence."),
    always("identity_kind", ColumnType::Utf8, "What kind of actor it is."),
    always("credential_age_is_exact", ColumnType::Boolean, "Whether the age is exact, or `at least`."),
    always("credential_state", ColumnType::Utf8, "State of the credential at that event."),
    always("credential_lineage", ColumnType::Utf8List, "What the credential was obtained with, nearest first."),
    maybe("destination", ColumnType::Utf8, "What was touched."),
    maybe("action", ColumnType::Utf8, "What was done."),
    maybe("protocol", ColumnType::Utf8, "Over which protocol."),
    maybe("source_ip", ColumnType::Utf8, "From which address."),
    always("explanation", ColumnType::Utf8, "One paragraph for a person."),
    always("next_questions", ColumnType::Utf8List, "Ready commands that ask the next questions."),
    always("members", ColumnType::Utf8List, "Other identities in the same incident."),
    always("features", ColumnType::Utf8, "What the rule saw, as a JSON object."),
    always("revision", ColumnType::Int64, "How often the finding was written again."),
    maybe("rank_parts", ColumnType::Utf8, "How the rank comes about: a JSON array of parts with points and reason."),
    maybe("rules", ColumnType::Utf8List, "The rules of its detections, in the order in which they joined."),
    maybe("tactics", ColumnType::Utf8List, "ATT&CK tactics of its detections, in order of time."),
    maybe("detections_count", ColumnType::Int64, "How many detections it tells of."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Findings;

#[async_trait]
impl Function for Findings {
    fn name(&self) -> &'static str {
        "findings"
    }

    fn doc(&self) -> &'static str {
        "Findings told in a period, each in its latest revision, by rank, best first; rule is one of any of its detections, severity means at least that severe."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[FROM, TO, Argument::optional("identity", Kind::Text), Argument::optional("rule", Kind::Text), Argument::optional("severity", Kind::Text)] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let period = values.period(engine, 0).await?;
        let [from, to] = period.parameters();
        let mut parameters = vec![from, to];
        let mut conditions = vec![period.condition("time", 1)];
        if let Some(identity) = values.text(2) {
            parameters.push(ScalarValue::from(resolve::resolve(engine, resolve::Kind::Identity, identity).await?.as_str()));
            conditions.push(format!("(identity = ${0} OR array_has(members, ${0}))", parameters.len()));
        }
        if let Some(rule) = values.text(3) {
            parameters.push(ScalarValue::from(rule));
            conditions.push(format!("(rule = ${0} OR array_has(rules, ${0}))", parameters.len()));
        }
        if let Some(severity) = values.text(4) {
            conditions.push(format!("severity IN ({})", at_least(severity)?));
        }
        let sql = format!("SELECT * FROM findings WHERE {} ORDER BY score DESC NULLS LAST, time, finding_id", conditions.join(" AND "));
        Ok(Answer::Stream(engine.sql(&sql, parameters).await?))
    }
}

/// The words for `severity` and above, quoted.
fn at_least(severity: &str) -> Result<String, Error> {
    let known: Severity = severity.parse().map_err(|error: keytrail_schemas::UnknownWord| Error::Arguments {
        function: "findings",
        problem: error.to_string(),
        usage: super::function::usage(&Findings),
    })?;
    let words: Vec<_> = Severity::ALL.iter().filter(|word| **word as u8 >= known as u8).map(|word| format!("'{word}'")).collect();
    Ok(words.join(", "))
}
