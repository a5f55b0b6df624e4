//! Where the lake is: a folder, or a bucket of an S3 store. Credentials and endpoints come from `[store.s3]` and from the `AWS_*` variables
//! of the environment.

use std::sync::Arc;

use keytrail_lake::Lake;
use keytrail_query::Session;
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use url::Url;

use crate::config::Config;
use crate::exit::{OutOfReach, Usage};

/// Opens the lake for writing.
///
/// # Errors
/// When it is out of reach, or its store would lose commits.
pub async fn lake(config: &Config) -> anyhow::Result<Lake> {
    let (place, options) = (config.lake_url(), keytrail_lake::Options::default());
    Ok(match bucket(config)? {
        Some((url, store)) => Lake::open_with_store(&url, store, options).await?,
        None => Lake::open(&place, options).await?,
    })
}

/// Opens the lake for questions, with the record of who asked what beside it.
///
/// # Errors
/// When there is none, or it is out of reach.
pub async fn session(config: &Config, options: keytrail_query::Options) -> anyhow::Result<Session> {
    let session = match bucket(config)? {
        Some((url, store)) => Session::open_with_store(&url, store, options).await?,
        None => Session::open(&config.lake_url(), options).await?,
    };
    let queries = keytrail_serve::record::table(&config.dir).map_err(|error| session.error(error))?;
    Ok(session.with_table("queries", queries)?)
}

/// The bucket, where the lake is in one.
fn bucket(config: &Config) -> anyhow::Result<Option<(Url, Arc<dyn ObjectStore>)>> {
    let place = config.lake_url();
    if !place.starts_with("s3://") {
        return Ok(None);
    }
    let url = Url::parse(&place).map_err(|error| Usage(format!("lake {place:?}: {error}: expected s3://BUCKET/PREFIX")))?;
    let Some(name) = url.host_str() else { return Err(Usage(format!("lake {place:?}: expected s3://BUCKET/PREFIX")).into()) };
    let mut builder = AmazonS3Builder::new().with_bucket_name(name);
    for (key, value) in &config.store.s3 {
        let known: AmazonS3ConfigKey = key
            .parse()
            .map_err(|_| Usage(format!("store.s3.{key}: this is no setting of an S3 store; aws_region, aws_endpoint, aws_allow_http and the like are")))?;
        builder = builder.with_config(known, value);
    }
    let store = builder.build().map_err(|error| OutOfReach(format!("lake {place}: {error}")))?;
    Ok(Some((url, Arc::new(store))))
}
