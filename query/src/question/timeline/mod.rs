//! `timeline(identity, from, to)`: events in order, with findings and the credentials' life woven in.

mod life;
mod woven;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType};

use crate::column::{always, maybe};
use crate::engine::Engine;
use crate::question::function::{Answer, Argument, FROM, Function, Kind, TO, Values};
use crate::{Error, resolve};

const COLUMNS: &[Column] = &[
    always("time", ColumnType::Timestamp, "When."),
    always("activity", ColumnType::Utf8, "What happened: an event's activity, or `finding`."),
    maybe("outcome", ColumnType::Utf8, "How it ended; empty for findings and for what the ledger inferred."),
    always("identity", ColumnType::Utf8, "Who."),
    maybe("credential", ColumnType::Utf8, "With which credential."),
    maybe("destination", ColumnType::Utf8, "What was touched."),
    maybe("protocol", ColumnType::Utf8, "Over which protocol."),
    maybe("action", ColumnType::Utf8, "What was done, in the provider's own words; for a finding, its rule."),
    maybe("source_ip", ColumnType::Utf8, "From which address."),
    maybe("event_id", ColumnType::Utf8, "The event; empty for findings and ledger rows."),
    always("finding_ids", ColumnType::Utf8List, "Findings that this event is evidence of, or the finding itself."),
    always("origin", ColumnType::Utf8, "Where the row comes from: event, finding or ledger."),
    maybe("detail", ColumnType::Utf8, "An event's reason, a finding's severity and title, or what the ledger inferred."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Timeline;

#[async_trait]
impl Function for Timeline {
    fn name(&self) -> &'static str {
        "timeline"
    }

    fn doc(&self) -> &'static str {
        "What an identity did, in order, with findings and the life of its credentials woven in."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("identity", Kind::Text), FROM, TO] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let identity = resolve::resolve(engine, resolve::Kind::Identity, values.text(0).unwrap_or_default()).await?;
        let period = values.period(engine, 1).await?;
        if engine.options().look_up {
            match woven::answer(engine, &identity, period).await {
                Ok(Some(answer)) => return Ok(Answer::Batch(answer)),
                Ok(None) => {}
                Err(Error::Execution(error)) => tracing::debug!(%error, "a timeline could not be looked up: the question is planned"),
                Err(error) => return Err(error),
            }
        }
        let (on_event, on_moment) = (period.condition("time", 2), period.condition("moment", 2));
        let [from, to] = period.parameters();
        // What the ledger knows is shown where no record of that moment says it: inferred succession, expiry, and
        // lifecycle facts that a use revealed.
        let sql = format!(
            "WITH evidence AS (
                SELECT event_id AS evidence_id, array_agg(finding_id ORDER BY finding_id) AS ids
                FROM (SELECT finding_id, unnest(event_ids) AS event_id FROM findings WHERE identity = $1 OR array_has(members, $1))
                GROUP BY event_id),
            own AS (
                SELECT time, activity, outcome, identity, credential, destination, protocol, action, source_ip, event_id, reason
                FROM events WHERE identity = $1 AND {on_event}),
            life AS (
                SELECT issued_at AS moment, 'issue' AS activity, identity, credential, CASE WHEN issued_is_exact THEN 'issued' ELSE 'first seen; issued at this time or before' END AS detail FROM credentials WHERE identity = $1
                UNION ALL SELECT superseded_at, 'rotate', identity, credential, 'superseded by ' || coalesce(successor, 'a successor') FROM credentials WHERE identity = $1
                UNION ALL SELECT revoked_at, 'revoke', identity, credential, 'revoked' FROM credentials WHERE identity = $1
                UNION ALL SELECT expires_at, 'expire', identity, credential, 'expired' FROM credentials WHERE identity = $1 AND expires_at <= as_of)
            SELECT own.time, activity, outcome, identity, credential, destination, protocol, action, source_ip, event_id,
                   coalesce(evidence.ids, make_array()) AS finding_ids, 'event' AS origin, reason AS detail
            FROM own LEFT JOIN evidence ON own.event_id = evidence.evidence_id
            UNION ALL
            SELECT time, 'finding', NULL, identity, credential, destination, protocol, rule, source_ip, NULL, make_array(finding_id), 'finding', '[' || severity || '] ' || title
            FROM findings WHERE (identity = $1 OR array_has(members, $1)) AND {on_event}
            UNION ALL
            SELECT moment, activity, NULL, identity, credential, NULL, NULL, NULL, NULL, NULL, make_array(), 'ledger', detail
            FROM life WHERE moment IS NOT NULL AND {on_moment}
              AND NOT EXISTS (SELECT 1 FROM own WHERE own.credential = life.credential AND own.time = life.moment)
            ORDER BY time, origin, event_id, activity, credential"
        );
        Ok(Answer::Stream(engine.sql(&sql, vec![ScalarValue::from(identity.as_str()), from, to]).await?))
    }
}
