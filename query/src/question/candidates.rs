//! `candidates(identity, within, from, to)`: who it may have been. Most plant protocols name an address and nobody: accounts that were seen from the same address in
//! the same minutes (Kerberos, NTLM, SSH, OPC UA, …) may have sat there, and a lease says which machine had the address. None of it proves who acted.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, FROM, Function, Kind, Period, TO, Values};
use crate::column::{always, maybe};
use crate::engine::Engine;
use crate::{Error, resolve};

/// Minutes before and after an act within which somebody else counts, unless told otherwise.
const WITHIN_DEFAULT: i64 = 15;
/// At most a day.
const WITHIN_MAX: i64 = 24 * 60;

const COLUMNS: &[Column] = &[
    always("candidate", ColumnType::Utf8, "Who it may have been: an account, or a machine (`mac:`) that was given the address."),
    maybe("kind", ColumnType::Utf8, "What kind of actor it is."),
    maybe("protocol", ColumnType::Utf8, "By what it was seen from there; dhcp: a lease."),
    maybe("source_ip", ColumnType::Utf8, "The address that both came from."),
    maybe("source_host", ColumnType::Utf8, "The host's own name, where a record has it."),
    always("together", ColumnType::Int64, "Spans of so many minutes in which the identity acted and the candidate was seen near, or the lease held."),
    always("acted", ColumnType::Int64, "Spans in which the identity acted at all."),
    always("share", ColumnType::Float64, "The first as a share of the second."),
    always("events", ColumnType::Int64, "The candidate's events near an act; leases."),
    always("refused", ColumnType::Int64, "How many of them were refused: somebody tried that name."),
    always("first", ColumnType::Timestamp, "The first of them."),
    always("last", ColumnType::Timestamp, "The last of them."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Candidates;

#[async_trait]
impl Function for Candidates {
    fn name(&self) -> &'static str {
        "candidates"
    }

    fn doc(&self) -> &'static str {
        "Who may have acted as an identity that is an address: accounts seen from there in the same minutes, and machines that had a lease of it."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("identity", Kind::Text), Argument::optional("within", Kind::Count), FROM, TO] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let identity = resolve::resolve(engine, resolve::Kind::Identity, values.text(0).unwrap_or_default()).await?;
        let within = values.count(1).unwrap_or(WITHIN_DEFAULT);
        if !(1..=WITHIN_MAX).contains(&within) {
            return Err(Error::Arguments {
                function: self.name(),
                problem: format!("within is 1 to {WITHIN_MAX} minutes, not {within}"),
                usage: super::function::usage(self),
            });
        }
        let period = values.period(engine, 2).await?;
        let [from, to] = period.parameters();
        Ok(Answer::Stream(engine.sql(&sql(within, period), vec![ScalarValue::from(identity.as_str()), from, to]).await?))
    }
}

/// The question in SQL: `$1` is the identity, `$2` and `$3` the period.
fn sql(within: i64, period: Period) -> String {
    let (span, when) = (format!("INTERVAL '{within} minutes'"), period.condition("time", 2));
    // A lease of before the period may hold within it.
    let leased = Period { from: None, ..period }.condition("time", 2);
    // What lies in the same span is near; what lies in the one before or after is where it is near the first or last act of that span.
    format!(
        "WITH acts AS (SELECT source_ip, date_bin({span}, time) AS span, min(time) AS first, max(time) AS last FROM events
                       WHERE identity = $1 AND source_ip IS NOT NULL AND (protocol IS DISTINCT FROM 'dhcp') AND {when} GROUP BY 1, 2),
              near AS (SELECT source_ip, span, span AS near, first, last FROM acts UNION ALL SELECT source_ip, span, span - {span}, first, last FROM acts
                       UNION ALL SELECT source_ip, span, span + {span}, first, last FROM acts),
              others AS (SELECT identity, identity_kind, protocol, source_ip, source_host, outcome, event_id, time, date_bin({span}, time) AS near FROM events
                         WHERE source_ip IN (SELECT source_ip FROM acts) AND identity <> $1 AND identity NOT LIKE '%:host/%' AND identity NOT LIKE '%:address/%'
                           AND {when}),
              leases AS (SELECT destination, source_ip, source_host, time, lead(time) OVER (PARTITION BY source_ip ORDER BY time, event_id) AS until FROM events
                         WHERE identity = $1 AND action = 'dhcp.lease' AND outcome = 'success' AND destination IS NOT NULL AND {leased}),
              found AS (SELECT o.identity AS candidate, o.identity_kind AS kind, o.protocol AS protocol, o.source_ip AS source_ip, max(o.source_host) AS source_host,
                               count(DISTINCT n.span) AS together, count(DISTINCT o.event_id) AS events,
                               count(DISTINCT CASE WHEN o.outcome IN ('failure', 'denied') THEN o.event_id END) AS refused, min(o.time) AS first, max(o.time) AS last
                        FROM others o JOIN near n ON o.source_ip = n.source_ip AND o.near = n.near
                        WHERE o.time >= n.first - {span} AND o.time <= n.last + {span} GROUP BY 1, 2, 3, 4
                        UNION ALL
                        SELECT l.destination, 'device', 'dhcp', l.source_ip, max(l.source_host), count(DISTINCT a.span), count(DISTINCT l.time), 0, min(l.time), max(l.time)
                        FROM leases l LEFT JOIN acts a ON a.source_ip = l.source_ip AND a.last >= l.time AND (l.until IS NULL OR a.first < l.until)
                        GROUP BY 1, 4 HAVING count(a.span) > 0)
         SELECT candidate, kind, protocol, source_ip, source_host, together, n.acted AS acted,
                CASE WHEN n.acted = 0 THEN 0.0 ELSE CAST(together AS DOUBLE) / n.acted END AS share, events, refused, first, last
         FROM found CROSS JOIN (SELECT count(*) AS acted FROM acts) n ORDER BY together DESC, events DESC, candidate, protocol"
    )
}
