//! `keytrail compact`: closed days of the lake, rewritten for questions.

use crate::cli::Compact;
use crate::config::Config;
use crate::exit::Code;

/// Compacts, and says what it did.
pub fn run(config: &Config, arguments: &Compact) -> anyhow::Result<Code> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(async {
        let lake = keytrail_lake::Lake::open(&config.lake_url(), keytrail_lake::Options::default()).await?;
        lake.compact(keytrail_lake::CompactOptions { all: arguments.all, ..keytrail_lake::CompactOptions::default() }).await
    })?;
    if !config.quiet {
        eprintln!("{report:#?}");
    }
    Ok(Code::Done)
}
