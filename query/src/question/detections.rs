//! `detections(from, to, identity, rule, technique)`: what each rule saw, one row per cause, in its latest revision.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, Detection, Table as _};

use super::function::{Answer, Argument, FROM, Function, Kind, TO, Values};
use crate::engine::Engine;
use crate::{Error, resolve};

/// See the module.
#[derive(Debug)]
pub(crate) struct Detections;

#[async_trait]
impl Function for Detections {
    fn name(&self) -> &'static str {
        "detections"
    }

    fn doc(&self) -> &'static str {
        "What each rule saw in a period, one row per cause; those that no finding tells of are below the line. A technique also stands for its sub-techniques."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[FROM, TO, Argument::optional("identity", Kind::Text), Argument::optional("rule", Kind::Text), Argument::optional("technique", Kind::Text)] }
    }

    fn columns(&self) -> &'static [Column] {
        Detection::COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let period = values.period(engine, 0).await?;
        let [from, to] = period.parameters();
        let mut parameters = vec![from, to];
        let mut conditions = vec![period.condition("first_event_time", 1)];
        if let Some(identity) = values.text(2) {
            parameters.push(ScalarValue::from(resolve::resolve(engine, resolve::Kind::Identity, identity).await?.as_str()));
            conditions.push(format!("identity = ${}", parameters.len()));
        }
        if let Some(rule) = values.text(3) {
            parameters.push(ScalarValue::from(rule));
            conditions.push(format!("rule = ${}", parameters.len()));
        }
        if let Some(technique) = values.text(4) {
            let technique = technique.trim_start_matches("attack.").to_ascii_uppercase();
            parameters.push(ScalarValue::from(technique.as_str()));
            parameters.push(ScalarValue::from(format!("{technique}.").as_str()));
            conditions.push(format!("(technique = ${} OR starts_with(technique, ${}))", parameters.len() - 1, parameters.len()));
        }
        let sql = format!("SELECT * FROM detections WHERE {} ORDER BY first_event_time, detection_id", conditions.join(" AND "));
        Ok(Answer::Stream(engine.sql(&sql, parameters).await?))
    }
}
