//! `keytrail`: the audit and anomaly-detection pipeline for machine identities. This file is the table of contents: what was typed
//! (`cli`), what it means (`config`), and which command runs.

mod cli;
mod clock;
mod command;
mod config;
mod copies;
mod evaluate;
mod exit;
mod home;
mod keyring;
mod output;
mod picture;
mod pipeline;
mod place;
mod role;
mod seal;
mod server;
mod shown;
mod table;
mod telemetry;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let typed = cli::Cli::parse();
    let code = run(typed).unwrap_or_else(|error| {
        eprintln!("keytrail: {}", exit::message(&error));
        exit::code_of(&error)
    });
    exit::leave(code)
}

fn run(typed: cli::Cli) -> anyhow::Result<exit::Code> {
    use cli::Command as C;
    let config = config::Config::load(&typed)?;
    let telemetry = telemetry::Telemetry::start(&config)?;
    let output = output::Writer::new(&typed.global);
    let code = match typed.command {
        C::Demo(arguments) => command::demo::run(&config, &telemetry, &output, &arguments),
        C::Ingest(arguments) => command::ingest::run(&config, &telemetry, &output, &arguments),
        C::Run(arguments) => command::run::run(&config, &telemetry, &arguments),
        C::Collect(arguments) => role::collect::run(&config, &telemetry, &arguments),
        C::Detect(arguments) => role::detect::run(&config, &telemetry, &arguments),
        C::Store(arguments) => role::store::run(&config, &telemetry, &arguments),
        C::Forward(arguments) => role::forward::run(&config, &telemetry, &arguments),
        C::Topics(arguments) => command::topics::run(&config, &output, &arguments),
        C::Touched(arguments) => command::question::touched(&config, &output, &arguments),
        C::Timeline(arguments) => command::question::timeline(&config, &output, &arguments),
        C::WhoTouched(arguments) => command::question::who_touched(&config, &output, &arguments),
        C::Lineage(arguments) => command::question::lineage(&config, &output, &arguments),
        C::BlastRadius(arguments) => command::question::blast_radius(&config, &output, &arguments),
        C::Compare(arguments) => command::question::compare(&config, &output, &arguments),
        C::Candidates(arguments) => command::question::candidates(&config, &output, &arguments),
        C::Sessions(arguments) => command::question::sessions(&config, &output, &arguments),
        C::Posture => command::question::posture(&config, &output),
        C::Credentials(arguments) => command::question::credentials(&config, &output, &arguments),
        C::Identities(arguments) => command::question::identities(&config, &output, &arguments),
        C::Findings(arguments) => command::question::findings(&config, &output, &arguments),
        C::Detections(arguments) => command::question::detections(&config, &output, &arguments),
        C::Coverage(arguments) => command::question::coverage(&config, &output, &arguments),
        C::Explain(arguments) => command::question::explain(&config, &output, &arguments),
        C::Sql(arguments) => command::question::sql(&config, &output, &arguments),
        C::Assert(arguments) => command::assert::run(&config, &output, &arguments),
        C::Serve(arguments) => command::serve::run(&config, &arguments),
        C::Mcp => command::serve::mcp(&config),
        C::Tokens(arguments) => command::tokens::run(&config, &output, &arguments),
        C::Rules(arguments) => command::rules::run(&config, &output, &arguments),
        C::DeadLetters(arguments) => command::dead_letters::run(&config, &telemetry, &output, &arguments),
        C::Keys(arguments) => command::keys::run(&config, &output, &arguments),
        C::Evaluate(arguments) => command::evaluate::run(&config, &output, &arguments),
        C::Redact(arguments) => command::redact::run(&config, &output, &arguments),
        C::Compact(arguments) => command::compact::run(&config, &arguments),
        C::Views(arguments) => command::views::run(&config, &arguments),
        C::Rebuild(arguments) => command::rebuild::run(&config, &telemetry, &arguments),
        C::Config => command::config::run(&config),
        C::Doctor => command::doctor::run(&config),
        C::Completions(arguments) => command::completion::shell(&arguments),
        C::Man(arguments) => command::completion::man(&arguments),
    };
    telemetry.stop();
    code
}
