//! `crucible ask`

use crate::{eval, output};
use crucible_evaluation::table::{Align, text_table};
use crucible_training::Error;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Ask a trained model a question about a picture
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  crucible ask runs/vqa-quick-late-seed0 --image my.png \"what color is the shape?\"")]
pub struct Args {
    /// Run directory
    run: PathBuf,

    /// Picture to ask about: PNG or JPEG
    #[arg(long, value_name = "FILE")]
    image: PathBuf,

    /// The question
    question: String,

    /// Backend [default: the run's own]
    #[arg(long, value_name = "NAME[:N]")]
    backend: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    answer: String,
    probability: f64,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let (recipe, record, run) = eval::reopen(&args.run, args.backend.as_deref())?;
    let answers: Vec<Answer> = recipe
        .ask(&record.config, &run, &args.image, &args.question)?
        .into_iter()
        .map(|(answer, probability)| Answer {
            answer,
            probability,
        })
        .collect();
    match json {
        true => output::print_json(&answers)?,
        false => output::print(&text(&answers))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The likeliest answers; `--json` has all of them.
fn text(answers: &[Answer]) -> String {
    const SHOWN: usize = 5;
    let rows: Vec<Vec<String>> = answers
        .iter()
        .take(SHOWN)
        .map(|answer| vec![answer.answer.clone(), output::percent(answer.probability)])
        .collect();
    text_table(
        &[("Answer", Align::Left), ("Probability", Align::Right)],
        &rows,
    )
}
