//! `credential_history(credential)`: one credential, or all of one identity, from first to last.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, Function, Kind, Values};
use super::period::days;
use crate::column::{always, maybe};
use crate::engine::Engine;
use crate::{Error, resolve};

const COLUMNS: &[Column] = &[
    always("credential", ColumnType::Utf8, "Canonical id."),
    always("identity", ColumnType::Utf8, "Whose it is."),
    always("kind", ColumnType::Utf8, "What kind of credential it is."),
    always("state", ColumnType::Utf8, "Where it stands in its life."),
    maybe("issued_at", ColumnType::Timestamp, "When it was issued, or first seen."),
    always("issued_is_exact", ColumnType::Boolean, "Whether a record said so."),
    maybe("ended_at", ColumnType::Timestamp, "When it was revoked or expired, whichever came first."),
    maybe("superseded_at", ColumnType::Timestamp, "When its successor was issued."),
    maybe("successor", ColumnType::Utf8, "The credential that followed it."),
    maybe("parent", ColumnType::Utf8, "What it was obtained with."),
    maybe("lifetime_days", ColumnType::Float64, "From issue to end, superseding or the watermark, in days."),
    maybe("days_since_previous", ColumnType::Float64, "Since the credential of the same kind before it was issued, in days: the rhythm of rotation."),
    maybe("overlap_hours", ColumnType::Float64, "How long it was used after its successor was issued, in hours."),
    maybe("first_used", ColumnType::Timestamp, "Its first use."),
    maybe("last_used", ColumnType::Timestamp, "Its last use."),
    always("uses", ColumnType::Int64, "Uses seen."),
    always("failures", ColumnType::Int64, "Failed or denied uses seen."),
    always("sources", ColumnType::Int64, "Distinct source addresses seen."),
    always("destinations", ColumnType::Int64, "Distinct destinations seen."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct CredentialHistory;

#[async_trait]
impl Function for CredentialHistory {
    fn name(&self) -> &'static str {
        "credential_history"
    }

    fn doc(&self) -> &'static str {
        "The life of a credential, or of all credentials of an identity: issued, used, rotated, revoked, and the rhythm of rotation."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("credential_or_identity", Kind::Text)] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let text = values.text(0).unwrap_or_default();
        let (column, name) = match resolve::resolve(engine, resolve::Kind::Credential, text).await {
            Ok(credential) => ("credential", credential),
            Err(Error::Unknown { .. }) => ("identity", resolve::resolve(engine, resolve::Kind::Identity, text).await?),
            Err(error) => return Err(error),
        };
        let lifetime = days("issued_at", "least(coalesce(ended_at, as_of), coalesce(superseded_at, as_of), as_of)");
        let previous = days("lag(issued_at) OVER (PARTITION BY identity, kind ORDER BY issued_at, credential)", "issued_at");
        let overlap = days("superseded_at", "last_used");
        let sql = format!(
            "SELECT *, {lifetime} AS lifetime_days,
                    {previous} AS days_since_previous,
                    CASE WHEN superseded_at IS NOT NULL THEN greatest({overlap}, 0) * 24 END AS overlap_hours
             FROM (SELECT *, CASE WHEN revoked_at IS NULL AND expires_at > as_of THEN NULL ELSE least(revoked_at, CASE WHEN expires_at <= as_of THEN expires_at END) END AS ended_at
                   FROM credentials WHERE identity IN (SELECT identity FROM credentials WHERE {column} = $1))
             ORDER BY issued_at, credential"
        );
        let sql = format!("SELECT * FROM ({sql}) WHERE {column} = $1 ORDER BY issued_at, credential");
        Ok(Answer::Stream(engine.sql(&sql, vec![ScalarValue::from(name.as_str())]).await?))
    }
}
