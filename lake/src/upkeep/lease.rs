//! Who is at it: `_state/upkeep/lease-N` of the greatest N says until when. A lease that ran out is taken over by creating N + 1, which one
//! process alone can do. A lease spares work; were two at it all the same, each commit would still be judged by itself.

use keytrail_schemas::Micros;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutPayload};

use crate::{Error, Lake, Result};

const FOLDER: &str = "upkeep";
/// When files were last removed.
const REMOVED: &str = "removed";

/// A lease that is held, by its number.
#[derive(Debug)]
pub(super) struct Lease(u64);

impl Lake {
    /// Takes the lease, unless another holds it.
    pub(super) async fn take_lease(&self, now: Micros, until: Micros) -> Result<Option<Lease>> {
        let held = self.leases().await?;
        if let Some(newest) = held.last() {
            let ends = self.read(&path(*newest)).await?.and_then(|bytes| String::from_utf8(bytes).ok()?.trim().parse().ok()).map(Micros);
            // One that was given up meanwhile, or that says nothing readable, is over. So is one that ends impossibly late: a clock was wrong.
            let longest = until.0.saturating_sub(now.0);
            if ends.is_some_and(|ends| ends > now && ends.0 <= now.0.saturating_add(longest.saturating_mul(2))) {
                return Ok(None);
            }
        }
        let number = held.last().map_or(0, |newest| newest + 1);
        let mine = PutPayload::from(until.0.to_string().into_bytes());
        match self.state.put_opts(&path(number), mine, PutMode::Create.into()).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => return Ok(None),
            Err(e) => return Err(Error::storage(&self.state_shown, "take the lease of the upkeep", e)),
        }
        for older in held {
            self.drop_object(&path(older)).await?;
        }
        Ok(Some(Lease(number)))
    }

    pub(super) async fn release_lease(&self, Lease(number): Lease) -> Result<()> {
        self.drop_object(&path(number)).await
    }

    /// Whether the last removal is long enough ago; notes this one.
    pub(super) async fn removal_is_due(&self, now: Micros, interval_hours: u32) -> Result<bool> {
        let note = Path::from_iter([FOLDER, REMOVED]);
        let last = self.read(&note).await?.and_then(|bytes| String::from_utf8(bytes).ok()?.trim().parse::<i64>().ok());
        // A note from the future is of a clock that was wrong.
        if last.is_some_and(|last| last <= now.0 && now.0 - last < i64::from(interval_hours) * Micros::HOUR) {
            return Ok(false);
        }
        self.put_object(&note, now.0.to_string().into_bytes()).await?;
        Ok(true)
    }

    async fn leases(&self) -> Result<Vec<u64>> {
        let listed = match self.state.list_with_delimiter(Some(&Path::from(FOLDER))).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other.map_err(|e| Error::storage(&self.state_shown, "look for a lease of the upkeep", e))?,
        };
        let mut numbers: Vec<u64> = listed.objects.iter().filter_map(|object| object.location.filename()?.strip_prefix("lease-")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn drop_object(&self, path: &Path) -> Result<()> {
        match self.state.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage(&self.state_shown, "give the lease of the upkeep back", e)),
        }
    }
}

fn path(number: u64) -> Path {
    Path::from_iter([FOLDER, &format!("lease-{number:020}")])
}
