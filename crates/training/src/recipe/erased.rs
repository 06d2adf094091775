//! Recipes without their types, as the binary holds them.

use super::{Outcome, Preset, Probe, Recipe, Resolved, RunResult, Size};
use crate::{Among, Error, Match, Query, Run, config, memory, metrics, run_dir};
use std::path::Path;
use toml::Table;

/// A [`Recipe`] without its types. Implemented for every recipe; the binary holds
/// `const RECIPES: &[&dyn AnyRecipe]`.
pub trait AnyRecipe: Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;
    /// What it does, in a line.
    fn about(&self) -> &'static str;
    /// Its presets.
    fn presets(&self) -> &'static [Preset];
    /// The metric that its models are compared by.
    fn metric(&self) -> &'static str;
    /// Ways to spoil the input of a finished model.
    fn probes(&self) -> &'static [Probe];

    /// Resolves the configuration, see [`config::resolve`]; opens no data.
    ///
    /// # Errors
    ///
    /// Exit code 2: an unknown preset or key, a value that does not fit.
    fn resolve(
        &self,
        preset: &str,
        file: Option<&Path>,
        sets: &[String],
    ) -> Result<Resolved, Error>;

    /// Trains and writes `predictions.jsonl` and `result.json`. [`Run::start`] comes first.
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::train`] and of writing.
    fn train(&self, config: &Table, run: &Run) -> Result<Outcome, Error>;

    /// Evaluates a run, see [`Recipe::evaluate`]; writes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::evaluate`].
    fn evaluate(
        &self,
        config: &Table,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error>;

    /// How large the model is, see [`Recipe::size`].
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::size`].
    fn size(&self, config: &Table, run: &Run) -> Result<Size, Error>;

    /// Answers a question, see [`Recipe::ask`].
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::ask`].
    fn ask(
        &self,
        config: &Table,
        run: &Run,
        image: &Path,
        question: &str,
    ) -> Result<Vec<(String, f64)>, Error>;

    /// Embeds texts and images, see [`Recipe::embed`].
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::embed`].
    fn embed(&self, config: &Table, run: &Run, queries: &[Query]) -> Result<Vec<Vec<f32>>, Error>;

    /// Looks through a dataset, see [`Recipe::search`].
    ///
    /// # Errors
    ///
    /// Those of [`Recipe::search`].
    fn search(
        &self,
        config: &Table,
        run: &Run,
        query: &Query,
        among: Option<Among>,
        data: &str,
    ) -> Result<Vec<Match>, Error>;
}

impl<R: Recipe> AnyRecipe for R {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn about(&self) -> &'static str {
        R::ABOUT
    }

    fn presets(&self) -> &'static [Preset] {
        R::PRESETS
    }

    fn metric(&self) -> &'static str {
        R::METRIC
    }

    fn probes(&self) -> &'static [Probe] {
        R::PROBES
    }

    fn resolve(
        &self,
        preset: &str,
        file: Option<&Path>,
        sets: &[String],
    ) -> Result<Resolved, Error> {
        let names = || R::PRESETS.iter().map(|preset| preset.name);
        if !names().any(|name| name == preset) {
            return Err(Error::unknown("preset", preset, names()));
        }
        config::resolve(|choices| R::preset(preset, choices), file, sets)
    }

    fn train(&self, config: &Table, run: &Run) -> Result<Outcome, Error> {
        let outcome = R::train(&config::read(config)?, run)?;
        write_result(run, &outcome)?;
        Ok(outcome)
    }

    fn evaluate(
        &self,
        config: &Table,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error> {
        R::evaluate(&config::read(config)?, run, data, split)
    }

    fn size(&self, config: &Table, run: &Run) -> Result<Size, Error> {
        R::size(&config::read(config)?, run)
    }

    fn ask(
        &self,
        config: &Table,
        run: &Run,
        image: &Path,
        question: &str,
    ) -> Result<Vec<(String, f64)>, Error> {
        R::ask(&config::read(config)?, run, image, question)
    }

    fn embed(&self, config: &Table, run: &Run, queries: &[Query]) -> Result<Vec<Vec<f32>>, Error> {
        R::embed(&config::read(config)?, run, queries)
    }

    fn search(
        &self,
        config: &Table,
        run: &Run,
        query: &Query,
        among: Option<Among>,
        data: &str,
    ) -> Result<Vec<Match>, Error> {
        R::search(&config::read(config)?, run, query, among, data)
    }
}

/// The recipe called `name`.
///
/// # Errors
///
/// [`Error::UnknownName`] with the nearest.
pub fn find<'a>(recipes: &[&'a dyn AnyRecipe], name: &str) -> Result<&'a dyn AnyRecipe, Error> {
    let found = recipes.iter().find(|recipe| recipe.name() == name);
    found
        .copied()
        .ok_or_else(|| Error::unknown("recipe", name, recipes.iter().map(|recipe| recipe.name())))
}

/// Writes the predictions, then the result that sums them up: a run that has the one has the other.
fn write_result(run: &Run, outcome: &Outcome) -> Result<(), Error> {
    let record = run.record()?;
    metrics::finite(outcome.cost.steps, "test", &outcome.metrics)?;
    run.dir
        .write_json_lines(run_dir::PREDICTIONS, &outcome.predictions)?;
    if !outcome.figures.is_empty() {
        run.dir.write_json(run_dir::FIGURES, &outcome.figures)?;
    }
    run.dir.write_json(
        run_dir::RESULT,
        &RunResult {
            recipe: record.recipe,
            preset: record.preset,
            seed: record.seed,
            backend: record.backend,
            cost: outcome.cost,
            samples_per_second: outcome.cost.samples_per_second(),
            peak_rss_bytes: memory::peak(),
            data_digest: outcome.data_digest.clone(),
            predictions: outcome.predictions.len(),
            test: outcome.metrics.clone(),
        },
    )
}
