//! `who_touched(destination, from, to)`: every identity that touched a destination.

use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::Column;

use super::function::{Answer, Argument, FROM, Function, Kind, TO, Values};
use super::touch::{self, Of};
use super::touched::COLUMNS;
use crate::engine::Engine;
use crate::{Error, resolve};

/// See the module.
#[derive(Debug)]
pub(crate) struct WhoTouched;

#[async_trait]
impl Function for WhoTouched {
    fn name(&self) -> &'static str {
        "who_touched"
    }

    fn doc(&self) -> &'static str {
        "Every identity that touched a destination, with which credential, and how old that was."
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[Argument::required("destination", Kind::Text), FROM, TO] }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, values: &Values) -> Result<Answer, Error> {
        let destination = resolve::resolve(engine, resolve::Kind::Destination, values.text(0).unwrap_or_default()).await?;
        let period = values.period(engine, 1).await?;
        Ok(Answer::Batch(touch::answer(engine, &Of::Destination(destination.to_string()), period).await?))
    }
}
