//! `crucible export`

use crate::eval;
use crucible_training::{Error, Recipe, tell};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the language model of a run as a Hugging Face folder, adapters merged, or its prompt as one of `peft`
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  crucible export runs/instruction-text-quick-seed0 my-model
  python -c 'from transformers import AutoModelForCausalLM; AutoModelForCausalLM.from_pretrained(\"my-model\")'
  crucible export runs/prompting-text-quick-seed0 my-prompt

The folder holds config.json, model.safetensors, tokenizer.json and the chat template: other tools read it, and so do
`crucible chat` and `--set language.weights=my-model`. Image tower and connector stay with the run.

A prompt is kilobytes: adapter_config.json and adapter_model.safetensors, which peft.PeftModel.from_pretrained reads in front
of the same weights, and so does `--set prefix=adapter --set prefix.path=my-prompt`.")]
pub struct Args {
    /// Run of `instruction-text`, `instruction-visual` or `prompting-text`
    run: PathBuf,

    /// The folder to write, which must not be there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Backend [default: the run's own]
    #[arg(long, value_name = "NAME[:N]")]
    backend: Option<String>,
}

pub fn run(args: &Args) -> Result<ExitCode, Error> {
    let (recipe, record, run) = eval::reopen(&args.run, args.backend.as_deref())?;
    match recipe.name() {
        crucible_prompting::Text::NAME => {
            crucible_prompting::export(&record.config, &run, &args.folder)?;
        }
        other => crucible_instruction::export(other, &record.config, &run, &args.folder)?,
    }
    tell!("wrote {}", args.folder.display());
    Ok(ExitCode::SUCCESS)
}
