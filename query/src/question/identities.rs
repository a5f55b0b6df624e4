//! `identities(who)`: the inventory as seen. Humans are left out unless asked for.

use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, Function, Kind, Values};
use crate::Error;
use crate::column::{always, maybe};
use crate::engine::Engine;

const COLUMNS: &[Column] = &[
    always("identity", ColumnType::Utf8, "Canonical id."),
    always("kind", ColumnType::Utf8, "What kind of actor it is."),
    always("provider", ColumnType::Utf8, "Its provider."),
    always("account", ColumnType::Utf8, "Its account, tenant or cluster."),
    maybe("owner", ColumnType::Utf8, "Its declared owner."),
    maybe("environment", ColumnType::Utf8, "Its declared environment."),
    always("credentials", ColumnType::Int64, "Distinct credentials seen."),
    always("destinations", ColumnType::Int64, "Distinct destinations seen."),
    maybe("first_seen", ColumnType::Timestamp, "Its first event."),
    maybe("last_seen", ColumnType::Timestamp, "Its last event."),
    always("findings", ColumnType::Int64, "Findings opened."),
    always("events", ColumnType::Int64, "Events seen."),
    always("failures", ColumnType::Int64, "Failed or denied events seen."),
    always("windows", ColumnType::Int64, "Windows (identity and hour) learned."),
    always("as_of", ColumnType::Timestamp, "The watermark that the row was computed at."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Identities;

#[async_trait]
impl Function for Identities {
    fn name(&self) -> &'static str {
        "identities"
    }

    fn doc(&self) -> &'static str {
        "Every machine identity seen: its kind, owner, credentials, destinations and findings."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::optional("who", Kind::Text)] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let sql = format!("SELECT * FROM identities WHERE {} ORDER BY identity", super::who::condition(values.text(0), "kind")?);
        Ok(Answer::Stream(engine.sql(&sql, Vec::new()).await?))
    }
}
