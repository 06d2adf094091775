//! `crucible eval`

use crate::{RECIPES, devices, output};
use burn::train::Interrupter;
use crucible_datasets::Split;
use crucible_training::tell;
use crucible_training::{AnyRecipe, Error, Run, RunDir, RunRecord, recipe, run};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Evaluate a trained model again, on its own data or on other data; writes nothing
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible eval runs/vqa-quick-late-seed0
  crucible eval runs/vqa-quick-late-seed0 --split valid
  crucible eval runs/vqa-quick-late-seed0 --data my/folder")]
pub struct Args {
    /// Run directory
    run: PathBuf,

    /// Dataset of the catalogue, or a file or folder [default: the run's own]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,

    /// Which part of the data: train, valid or test
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    split: String,

    /// Backend [default: the run's own]
    #[arg(long, value_name = "NAME[:N]")]
    backend: Option<String>,
}

#[derive(Serialize)]
struct Evaluated<'a> {
    run: &'a Path,
    recipe: &'a str,
    data: &'a str,
    data_digest: &'a str,
    split: &'a str,
    /// How many items the metrics are means of.
    items: usize,
    metrics: &'a BTreeMap<String, f64>,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let (recipe, record, run) = reopen(&args.run, args.backend.as_deref())?;
    if !Split::ALL.iter().any(|split| split.name() == args.split) {
        return Err(Error::unknown(
            "split",
            &args.split,
            Split::ALL.map(Split::name),
        ));
    }
    let own = crate::options::data_name(&record.config, &record.data);
    let data = args.data.as_deref().unwrap_or(own);
    let outcome = recipe.evaluate(&record.config, &run, data, &args.split)?;
    let measured = outcome.metrics.values().all(|value| value.is_finite());
    if !measured || outcome.metrics.is_empty() {
        let split = &args.split;
        let reason = "holds nothing that this model could be measured on";
        return Err(Error::Usage(format!(
            "the {split} split of {data} {reason}"
        )));
    }
    if data == own && outcome.data_digest != record.data_digest {
        tell!("note: {data} has changed since this model was trained");
    }
    let evaluated = Evaluated {
        run: &args.run,
        recipe: recipe.name(),
        data,
        data_digest: &outcome.data_digest,
        split: &args.split,
        items: outcome.predictions.len(),
        metrics: &outcome.metrics,
    };
    match json {
        true => output::print_json(&evaluated)?,
        false => output::print(&text(&evaluated))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A trained run, ready to be used.
///
/// # Errors
///
/// When there is no run at `path`, or its backend cannot be had.
pub fn reopen(
    path: &Path,
    backend: Option<&str>,
) -> Result<(&'static dyn AnyRecipe, RunRecord, Run), Error> {
    let record = run::open(path)?;
    let recipe = recipe::find(RECIPES, &record.recipe)?;
    let backend = devices::reopen(backend, &record.backend)?;
    let run = Run {
        dir: RunDir::new(path),
        seed: record.seed,
        device: backend.open()?,
        others: Vec::new(),
        memory: None,
        backend: backend.name,
        interrupter: Interrupter::new(),
        resume: false,
        init: None,
        data: record.data.clone(),
        tuning: false,
        quiet: false,
        profile: false,
        tensorboard: false,
    };
    Ok((recipe, record, run))
}

fn text(evaluated: &Evaluated) -> String {
    let items = match evaluated.items {
        0 => String::new(),
        items => format!(": {} items", output::count(items)),
    };
    let mut text = format!("{}, {} split{items}\n", evaluated.data, evaluated.split);
    for (name, value) in evaluated.metrics {
        text += &match name.as_str() {
            "accuracy" => format!("accuracy  {}\n", output::percent(*value)),
            name => format!("{name:<8}  {value:.4}\n"),
        };
    }
    text
}
