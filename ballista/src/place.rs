//! Where the lake is: a folder, or a bucket of an S3 store, whose credentials and endpoint are the `AWS_*` variables of the environment, as they are for
//! scheduler and executors.

use std::sync::Arc;

use keytrail_query::{Options, Session};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use url::Url;

use crate::failure::Failure;

/// A place in a store, and the store.
type Bucket = (Url, Arc<dyn ObjectStore>);

/// Opens a lake for questions.
///
/// # Errors
/// When there is none, or it is out of reach.
pub async fn session(lake: &str) -> Result<Session, Failure> {
    Ok(match bucket(lake)? {
        Some((url, store)) => Session::open_with_store(&url, store, Options::default()).await?,
        None => Session::open(lake, Options::default()).await?,
    })
}

/// The bucket, where the lake is in one.
fn bucket(lake: &str) -> Result<Option<Bucket>, Failure> {
    if !lake.starts_with("s3://") {
        return Ok(None);
    }
    let wrong = |error: String| Failure::Usage(format!("lake {lake:?}: {error}expected s3://BUCKET/PREFIX"));
    let url = Url::parse(lake).map_err(|error| wrong(format!("{error}: ")))?;
    let name = url.host_str().ok_or_else(|| wrong(String::new()))?;
    let store = AmazonS3Builder::from_env().with_bucket_name(name).build().map_err(|error| Failure::OutOfReach(format!("lake {lake}: {error}")))?;
    Ok(Some((url, Arc::new(store))))
}
