//! The two roles of a cluster, as Ballista's own processes have them, with a file system or S3 beneath (`AWS_*` variables), and bounds that notice a lost
//! executor in half a minute.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::ballista_scalar_functions;
use ballista_core::object_store::{runtime_env_with_s3_support, session_config_with_s3_support, session_state_with_s3_support};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tracing_subscriber::EnvFilter;

use crate::cli::{Executor, Scheduler};
use crate::failure::Failure;
use crate::slots::Slots;

/// A plan names every file that it reads: some hundred bytes each.
pub const MESSAGE_BYTES_MAX: u32 = 256 << 20;
/// An executor that is silent for so long is lost, and its tasks are given to others.
const EXECUTOR_TIMEOUT_SECONDS: u64 = 30;
/// How often an executor says that it is there.
const HEARTBEAT_SECONDS: u64 = 5;
/// How long an executor looks for its scheduler at its start.
const CONNECT_SECONDS: u16 = 30;
/// What a job left on an executor's disk is removed after an hour; the scheduler has it removed some minutes after the job's end.
const JOB_DATA_SECONDS: u64 = 3_600;

/// Logs go to standard error: a role's warnings, nothing of a client, or what `KEYTRAIL_LOG_LEVEL` says.
pub fn log_to_standard_error(is_role: bool) {
    let filter = EnvFilter::try_from_env("KEYTRAIL_LOG_LEVEL").unwrap_or_else(|_| EnvFilter::new(if is_role { "warn" } else { "off" }));
    let _ = tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).with_env_filter(filter).try_init();
}

/// Runs a scheduler until it is told to end.
///
/// # Errors
/// When its address is taken.
pub async fn scheduler(arguments: Scheduler) -> Result<(), Failure> {
    let taken = |error: std::io::Error| Failure::OutOfReach(format!("{} cannot be listened on: {error}", arguments.listen));
    let host = match arguments.host {
        Some(host) => host,
        None if arguments.listen.ip().is_unspecified() => {
            return Err(Failure::Usage("--listen names every address of this machine: say with --host under which name executors reach it".to_owned()));
        }
        None => written(arguments.listen.ip()),
    };
    let listener = tokio::net::TcpListener::bind(arguments.listen).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let config = SchedulerConfig {
        bind_host: written(address.ip()),
        bind_port: address.port(),
        external_host: host,
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        task_distribution: TaskDistributionPolicy::RoundRobin,
        executor_timeout_seconds: EXECUTOR_TIMEOUT_SECONDS,
        expire_dead_executor_interval_seconds: HEARTBEAT_SECONDS,
        no_executors_grace_period_seconds: EXECUTOR_TIMEOUT_SECONDS,
        // What fails is told and not computed again: see `client::Client::lost`.
        task_max_failures: 1,
        stage_max_failures: 1,
        grpc_server_max_decoding_message_size: MESSAGE_BYTES_MAX,
        grpc_server_max_encoding_message_size: MESSAGE_BYTES_MAX,
        grpc_client_max_message_size: MESSAGE_BYTES_MAX,
        override_config_producer: Some(Arc::new(session_config_with_s3_support)),
        override_session_builder: Some(Arc::new(session_state_with_s3_support)),
        ..SchedulerConfig::default()
    };
    let failed = |error: ballista_core::error::BallistaError| Failure::Other(anyhow::anyhow!("the scheduler ended: {error}"));
    let jobs = BallistaCluster::new_from_config(&config).await.map_err(failed)?.job_state();
    let cluster = BallistaCluster::new(Arc::new(Slots::default()), jobs);
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await.map_err(failed)?;
    eprintln!("scheduler at {address}");
    tokio::select! {
        ended = start_grpc_service_with_listener(listener, scheduler) => ended.map_err(failed),
        () = told_to_end() => Ok(()),
    }
}

/// Runs an executor until it is told to end.
///
/// # Errors
/// When its scheduler is out of reach, or one of its ports is taken.
pub async fn executor(arguments: Executor, scheduler: &str) -> Result<(), Failure> {
    let (host, port) = address(scheduler)?;
    // Ballista would say it in its log, and go on to its end.
    drop((listening(arguments.listen).await?, listening(SocketAddr::new(arguments.listen.ip(), arguments.task_port)).await?));
    let temporary = match &arguments.work_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("keytrail-ballista-").tempdir().map_err(|error| Failure::Other(error.into()))?),
    };
    let work_dir = arguments.work_dir.as_deref().or(temporary.as_ref().map(tempfile::TempDir::path)).map(|path| path.display().to_string());
    let cores = if arguments.cores > 0 { arguments.cores } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let config = ExecutorProcessConfig {
        bind_host: written(arguments.listen.ip()),
        port: arguments.listen.port(),
        grpc_port: arguments.task_port,
        external_host: arguments.host.or_else(|| (!arguments.listen.ip().is_unspecified()).then(|| written(arguments.listen.ip()))),
        scheduler_host: host,
        scheduler_port: port,
        scheduler_connect_timeout_seconds: CONNECT_SECONDS,
        vcores: cores,
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        work_dir,
        memory_pool_size: (arguments.memory_bytes > 0).then_some(arguments.memory_bytes),
        executor_heartbeat_interval_seconds: HEARTBEAT_SECONDS,
        job_data_ttl_seconds: JOB_DATA_SECONDS,
        job_data_clean_up_interval_seconds: JOB_DATA_SECONDS / 6,
        grpc_max_decoding_message_size: MESSAGE_BYTES_MAX,
        grpc_max_encoding_message_size: MESSAGE_BYTES_MAX,
        override_function_registry: Some(Arc::new(functions())),
        override_config_producer: Some(Arc::new(session_config_with_s3_support)),
        override_runtime_producer: Some(Arc::new(runtime_env_with_s3_support)),
        ..ExecutorProcessConfig::default()
    };
    eprintln!("executor at {} with {cores} cores, for the scheduler at {}", arguments.listen, scheduler);
    start_executor_process(Arc::new(config)).await.map_err(|error| Failure::OutOfReach(format!("the executor ended: {error}")))
}

/// The functions that a client may plan with. An executor of Ballista 55.0 knows none of lists, which `timeline` needs.
fn functions() -> BallistaFunctionRegistry {
    let scalar_functions = ballista_scalar_functions().into_iter().map(|function| (function.name().to_owned(), function)).collect();
    BallistaFunctionRegistry { scalar_functions, ..BallistaFunctionRegistry::default() }
}

/// Listens there.
async fn listening(at: SocketAddr) -> Result<tokio::net::TcpListener, Failure> {
    tokio::net::TcpListener::bind(at).await.map_err(|error| Failure::OutOfReach(format!("{at} cannot be listened on: {error}")))
}

/// An address as it stands before a port.
fn written(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Host and port of `HOST:PORT`.
fn address(text: &str) -> Result<(String, u16), Failure> {
    let scheduler = crate::scheduler::Scheduler::at(text)?;
    let address = scheduler.url().trim_start_matches("http://").to_owned();
    let (host, port) = address.rsplit_once(':').unwrap_or((&address, "50050"));
    Ok((host.to_owned(), port.parse().map_err(|_| Failure::Usage(format!("{text:?} has no port")))?))
}

/// Waits for SIGTERM or ctrl-c.
async fn told_to_end() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    let terminated = async {
        match &mut terminate {
            Ok(signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
