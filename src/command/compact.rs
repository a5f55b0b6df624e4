//! `keytrail compact`: closed days of the lake, rewritten for questions.

use crate::cli::Compact;
use crate::config::Config;
use crate::exit::Code;

/// Compacts, and says what it did.
pub fn run(config: &Config, arguments: &Compact) -> anyhow::Result<Code> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(async {
        let lake = crate::place::lake(config).await?;
        let options = keytrail_lake::CompactOptions { all: arguments.all, first_bytes_min: 0, ..keytrail_lake::CompactOptions::default() };
        anyhow::Ok(lake.compact(options).await?)
    })?;
    if !config.quiet {
        eprintln!("{report:#?}");
    }
    Ok(Code::Done)
}
