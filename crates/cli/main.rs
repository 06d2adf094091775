//! The `crucible` command: arguments in, one call into the libraries, a result or an error out.

mod ask;
mod backends;
mod chat;
mod compare;
mod config;
mod data;
mod devices;
mod embed;
mod eval;
mod export;
mod generate;
mod options;
mod output;
mod painted;
mod recipes;
mod report;
mod repro;
mod samples;
mod search;
mod session;
mod speaking;
mod strategies;
mod train;

use clap::{Parser, Subcommand};
use crucible_downstream::{Captioning, Classification, Vqa};
use crucible_instruction::{Text, Visual};
use crucible_kernels::{Allocator, keep_freed_memory};
use crucible_pretraining::{Contrastive, Mlm, Mvm, Rotation, Vlp};
use crucible_prompting::{Fused, Text as PromptedText, Vision};
use crucible_training::tell;
use crucible_training::{AnyRecipe, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A step allocates and frees some thousand tensors of megabytes, for which glibc asks the system each time.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Every recipe. A new one needs its name here and nothing else in this crate.
const RECIPES: &[&dyn AnyRecipe] = &[
    &Vqa,
    &Classification,
    &Captioning,
    &Contrastive,
    &Mlm,
    &Mvm,
    &Rotation,
    &Vlp,
    &Text,
    &Visual,
    &PromptedText,
    &Vision,
    &Fused,
];

/// Train, compare and question multimodal models.
#[derive(Parser)]
#[command(version, after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print the result as one JSON document; logs and progress go to stderr in any case
    #[arg(long, global = true)]
    json: bool,
}

const FIRST_STEPS: &str = "\
First steps:
  crucible train vqa                                        train on the embedded data, then test
  crucible ask runs/vqa-quick-late-seed0 --image my.png \"what color is the shape?\"
  crucible compare vqa --vary fusion=early,mid,late         which fusion is better?

Exit codes: 0 done, 1 failed, 2 wrong usage, configuration or data, 130 interrupted with the state saved";

#[derive(Subcommand)]
enum Command {
    Recipes(recipes::Args),
    Strategies(strategies::Args),
    Config(config::Args),
    Train(train::Args),
    Eval(eval::Args),
    Export(export::Args),
    Compare(compare::Args),
    Repro(repro::Args),
    Ask(ask::Args),
    Chat(chat::Args),
    Generate(generate::Args),
    Search(search::Args),
    Embed(embed::Args),
    Data(data::Args),
    Backends(backends::Args),
}

fn run(Cli { command, json }: Cli) -> Result<ExitCode, Error> {
    if let Err(value) = crucible_kernels::switch() {
        return Err(Error::Usage(format!(
            "CRUCIBLE_KERNELS is `{value}` in the environment; it can be `fused` or `composed`"
        )));
    }
    match command {
        Command::Recipes(args) => recipes::run(&args, json),
        Command::Strategies(args) => strategies::run(&args, json),
        Command::Config(args) => config::run(&args, json),
        Command::Train(args) => train::run(&args, json),
        Command::Eval(args) => eval::run(&args, json),
        Command::Export(args) => export::run(&args),
        Command::Compare(args) => compare::run(&args, json),
        Command::Repro(args) => repro::run(&args, json),
        Command::Ask(args) => ask::run(&args, json),
        Command::Chat(args) => chat::run(&args, json),
        Command::Generate(args) => generate::run(&args, json),
        Command::Search(args) => search::run(&args, json),
        Command::Embed(args) => embed::run(&args),
        Command::Data(args) => data::run(&args, json),
        Command::Backends(args) => backends::run(&args, json),
    }
}

fn main() -> ExitCode {
    keep_freed_memory();
    let cli = Cli::parse();
    // Burn reports what a device cannot do, such as an allocation, as a panic. Its message is already
    // printed when it arrives here; what is left is to leave with the exit code of a failure.
    match catch_unwind(AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            tell!("error: {error}");
            output::exit_code(&error)
        }
        Err(_) => ExitCode::FAILURE,
    }
}
