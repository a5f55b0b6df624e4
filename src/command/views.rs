//! `keytrail views`: the questions as views and macros of other engines, over the same lake.

use keytrail_query::Dialect;

use crate::cli::Views;
use crate::config::Config;
use crate::exit::{Code, Usage};

/// Writes the statements to standard output.
pub fn run(config: &Config, arguments: &Views) -> anyhow::Result<Code> {
    let dialect: Dialect = arguments.dialect.parse().map_err(|error: keytrail_query::Error| Usage(error.to_string()))?;
    let location = config.lake_url();
    // Another engine stands elsewhere: a relative path would be its own.
    let location = match std::fs::canonicalize(&location) {
        Ok(path) => path.display().to_string(),
        Err(_) => location,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let text = runtime.block_on(async {
        let session = crate::place::session(config, config.query.clone()).await?;
        anyhow::Ok(session.views(dialect, &location, arguments.files).await?)
    })?;
    print!("{text}");
    Ok(Code::Done)
}
