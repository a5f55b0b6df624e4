//! `touched` and `who_touched` for other engines.

use super::Dialect;

/// What [`crate::Question::Touched`] and [`crate::Question::WhoTouched`] answer.
pub(super) fn body(dialect: Dialect, column: &str, other: &str) -> String {
    let [value, since, until] = dialect.arguments(column);
    let time = dialect.quoted("time");
    let (count, first, last) = (dialect.quoted("count"), dialect.quoted("first"), dialect.quoted("last"));
    let latest = dialect.latest_issue();
    let age = dialect.days_between("t.issued", "t.last_seen");
    let ledger = dialect.ledger();
    let within = format!("({since} IS NULL OR {time} >= {since}) AND ({until} IS NULL OR {time} < {until})");
    format!(
        "SELECT t.identity AS identity, t.destination AS destination, t.credential AS credential,
       CASE WHEN t.issued IS NULL THEN NULL WHEN {age} < 0 THEN 0 ELSE {age} END AS credential_age_days,
       CASE WHEN t.issued IS NULL THEN NULL ELSE t.issued_is_exact END AS credential_age_is_exact,
       t.protocol AS protocol, t.action AS action, t.outcome AS outcome, t.events AS {count}, t.failures AS failures, t.first_seen AS {first}, t.last_seen AS {last},
       CASE WHEN {since} IS NULL THEN true ELSE t.began >= {since} END AS first_ever, t.identity_kind AS identity_kind
FROM (
  SELECT g.identity AS identity, g.destination AS destination, g.credential AS credential, g.protocol AS protocol, g.action AS action, g.outcome AS outcome,
         g.identity_kind AS identity_kind, g.events AS events, g.failures AS failures, g.first_seen AS first_seen, g.last_seen AS last_seen,
         coalesce(g.issued, l.issued_at) AS issued, CASE WHEN g.issued IS NOT NULL THEN true ELSE l.issued_is_exact END AS issued_is_exact, b.began AS began
  FROM (
    SELECT identity, destination, credential, protocol, action, outcome, identity_kind, count(*) AS events,
           sum(CASE WHEN outcome IN ('failure', 'denied') THEN 1 ELSE 0 END) AS failures, min({time}) AS first_seen, max({time}) AS last_seen, {latest} AS issued
    FROM keytrail_events WHERE {column} = {value} AND destination IS NOT NULL AND {within}
    GROUP BY identity, destination, credential, protocol, action, outcome, identity_kind
  ) g JOIN (
    SELECT {other} AS other, min({time}) AS began FROM keytrail_events WHERE {column} = {value} AND destination IS NOT NULL GROUP BY {other}
  ) b ON b.other = g.{other} LEFT JOIN ({ledger}) l ON l.credential = g.credential
) t"
    )
}
