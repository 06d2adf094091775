//! `crucible search`

use crate::options::data_name;
use crate::{eval, output};
use crucible_evaluation::table::{Align, text_table};
use crucible_training::{Among, Error, Match, Query};
use std::path::PathBuf;
use std::process::ExitCode;

/// Find the images of a folder or dataset that a text describes, or what is most like an image
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible search runs/contrastive-quick-seed0 \"a red circle\"
  crucible search runs/contrastive-quick-seed0 \"a smiling face\" --data my/pictures --top 20
  crucible search runs/contrastive-quick-seed0 --image my.png                 which caption fits?
  crucible search runs/contrastive-quick-seed0 --image my.png --among images  which images are like it?")]
pub struct Args {
    /// Run directory of a model that compares images with texts
    run: PathBuf,

    /// What to look for
    #[arg(required_unless_present = "image")]
    text: Option<String>,

    /// An image to look for: PNG or JPEG
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    image: Option<PathBuf>,

    /// Where to look: dataset of the catalogue, or a file or folder [default: the run's own data]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,

    /// Look through images or texts [default: a text finds images, an image finds texts where there are any]
    #[arg(long)]
    among: Option<Kind>,

    /// How many to print, the best first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,

    /// Backend [default: the run's own]
    #[arg(long, value_name = "NAME[:N]")]
    backend: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Images,
    Texts,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let (recipe, record, run) = eval::reopen(&args.run, args.backend.as_deref())?;
    let query = match (&args.image, &args.text) {
        (Some(image), _) => Query::Image(image.clone()),
        (None, text) => Query::Text(text.clone().unwrap_or_default()),
    };
    let among = args.among.map(|kind| match kind {
        Kind::Images => Among::Images,
        Kind::Texts => Among::Texts,
    });
    let own = data_name(&record.config, &record.data);
    let data = args.data.as_deref().unwrap_or(own);
    let mut found = recipe.search(&record.config, &run, &query, among, data)?;
    found.truncate(args.top as usize);
    match json {
        true => output::print_json(&found)?,
        false => output::print(&text(&found))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(found: &[Match]) -> String {
    let row = |found: &Match| {
        let similarity = format!("{:.3}", found.similarity);
        vec![found.image.clone(), similarity, found.caption.clone()]
    };
    let columns = [
        ("Image", Align::Left),
        ("Similarity", Align::Right),
        ("Caption", Align::Left),
    ];
    text_table(&columns, &found.iter().map(row).collect::<Vec<_>>())
}
