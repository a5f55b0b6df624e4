//! `keytrail forward`: findings from Kafka to the configured targets. One process per data folder: the positions stand there.

use std::sync::atomic::Ordering;

use super::Context;
use crate::cli::Role;
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::home::Home;
use crate::pipeline::PATIENCE;
use crate::telemetry::Telemetry;

/// Forwards until it is told to stop; with `--drain`, until everything that the log holds went out.
pub fn run(config: &Config, telemetry: &Telemetry, arguments: &Role) -> anyhow::Result<Code> {
    if config.forwards.is_empty() {
        return Err(Usage("there is nowhere to forward to: write at least one [[forward]] with `target` and `encoding` in keytrail.toml".to_owned()).into());
    }
    let home = Home::open(config)?;
    let context = Context::open(config, telemetry, arguments, false)?;
    if arguments.drain {
        context.shared.detectors_done.store(true, Ordering::Release);
    }
    let threads = crate::pipeline::forward::spawn(&context.shared, &home)?;
    while !context.stopped() && threads.iter().any(|thread| !thread.is_finished()) {
        std::thread::sleep(PATIENCE);
    }
    context.shared.detectors_done.store(true, Ordering::Release);
    for thread in threads {
        let _ = thread.join();
    }
    context.close();
    Ok(Code::Done)
}
