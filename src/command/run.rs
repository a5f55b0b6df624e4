//! `keytrail run`: every role in one process. Sources are looked at again and again; what is new is appended, what is known is not. A
//! tick every 30 seconds lets the detector judge silence; findings are forwarded; `/metrics` and `/healthz` are served, and
//! the doors where they are configured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;

use super::live::Live;
use super::watched::Watched;
use crate::cli::Run;
use crate::clock;
use crate::config::Config;
use crate::exit::{Code, OutOfReach, Usage};
use crate::home::Home;
use crate::pipeline::upkeep::Upkeep;
use crate::pipeline::{Pipeline, Sink};
use crate::telemetry::Telemetry;

/// Time between two ticks.
const TICK_INTERVAL: Duration = Duration::from_secs(30);
/// Shortest sleep between two looks at whether anything is due.
const STEP: Duration = Duration::from_millis(50);

/// Runs until it is told to stop.
pub fn run(config: &Config, telemetry: &Telemetry, arguments: &Run) -> anyhow::Result<Code> {
    if config.is_kafka() {
        return Err(Usage(
            "`keytrail run` holds every role in one process, on the embedded log; on Kafka each is its own: `keytrail collect`, `detect`, `store`, `forward`"
                .to_owned(),
        )
        .into());
    }
    sources(config)?;
    let home = Home::open(config)?;
    let has_doors = !(config.serve.listen.is_empty() && config.serve.postgres.is_empty());
    let live = has_doors.then(Arc::<keytrail_query::LiveLedger>::default);
    let pipeline = Pipeline::start_beside(config, telemetry, live.clone())?;
    let stop = stop_signal()?;
    let listen = arguments.metrics_listen.as_deref().unwrap_or(&config.metrics.listen);
    let server = (!listen.is_empty()).then(|| serve(listen, telemetry.registry(), Arc::clone(&stop))).transpose()?;
    let doors = live.map(|live| super::serve::beside(config, live, pipeline.log(), Arc::clone(&stop))).transpose()?;
    // One look needs no upkeep beside it: what it wrote is compacted and rolled up at the end.
    let upkeep = (!arguments.once).then(|| Upkeep::beside(config)).transpose()?;
    let watched_all = watch(config, telemetry, &home, &pipeline, &stop, arguments.once);
    stop.store(true, Ordering::Release);
    drop(upkeep);
    let finished = pipeline.finish();
    for server in server.into_iter().chain(doors) {
        let _ = server.join();
    }
    watched_all?;
    finished?;
    Ok(Code::Done)
}

/// Fails where there is nothing to watch.
pub fn sources(config: &Config) -> anyhow::Result<()> {
    if config.sources.is_empty() {
        return Err(Usage("there is nothing to watch: write at least one [[source]] in keytrail.toml; `keytrail config` shows how".to_owned()).into());
    }
    Ok(())
}

/// Looks at the sources again and again and appends what is new, with a tick every 30 seconds; with `once`, looks a single time.
pub fn watch(config: &Config, telemetry: &Telemetry, home: &Home, sink: &dyn Sink, stop: &Arc<AtomicBool>, once: bool) -> anyhow::Result<()> {
    let (servers, files): (Vec<_>, Vec<_>) = config.sources.iter().partition(|source| source.is_live());
    let mut watched = files.into_iter().map(|source| Watched::open(config, home, source, sink)).collect::<anyhow::Result<Vec<_>>>()?;
    if once {
        for source in &servers {
            tracing::warn!(source = source.name, url = source.url, "a server has no end that one look could reach: it is left out");
        }
    }
    let servers = if once { Vec::new() } else { servers };
    let mut lives = servers.into_iter().map(|source| Live::open(config, home, source, sink)).collect::<anyhow::Result<Vec<_>>>()?;
    let watched = look(config, telemetry, home, sink, stop, once, &mut watched, &mut lives);
    let finished = if sink.has_failed() { Ok(()) } else { lives.into_iter().try_for_each(|live| live.finish(telemetry, sink)) };
    watched.and(finished)
}

fn look(
    config: &Config,
    telemetry: &Telemetry,
    home: &Home,
    sink: &dyn Sink,
    stop: &Arc<AtomicBool>,
    once: bool,
    watched: &mut [Watched],
    lives: &mut [Live],
) -> anyhow::Result<()> {
    let mut tick_due = Duration::ZERO;
    while !stop.load(Ordering::Acquire) {
        for source in watched.iter_mut().filter(|source| source.due.is_zero()) {
            source.look(config, telemetry, home, sink, stop)?;
        }
        for live in lives.iter_mut().filter(|live| live.due.is_zero()) {
            live.look(telemetry, sink)?;
        }
        if once {
            return watched.iter().try_for_each(Watched::is_whole);
        }
        if tick_due.is_zero() {
            sink.tick(clock::now())?;
            tick_due = TICK_INTERVAL;
        }
        if sink.has_failed() {
            return sink.tick(clock::now());
        }
        std::thread::sleep(STEP);
        tick_due = tick_due.saturating_sub(STEP);
        for source in watched.iter_mut() {
            source.due = source.due.saturating_sub(STEP);
        }
        for live in lives.iter_mut() {
            live.due = live.due.saturating_sub(STEP);
        }
    }
    Ok(())
}

/// Set by Ctrl-C and TERM.
pub fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate =
        runtime.block_on(async { tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) }).context("listening for signals")?;
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        told.store(true, Ordering::Release);
    };
    std::thread::Builder::new().name("keytrail-signals".to_owned()).spawn(wait).context("starting the signal thread")?;
    Ok(stop)
}

/// Serves `/metrics` and `/healthz` until `stop`.
pub fn serve(listen: &str, registry: prometheus::Registry, stop: Arc<AtomicBool>) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let listener = std::net::TcpListener::bind(listen).map_err(|error| OutOfReach(format!("metrics.listen = {listen}: {error}")))?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let metrics = move || async move { Telemetry::prometheus(&registry).map_err(|error| (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())) };
    let router = axum::Router::new().route("/metrics", axum::routing::get(metrics)).route("/healthz", axum::routing::get(|| async { "ok\n" }));
    let stopped = async move {
        while !stop.load(Ordering::Acquire) {
            tokio::time::sleep(STEP).await;
        }
    };
    let serve = move || {
        let served = runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).with_graceful_shutdown(stopped).await });
        if let Err(error) = served {
            tracing::error!(%error, "/metrics is no longer served");
        }
    };
    std::thread::Builder::new().name("keytrail-metrics".to_owned()).spawn(serve).context("starting the metrics thread")
}
