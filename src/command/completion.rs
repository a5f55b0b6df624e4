//! Shell completions and man pages, generated from the command line's own definition.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions, Man};
use crate::exit::Code;

/// Prints the completion script of a shell.
pub fn shell(arguments: &Completions) -> anyhow::Result<Code> {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "keytrail", &mut std::io::stdout());
    Ok(Code::Done)
}

/// Writes a man page per command.
pub fn man(arguments: &Man) -> anyhow::Result<Code> {
    std::fs::create_dir_all(&arguments.folder)?;
    clap_mangen::generate_to(Cli::command(), &arguments.folder)?;
    Ok(Code::Done)
}
