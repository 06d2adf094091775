//! `crucible embed`

use crate::{eval, output};
use crucible_training::{Error, Query};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the vectors of texts and images as JSON, each of length one
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible embed runs/contrastive-quick-seed0 --text \"a red circle\" --text \"a blue circle\"
  crucible embed runs/contrastive-quick-seed0 --image my.png > vectors.json")]
pub struct Args {
    /// Run directory of a model that compares images with texts
    run: PathBuf,

    /// A text; may be given several times
    #[arg(long, value_name = "TEXT", required_unless_present = "image")]
    text: Vec<String>,

    /// An image file, PNG or JPEG; may be given several times
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,

    /// Backend [default: the run's own]
    #[arg(long, value_name = "NAME[:N]")]
    backend: Option<String>,
}

#[derive(Serialize)]
struct Embedded {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<PathBuf>,
    embedding: Vec<f32>,
}

pub fn run(args: &Args) -> Result<ExitCode, Error> {
    let (recipe, record, run) = eval::reopen(&args.run, args.backend.as_deref())?;
    let texts = args.text.iter().cloned().map(Query::Text);
    let images = args.image.iter().cloned().map(Query::Image);
    let queries: Vec<Query> = texts.chain(images).collect();
    let vectors = recipe.embed(&record.config, &run, &queries)?;
    let embedded = queries.into_iter().zip(vectors).map(|(query, embedding)| {
        let (text, image) = match query {
            Query::Text(text) => (Some(text), None),
            Query::Image(path) => (None, Some(path)),
        };
        Embedded {
            text,
            image,
            embedding,
        }
    });
    output::print_json(&embedded.collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}
