//! `touched(identity, from, to)`: everything that an identity touched, under whichever of its names: a service account's sessions in a cloud, its
//! tokens of a vault (`crate::machine`).

use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, FROM, Function, Kind, TO, Values};
use super::touch::{self, Of};
use crate::column::{always, maybe};
use crate::engine::Engine;
use crate::machine::Machine;
use crate::{Error, resolve};

pub(crate) const COLUMNS: &[Column] = &[
    always("identity", ColumnType::Utf8, "Who touched: the name that the provider knows the machine by."),
    always("destination", ColumnType::Utf8, "What was touched."),
    maybe("credential", ColumnType::Utf8, "With which credential, where the record names one."),
    maybe(
        "credential_age_days",
        ColumnType::Float64,
        "Age of the credential at the last touch of the row, in days: since the record's own time of issue, else since the ledger's.",
    ),
    maybe("credential_age_is_exact", ColumnType::Boolean, "Whether a record said when the credential was issued; false means `at least`."),
    maybe("protocol", ColumnType::Utf8, "Over which protocol."),
    maybe("action", ColumnType::Utf8, "What was done, in the provider's own words."),
    always("outcome", ColumnType::Utf8, "How it ended."),
    always("count", ColumnType::Int64, "How often."),
    always("failures", ColumnType::Int64, "How many of them failed or were denied."),
    always("first", ColumnType::Timestamp, "The first time within the period."),
    always("last", ColumnType::Timestamp, "The last time within the period."),
    always("first_ever", ColumnType::Boolean, "Whether the identity had never touched the destination before the period began, in all history."),
    always("identity_kind", ColumnType::Utf8, "What kind of actor the identity is; rows of humans come last."),
    maybe("command", ColumnType::Utf8, "What the action does to a controller of a plant: session, read, discover, diagnose, write, operate, program, mode."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Touched;

#[async_trait]
impl Function for Touched {
    fn name(&self) -> &'static str {
        "touched"
    }

    fn doc(&self) -> &'static str {
        "Everything that an identity touched, under all its names that records prove to be one machine's, with which credential, and how old that was."
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
        let machine = Machine::of(engine, &identity).await?;
        let sessions = machine.sessions(engine).await?;
        let of = match machine {
            Machine { names, .. } if names.len() <= 1 && sessions.is_empty() => Of::Identity(identity.to_string()),
            Machine { names, federated, .. } => Of::Machine { names, federated, sessions },
        };
        Ok(Answer::Batch(touch::answer(engine, &of, period).await?))
    }
}
