//! `credentials(who)`: the ledger: every credential, its age and its state. Humans are left out unless asked for.

use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, Function, Kind, Values};
use crate::Error;
use crate::column::{always, maybe};
use crate::engine::Engine;

const COLUMNS: &[Column] = &[
    always("credential", ColumnType::Utf8, "Canonical id, never the secret."),
    always("identity", ColumnType::Utf8, "Whose it is."),
    always("kind", ColumnType::Utf8, "What kind of credential it is."),
    always("state", ColumnType::Utf8, "Where it stands in its life: active, superseded, revoked, expired or unknown."),
    maybe("issued_at", ColumnType::Timestamp, "When it was issued; when not exact, it is at least as old as this."),
    always("issued_is_exact", ColumnType::Boolean, "Whether a record said when it was issued."),
    maybe("expires_at", ColumnType::Timestamp, "When it expires."),
    maybe("age_days", ColumnType::Float64, "Its age at the watermark, or at its end if that came first, in days."),
    maybe("last_used", ColumnType::Timestamp, "Its last use."),
    maybe("successor", ColumnType::Utf8, "The credential that followed it."),
    maybe("parent", ColumnType::Utf8, "What it was obtained with."),
    maybe("revoked_at", ColumnType::Timestamp, "When it was revoked."),
    maybe("superseded_at", ColumnType::Timestamp, "When its successor was issued."),
    maybe("issuer", ColumnType::Utf8, "Who issued it."),
    maybe("first_used", ColumnType::Timestamp, "Its first use."),
    maybe("last_success", ColumnType::Timestamp, "Its last successful use."),
    always("uses", ColumnType::Int64, "Uses seen."),
    always("failures", ColumnType::Int64, "Failed or denied uses seen."),
    always("sources", ColumnType::Int64, "Distinct source addresses seen."),
    always("destinations", ColumnType::Int64, "Distinct destinations seen."),
    maybe("identity_kind", ColumnType::Utf8, "What kind of actor its identity is."),
    always("as_of", ColumnType::Timestamp, "The watermark that the row was computed at."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Credentials;

#[async_trait]
impl Function for Credentials {
    fn name(&self) -> &'static str {
        "credentials"
    }

    fn doc(&self) -> &'static str {
        "Every credential of a machine: its kind, age, state, last use and lineage."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::optional("who", Kind::Text)] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let who = super::who::condition(values.text(0), "i.kind")?;
        let sql = format!(
            "SELECT c.*, i.kind AS identity_kind FROM credentials c LEFT JOIN (SELECT identity, min(kind) AS kind FROM identities GROUP BY identity) i ON c.identity = i.identity
             WHERE {who} ORDER BY c.identity, c.issued_at, c.credential"
        );
        Ok(Answer::Stream(engine.sql(&sql, Vec::new()).await?))
    }
}
