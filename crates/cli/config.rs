//! `crucible config`

use crate::options::Choice;
use crate::output;
use crucible_training::Error;
use std::process::ExitCode;

/// Print the whole configuration of a recipe as TOML, every key with its explanation
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible config vqa                                  the preset `quick`
  crucible config vqa --preset full --set fusion=mid   another preset, another strategy
  crucible config vqa > my.toml                        a file to edit for `train --config my.toml`")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let resolved = args.choice.resolve(&[])?;
    match json {
        true => output::print_json(&resolved.table)?,
        false => output::print(&resolved.commented)?,
    }
    Ok(ExitCode::SUCCESS)
}
