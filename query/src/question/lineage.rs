//! `lineage(credential)`: where a credential came from and what came of it, up and down the chain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use keytrail_schemas::{Column, ColumnType, CredentialRecord, Micros};

use super::function::{Answer, Argument, Function, Kind, Values};
use crate::column::{self, always, batch, maybe};
use crate::engine::Engine;
use crate::machine::Machine;
use crate::{Error, ledger, resolve};

/// Steps that are followed in each direction.
const STEPS_MAX: i64 = 32;
/// Credentials that one lineage may hold; beyond it the farthest are left out.
const CREDENTIALS_MAX: usize = 10_000;

const COLUMNS: &[Column] = &[
    always("step", ColumnType::Int64, "0 is the credential itself, -1 what it was obtained with or followed, 1 what was obtained with it or followed it, …"),
    always(
        "relation",
        ColumnType::Utf8,
        "self, parent, predecessor, child, successor, or alias (another name of the same machine), as seen from the step before.",
    ),
    always("credential", ColumnType::Utf8, "The credential, or the identity that a parent names."),
    maybe("of", ColumnType::Utf8, "The credential of the step before that it relates to."),
    maybe("identity", ColumnType::Utf8, "Whose it is; empty when the ledger does not hold it."),
    maybe("kind", ColumnType::Utf8, "What kind of credential it is."),
    maybe("state", ColumnType::Utf8, "Where it stands in its life."),
    maybe("issued_at", ColumnType::Timestamp, "When it was issued."),
    maybe("issued_is_exact", ColumnType::Boolean, "Whether a record said so."),
    maybe("issuer", ColumnType::Utf8, "Who issued it."),
    maybe("expires_at", ColumnType::Timestamp, "When it expires."),
    maybe("revoked_at", ColumnType::Timestamp, "When it was revoked."),
    maybe("superseded_at", ColumnType::Timestamp, "When its successor was issued."),
    maybe("last_used", ColumnType::Timestamp, "Its last use."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Lineage;

/// How one credential stands to another: (name, relation, of).
type Edge = (String, &'static str, String);

#[async_trait]
impl Function for Lineage {
    fn name(&self) -> &'static str {
        "lineage"
    }

    fn doc(&self) -> &'static str {
        "What a credential was obtained with and followed, and what was obtained with it and followed it."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("credential", Kind::Text)] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let start = resolve::resolve(engine, resolve::Kind::Credential, values.text(0).unwrap_or_default()).await?.to_string();
        let mut placed: BTreeMap<String, (i64, &'static str, Option<String>)> = BTreeMap::from([(start.clone(), (0, "self", None))]);
        for direction in [-1, 1] {
            let mut frontier = BTreeSet::from([start.clone()]);
            for step in 1..=STEPS_MAX {
                let mut next = BTreeSet::new();
                for (name, relation, of) in edges(engine, &frontier, direction).await? {
                    if placed.len() < CREDENTIALS_MAX && !placed.contains_key(&name) {
                        placed.insert(name.clone(), (direction * step, relation, Some(of)));
                        next.insert(name);
                    }
                }
                if next.is_empty() {
                    break;
                }
                frontier = next;
            }
        }
        let mut rows: Vec<_> = placed.iter().collect();
        rows.sort_by_key(|(name, (step, ..))| (*step, name.as_str()));
        let records = ledger::records(engine, placed.keys()).await?;
        let record = |name: &String| records.get(name.as_str());
        let time = |pick: fn(&CredentialRecord) -> Option<Micros>| column::time(rows.iter().map(|(name, _)| record(name).and_then(pick).map(|time| time.0)));
        Ok(Answer::Batch(batch(
            COLUMNS,
            vec![
                column::count(rows.iter().map(|(_, (step, ..))| Some(*step))),
                column::text(rows.iter().map(|(_, (_, relation, _))| Some(*relation))),
                column::text(rows.iter().map(|(name, _)| Some(name.as_str()))),
                column::text(rows.iter().map(|(_, (.., of))| of.as_deref())),
                column::text(rows.iter().map(|(name, _)| record(name).map(|r| r.identity.as_str()))),
                column::text(rows.iter().map(|(name, _)| record(name).map(|r| r.kind.as_str()))),
                column::text(rows.iter().map(|(name, _)| record(name).map(|r| r.state.as_str()))),
                time(|r| r.issued_at),
                column::flag(rows.iter().map(|(name, _)| record(name).map(|r| r.issued_is_exact))),
                column::text(rows.iter().map(|(name, _)| record(name).and_then(|r| r.issuer.as_deref()))),
                time(|r| r.expires_at),
                time(|r| r.revoked_at),
                time(|r| r.superseded_at),
                time(|r| r.last_used),
            ],
        )?))
    }
}

/// The edges from `frontier` up (to parents and predecessors) or down (to children and successors).
async fn edges(engine: &Engine, frontier: &BTreeSet<String>, direction: i64) -> Result<Vec<Edge>, Error> {
    let names: Vec<&String> = frontier.iter().collect();
    let mut edges = Vec::new();
    for chunk in names.chunks(ledger::NAMES_PER_QUERY) {
        let list = ledger::placeholders(chunk.len());
        let sql = if direction < 0 {
            format!(
                "SELECT parent AS name, 'parent' AS relation, credential AS of FROM credentials WHERE parent IS NOT NULL AND credential IN ({list})
                 UNION ALL SELECT credential, 'predecessor', successor FROM credentials WHERE successor IN ({list})"
            )
        } else {
            format!(
                "SELECT credential AS name, 'child' AS relation, parent AS of FROM credentials WHERE parent IN ({list})
                 UNION ALL SELECT successor, 'successor', credential FROM credentials WHERE successor IS NOT NULL AND credential IN ({list})"
            )
        };
        for batch in engine.rows(&sql, chunk.iter().map(|name| ScalarValue::from(name.as_str())).collect()).await? {
            let (names, relations, ofs) = (column::texts(&batch, "name"), column::texts(&batch, "relation"), column::texts(&batch, "of"));
            for ((name, relation), of) in names.into_iter().zip(relations).zip(ofs) {
                let relation = ["parent", "predecessor", "child", "successor"].into_iter().find(|known| Some(*known) == relation.as_deref());
                edges.extend(name.zip(relation).zip(of).map(|((name, relation), of)| (name, relation, of)));
            }
        }
    }
    if direction < 0 {
        // What it was obtained under may be one of a machine's several names.
        for name in frontier {
            let others = Machine::of(engine, name).await?.names;
            edges.extend(others.into_iter().filter(|other| other != name).map(|other| (other, "alias", name.clone())));
        }
    }
    edges.sort();
    Ok(edges)
}
