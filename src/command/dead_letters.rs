//! `keytrail dead-letters`: what could not be read, and why.

use crate::cli::{DeadLetterAction, DeadLetters};
use crate::config::Config;
use crate::exit::Code;
use crate::output::Writer;

use super::question;

/// Lists dead letters, newest first.
pub fn run(config: &Config, output: &Writer, arguments: &DeadLetters) -> anyhow::Result<Code> {
    let DeadLetterAction::List { window } = &arguments.action;
    question::dead_letters(config, output, window)
}
