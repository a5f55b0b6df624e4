//! `keytrail-ballista`: keytrail's questions on a Ballista cluster, over one lake. A client that plans and prints, and the two roles of a cluster. This file is the
//! table of contents; docs/lake.md says how it is used, docs/decisions/0152 why it is as it is.

mod cli;
mod client;
mod cluster;
mod failure;
mod output;
mod place;
mod scheduler;
mod slots;
mod watch;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Plans are deep, and what walks through them is recursive.
const STACK_BYTES: usize = 16 << 20;

fn main() -> std::process::ExitCode {
    let typed = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(typed)),
        Err(error) => Err(Failure::Other(error.into())),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keytrail-ballista: {failure}");
            failure.code()
        }
    }
}

async fn run(typed: Cli) -> Result<(), Failure> {
    cluster::log_to_standard_error(matches!(typed.command, Command::Scheduler(_) | Command::Executor(_)));
    match typed.command {
        Command::Scheduler(arguments) => cluster::scheduler(arguments).await,
        Command::Executor(arguments) => cluster::executor(arguments, &typed.asking.scheduler).await,
        Command::Touched(of) => client::question("touched", Some(("identity", &of.identity)), &of.window, &typed.asking).await,
        Command::WhoTouched(of) => client::question("who_touched", Some(("destination", &of.destination)), &of.window, &typed.asking).await,
        Command::Timeline(of) => client::question("timeline", Some(("identity", &of.identity)), &of.window, &typed.asking).await,
        Command::Posture => client::question("posture", None, &cli::Window::default(), &typed.asking).await,
        Command::Sql(arguments) => client::sql(&arguments.statement, &typed.asking).await,
    }
}
