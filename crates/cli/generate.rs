//! `crucible generate`

use crate::output;
use crate::speaking::Speaking;
use crucible_datasets::ImageSource;
use crucible_datasets::instruction::{IMAGE, Role, Turn, typed};
use crucible_shared::instruction::Asked;
use crucible_training::Error;
use crucible_transformer::{Finish, Stop};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Answer prompts, for scripts
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible generate smollm2.gguf --prompt \"What is the capital of France?\"
  crucible generate smollm2.gguf --raw --prompt \"Once upon a time\" --temperature 0.8 --seed 1
  crucible generate runs/instruction-visual-quick-seed0 --image my.png --prompt \"What color is the shape?\"
  crucible --json generate smollm2.gguf --prompt Hello --prompt Goodbye")]
pub struct Args {
    #[command(flatten)]
    speaking: Speaking,

    /// What is asked; several are answered together, each for itself
    #[arg(long, value_name = "TEXT", required = true)]
    prompt: Vec<String>,

    /// Picture that each prompt is about, PNG or JPEG; repeat it for more
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,

    /// What holds for the whole conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// Go on from the prompts as they are, without a chat template
    #[arg(long, conflicts_with_all = ["image", "system"])]
    raw: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    prompt: &'a str,
    text: String,
    tokens: usize,
    /// What ended it: length, stop or interrupted.
    finish: &'static str,
    /// Of all prompts together.
    seconds: f64,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let config = args.speaking.generation()?;
    let model = args.speaking.open()?;
    let alone = args.prompt.len() == 1 && !json;
    let start = Instant::now();
    let mut failed = None;
    let mut on_text = |_: usize, text: &str| match alone.then(|| output::print(text)) {
        Some(Err(error)) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    let generated = match args.raw {
        true => model.go_on(&args.prompt, &config, &mut on_text),
        false => {
            let asked = args.prompt.iter().map(|prompt| args.asked(prompt));
            model.answer(&asked.collect::<Vec<_>>(), &config, &mut on_text)
        }
    }?;
    if let Some(error) = failed {
        return Err(error);
    }
    let seconds = start.elapsed().as_secs_f64();
    let pairs = args.prompt.iter().zip(generated);
    let answers = pairs.map(|(prompt, generated)| Answer {
        prompt,
        tokens: generated.tokens.len(),
        finish: match generated.finish {
            Finish::Length => "length",
            Finish::Stop(Stop::Token(_) | Stop::Text(_)) => "stop",
            Finish::Interrupted => "interrupted",
        },
        text: generated.text,
        seconds,
    });
    let answers: Vec<Answer<'_>> = answers.collect();
    match (json, alone) {
        (true, _) => output::print_json(&answers)?,
        (false, true) => output::print("\n")?,
        (false, false) => {
            for answer in &answers {
                output::print(&format!("> {}\n{}\n\n", answer.prompt, answer.text))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn asked(&self, prompt: &str) -> Asked {
        let turn = |role, text| Turn { role, text };
        let marks = format!("{IMAGE}\n").repeat(self.image.len());
        let system = self
            .system
            .iter()
            .map(|text| turn(Role::System, typed(text)));
        let user = turn(Role::User, format!("{marks}{}", typed(prompt)));
        Asked {
            turns: system.chain([user]).collect(),
            images: self.image.iter().cloned().map(ImageSource::File).collect(),
        }
    }
}
