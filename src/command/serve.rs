//! `keytrail serve`: the doors, over a lake that others write. `run` and `demo` open the same ones.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use keytrail_log::EventLog;
use keytrail_query::{LiveLedger, Session};
use keytrail_serve::access::{Access, TokenFile};
use keytrail_serve::{Desk, Doors, Options, Visit, record};

use super::told::Follower;
use crate::cli;
use crate::config::Config;
use crate::exit::Code;

/// Time between two looks at whether to stop.
const STEP: Duration = Duration::from_millis(50);
/// How long the doors' end waits for who follows findings.
const FAREWELL: Duration = Duration::from_secs(1);
/// Time between two looks for a lake that is not there yet.
const LAKE_INTERVAL: Duration = Duration::from_secs(1);

/// Serves until it is told to stop.
pub fn run(config: &Config, arguments: &cli::Serve) -> anyhow::Result<Code> {
    let mut options = config.serve.clone();
    if let Some(listen) = &arguments.listen {
        options.listen.clone_from(listen);
    }
    if let Some(postgres) = &arguments.postgres {
        options.postgres.clone_from(postgres);
    }
    if options.listen.is_empty() && options.postgres.is_empty() {
        options.listen = Options::LISTEN.to_owned();
        options.postgres = Options::POSTGRES.to_owned();
    }
    options.no_auth |= arguments.no_auth;
    options.plain |= arguments.plain;
    if let Some(path) = &arguments.tls_cert {
        options.tls_cert.clone_from(path);
    }
    if let Some(path) = &arguments.tls_key {
        options.tls_key.clone_from(path);
    }
    let stop = super::run::stop_signal()?;
    let runtime = runtime(config)?;
    let served = runtime.block_on(until_stopped(config, options, &stop));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served?;
    Ok(Code::Done)
}

async fn until_stopped(config: &Config, options: Options, stop: &AtomicBool) -> anyhow::Result<()> {
    let session = crate::place::session(config, config.query.clone()).await?;
    if !config.is_kafka() {
        return until(config, &desk_over(config, session, options), stop).await;
    }
    let live = Arc::<LiveLedger>::default();
    let session = session.with_live(&live);
    let over = Arc::<AtomicBool>::default();
    let followed = follower(&session, live, &over).on_kafka(config)?;
    let served = until(config, &desk_over(config, session, options), stop).await;
    ended(&over, followed).await;
    served
}

/// Holds the doors open until they shall close.
async fn until(config: &Config, desk: &Desk, stop: &AtomicBool) -> anyhow::Result<()> {
    let doors = open(desk).await?;
    tell(config, desk, &doors);
    while !stop.load(Ordering::Acquire) {
        tokio::time::sleep(STEP).await;
    }
    doors.close().await;
    Ok(())
}

fn follower(session: &Session, live: Arc<LiveLedger>, over: &Arc<AtomicBool>) -> Follower {
    Follower { session: session.clone(), live, over: Arc::clone(over), runtime: tokio::runtime::Handle::current() }
}

/// Ends the thread that follows findings: it asks this runtime. One that waits for brokers is left to the process's end.
async fn ended(over: &AtomicBool, thread: JoinHandle<()>) {
    over.store(true, Ordering::Release);
    let _ = tokio::time::timeout(FAREWELL, tokio::task::spawn_blocking(move || thread.join())).await;
}

/// The threads that answer.
pub fn runtime(config: &Config) -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.query.partitions().max(2))
        .thread_stack_size(8 << 20)
        .thread_name("keytrail-doors")
        .enable_all()
        .build()
        .context("starting the threads of the doors")
}

/// A desk over the lake.
pub async fn desk(config: &Config, options: Options) -> anyhow::Result<Desk> {
    Ok(desk_over(config, crate::place::session(config, config.query.clone()).await?, options))
}

fn desk_over(config: &Config, session: Session, options: Options) -> Desk {
    let access =
        if options.no_auth { Access::open(crate::clock::now) } else { Access::by_tokens(TokenFile::of(&config.dir).path().to_owned(), crate::clock::now) };
    Desk::new(session, access, record::Record::of(&config.dir), options)
}

/// Opens the doors; what is wrong with them is wrong usage.
pub async fn open(desk: &Desk) -> anyhow::Result<Doors> {
    keytrail_serve::serve(desk).await.map_err(crate::exit::of_door)
}

/// Says where the doors are, and how to come in.
fn tell(config: &Config, desk: &Desk, doors: &Doors) {
    if config.quiet {
        return;
    }
    for line in hints(doors, desk.access().asks_for_tokens(), !desk.options().tls_cert.as_os_str().is_empty()) {
        eprintln!("{line}");
    }
}

/// How to ask through each open door, a line each.
pub fn hints(doors: &Doors, needs_token: bool, is_tls: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(http) = doors.http {
        let (scheme, token) = (if is_tls { "https" } else { "http" }, if needs_token { " -H \"Authorization: Bearer $TOKEN\"" } else { "" });
        lines.push(format!("console     {scheme}://{http}/console"));
        lines.push(format!("HTTP        curl{token} '{scheme}://{http}/v1/touched?identity=svc-deploy&from=-7d'   (all of it: /openapi.json)"));
        lines.push(format!("live        curl -N{token} {scheme}://{http}/v1/live"));
    }
    if let Some(wire) = doors.postgres {
        let password = if needs_token { "PGPASSWORD=$TOKEN " } else { "" };
        lines.push(format!("PostgreSQL  {password}psql -h {} -p {} -U me keytrail -c \"select * from touched('svc-deploy', '-7d')\"", wire.ip(), wire.port()));
    }
    if needs_token {
        lines.push("tokens      keytrail tokens create NAME".to_owned());
    }
    lines
}

/// The demo's end: on a terminal its doors are open until Ctrl-C; elsewhere it is said how to open them.
pub fn after_demo(config: &Config, dir: &str, no_serve: bool) -> anyhow::Result<()> {
    let (listen, postgres) = (Options::LISTEN, Options::POSTGRES);
    if no_serve || !std::io::stdout().is_terminal() {
        println!("\nOr open the doors:\n  keytrail serve --no-auth{dir}");
        println!("  curl 'http://{listen}/v1/findings?severity=high'");
        let (host, port) = postgres.split_once(':').unwrap_or((postgres, ""));
        println!("  psql -h {host} -p {port} -U me keytrail -c \"select * from touched('svc-deploy', '-7d')\"");
        println!("  keytrail mcp{dir}   (for an assistant that speaks the Model Context Protocol)");
        return Ok(());
    }
    let options = Options { listen: listen.to_owned(), postgres: postgres.to_owned(), no_auth: true, ..config.serve.clone() };
    let stop = super::run::stop_signal()?;
    let runtime = runtime(config)?;
    let served = runtime.block_on(async {
        let desk = desk(config, options).await?;
        let doors = open(&desk).await?;
        println!("\nThe doors are open, for this machine only and without tokens, until Ctrl-C:");
        for line in hints(&doors, false, false) {
            println!("  {line}");
        }
        println!("  MCP         keytrail mcp{dir}");
        while !stop.load(Ordering::Acquire) {
            tokio::time::sleep(STEP).await;
        }
        doors.close().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// Doors beside a running pipeline, which tells what it knows through `live` and through its log: they open once there is a lake, and close with `stop`.
pub fn beside(config: &Config, live: Arc<LiveLedger>, log: Arc<dyn EventLog>, stop: Arc<AtomicBool>) -> anyhow::Result<JoinHandle<()>> {
    let runtime = runtime(config)?;
    let config = config.clone();
    let serve = move || {
        let served = runtime.block_on(async {
            while !stop.load(Ordering::Acquire) {
                match crate::place::session(&config, config.query.clone()).await {
                    Err(error) if is_no_lake(&error) => tokio::time::sleep(LAKE_INTERVAL).await,
                    Err(error) => return Err(error),
                    Ok(session) => {
                        let session = session.with_live(&live);
                        let over = Arc::<AtomicBool>::default();
                        let followed = follower(&session, live.clone(), &over).beside(log.clone())?;
                        let served = until(&config, &desk_over(&config, session, config.serve.clone()), &stop).await;
                        ended(&over, followed).await;
                        served?;
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = served {
            tracing::error!(error = crate::exit::message(&error), "the doors are closed");
        }
        runtime.shutdown_timeout(Duration::from_secs(1));
    };
    std::thread::Builder::new().name("keytrail-serve".to_owned()).spawn(serve).context("starting the thread of the doors")
}

fn is_no_lake(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(keytrail_query::Error::NoLake { .. })))
}

/// `keytrail mcp`: the questions as tools, on standard input and output.
pub fn mcp(config: &Config) -> anyhow::Result<Code> {
    let runtime = runtime(config)?;
    let served = runtime.block_on(async {
        let desk = desk(config, Options { no_auth: true, ..config.serve.clone() }).await?;
        let visit = Visit { caller: keytrail_serve::access::Caller::trusted(&config.user), door: "mcp", from: None };
        keytrail_serve::stdio(&desk, visit).await.map_err(crate::exit::of_door)
    });
    // A read of standard input cannot be taken back.
    runtime.shutdown_background();
    served?;
    Ok(Code::Done)
}
