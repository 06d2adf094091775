//! `crucible eval`

use crate::{RECIPES, devices, output};
use burn::train::Interrupter;
use crucible_datasets::Split;
use crucible_instruction::evaluate;
use crucible_shared::instruction::ScoreConfig;
use crucible_shared::located;
use crucible_training::tell;
use crucible_training::{
    AnyRecipe, Error, Outcome, Prediction, Run, RunDir, RunRecord, recipe, run, run_dir,
};
use crucible_weights::files::holds_weights;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use toml::Value;

/// Evaluate a trained model again, on its own data or on other data, or published weights
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible eval runs/vqa-quick-late-seed0
  crucible eval runs/vqa-quick-late-seed0 --split valid
  crucible eval runs/vqa-quick-late-seed0 --data my/folder --predictions answers.jsonl
  crucible eval smollm2.gguf --data word-instructions --shots 4")]
pub struct Args {
    /// Run directory, or published weights of a language model: a Hugging Face folder, a GGUF file, or `hf:org/name` in a
    /// binary with the feature `hub`
    #[arg(value_name = "RUN|WEIGHTS")]
    run: PathBuf,

    /// Dataset of the catalogue, or a file or folder [default: the run's own]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,

    /// Which part of the data: train, valid or test
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    split: String,

    /// Solved examples of the training split before each question, of models that converse [default: the run's own]
    #[arg(long, value_name = "K")]
    shots: Option<usize>,

    /// Only so many questions, evenly spread, of models that converse; 0 for all [default: the run's own]
    #[arg(long, value_name = "N")]
    most: Option<usize>,

    /// Write what was answered to each item there, as the `predictions.jsonl` of a run; nothing is written otherwise
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,

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
    if !Split::ALL.iter().any(|split| split.name() == args.split) {
        return Err(Error::unknown(
            "split",
            &args.split,
            Split::ALL.map(Split::name),
        ));
    }
    let (name, data, outcome) = match args.weights()? {
        Some(path) => args.published(&path)?,
        None => args.trained()?,
    };
    let measured = outcome.metrics.values().all(|value| value.is_finite());
    if !measured || outcome.metrics.is_empty() {
        let split = &args.split;
        let reason = "holds nothing that this model could be measured on";
        return Err(Error::Usage(format!(
            "the {split} split of {data} {reason}"
        )));
    }
    if let Some(file) = &args.predictions {
        write(file, &outcome.predictions)?;
    }
    let evaluated = Evaluated {
        run: &args.run,
        recipe: &name,
        data: &data,
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

/// Writes predictions, all or none.
fn write(file: &Path, predictions: &[Prediction]) -> Result<(), Error> {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
        let file = file.display();
        return Err(Error::Usage(format!("--predictions: {file} names no file")));
    };
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    RunDir::new(parent.unwrap_or(Path::new("."))).write_json_lines(name, predictions)
}

impl Args {
    /// Where the published weights are that are evaluated; none if it is a run.
    fn weights(&self) -> Result<Option<PathBuf>, Error> {
        if self.run.join(run_dir::RUN).exists() {
            return Ok(None);
        }
        let path = located(&self.run.to_string_lossy())?;
        Ok(Some(path).filter(|path| holds_weights(path)))
    }

    /// What a run is called, on which data it was measured, and what it came to.
    fn trained(&self) -> Result<(String, String, Outcome), Error> {
        let (recipe, mut record, run) = reopen(&self.run, self.backend.as_deref())?;
        for (key, value) in [("shots", self.shots), ("most", self.most)] {
            let Some(value) = value else { continue };
            let score = record.config.get_mut("score").and_then(Value::as_table_mut);
            let Some(score) = score.filter(|score| score.contains_key(key)) else {
                let name = recipe.name();
                let reason = format!("--{key}: a model of the recipe `{name}` does not converse");
                return Err(Error::Usage(reason));
            };
            score.insert(
                key.into(),
                Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)),
            );
        }
        let own = crate::options::data_name(&record.config, &record.data);
        let data = self.data.as_deref().unwrap_or(own);
        let outcome = recipe.evaluate(&record.config, &run, data, &self.split)?;
        if data == own && outcome.data_digest != record.data_digest {
            tell!("note: {data} has changed since this model was trained");
        }
        Ok((recipe.name().into(), data.into(), outcome))
    }

    /// The same of published weights.
    fn published(&self, path: &Path) -> Result<(String, String, Outcome), Error> {
        let Some(data) = self.data.as_deref() else {
            return Err(Error::Usage(
                "published weights have no data of their own; name some with --data".into(),
            ));
        };
        let device = devices::reopen(self.backend.as_deref(), devices::DEFAULT)?.open()?;
        let score = ScoreConfig {
            most: self.most.unwrap_or(0),
            shots: self.shots.unwrap_or(0),
            ..ScoreConfig::short(NEW_TOKENS)
        };
        let outcome = evaluate(path, &device, data, &self.split, &score)?;
        Ok(("published weights".into(), data.into(), outcome))
    }
}

/// Most tokens of an answer of published weights.
const NEW_TOKENS: usize = 32;

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
