//! `timeline` for other engines.

use super::Dialect;

/// What [`crate::Question::Timeline`] answers.
pub(super) fn body(dialect: Dialect) -> String {
    let [value, since, until] = dialect.arguments("identity");
    let time = dialect.quoted("time");
    let within = |column: &str| format!("({since} IS NULL OR {column} >= {since}) AND ({until} IS NULL OR {column} < {until})");
    let (on_event, on_moment) = (within(&format!("e.{time}")), within("life.moment"));
    let on_finding = within(&format!("f.{time}"));
    let is_member = dialect.holds("members", &value);
    let evidence = dialect.unnested("latest", "finding_id", "event_ids", "evidence_id");
    let (gathered, none, itself) = (dialect.gathered("finding_id"), dialect.list(None), dialect.list(Some("f.finding_id")));
    let ids = dialect.list_or_none("evidence.ids");
    let life = |moment: &str, activity: &str, detail: &str, condition: &str| {
        format!(
            "SELECT {moment} AS moment, '{activity}' AS activity, identity, credential, {detail} AS detail FROM keytrail_credentials WHERE identity = {value}{condition}"
        )
    };
    let lives = [
        life("issued_at", "issue", "CASE WHEN issued_is_exact THEN 'issued' ELSE 'first seen; issued at this time or before' END", ""),
        life("superseded_at", "rotate", "'superseded by ' || coalesce(successor, 'a successor')", ""),
        life("revoked_at", "revoke", "'revoked'", ""),
        life("expires_at", "expire", "'expired'", " AND expires_at <= as_of"),
    ];
    format!(
        "WITH latest AS (
  SELECT finding_id, event_ids, {time}, identity, credential, destination, protocol, rule, source_ip, severity, title
  FROM (SELECT *, row_number() OVER (PARTITION BY finding_id ORDER BY revision DESC, log_offset DESC) AS newest FROM keytrail_findings) revised
  WHERE newest = 1 AND (identity = {value} OR {is_member})
), evidence AS (SELECT evidence_id, {gathered} AS ids FROM ({evidence}) pairs GROUP BY evidence_id
), own AS (
  SELECT e.{time} AS {time}, e.activity AS activity, e.outcome AS outcome, e.identity AS identity, e.credential AS credential, e.destination AS destination, e.protocol AS protocol,
         e.action AS action, e.source_ip AS source_ip, e.event_id AS event_id, e.reason AS reason
  FROM keytrail_events e WHERE e.identity = {value} AND {on_event}
), life AS (
  {}
), said AS (SELECT DISTINCT credential AS said_credential, {time} AS said_time FROM own WHERE credential IS NOT NULL)
SELECT * FROM (
  SELECT own.{time} AS {time}, own.activity AS activity, own.outcome AS outcome, own.identity AS identity, own.credential AS credential, own.destination AS destination,
         own.protocol AS protocol, own.action AS action, own.source_ip AS source_ip, own.event_id AS event_id, {ids} AS finding_ids, 'event' AS origin, own.reason AS detail
  FROM own LEFT JOIN evidence ON own.event_id = evidence.evidence_id
  UNION ALL
  SELECT f.{time} AS {time}, 'finding' AS activity, NULL AS outcome, f.identity AS identity, f.credential AS credential, f.destination AS destination,
         f.protocol AS protocol, f.rule AS action, f.source_ip AS source_ip, NULL AS event_id, {itself} AS finding_ids, 'finding' AS origin, '[' || f.severity || '] ' || f.title AS detail
  FROM latest f WHERE {on_finding}
  UNION ALL
  SELECT life.moment AS {time}, life.activity AS activity, NULL AS outcome, life.identity AS identity, life.credential AS credential, NULL AS destination,
         NULL AS protocol, NULL AS action, NULL AS source_ip, NULL AS event_id, {none} AS finding_ids, 'ledger' AS origin, life.detail AS detail
  FROM life LEFT JOIN said ON said.said_credential = life.credential AND said.said_time = life.moment
  WHERE life.moment IS NOT NULL AND said.said_credential IS NULL AND {on_moment}
) woven ORDER BY {time}, origin, event_id NULLS LAST, activity, credential NULLS LAST",
        lives.join("\n  UNION ALL ")
    )
}
