//! `keytrail collect`: watches sources and appends what is new. A source is read on only when the brokers have what came before.

use crate::cli::Role;
use crate::command::run::{serve, sources, stop_signal, watch};
use crate::config::Config;
use crate::exit::Code;
use crate::home::Home;
use crate::role::Brokers;
use crate::telemetry::Telemetry;

/// Collects until it is told to stop; with `--drain`, until everything that the sources hold is appended.
pub fn run(config: &Config, telemetry: &Telemetry, arguments: &Role) -> anyhow::Result<Code> {
    sources(config)?;
    let home = Home::open(config)?;
    let brokers = Brokers::open(config, telemetry, &home)?;
    let stop = stop_signal()?;
    let server = match arguments.metrics_listen.as_deref() {
        Some(listen) if !listen.is_empty() => Some(serve(listen, telemetry.registry(), stop.clone())?),
        _ => None,
    };
    let watched = watch(config, telemetry, &home, &brokers, &stop, arguments.drain);
    stop.store(true, std::sync::atomic::Ordering::Release);
    if let Some(server) = server {
        let _ = server.join();
    }
    watched?;
    Ok(Code::Done)
}
