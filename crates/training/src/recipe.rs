//! What a recipe is, and the form in which the binary holds many of them.

mod erased;

use crate::{Among, Cost, Error, Match, Query, Run};
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::report::Figure;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Table;

pub use erased::{AnyRecipe, find};

/// A named starting point of a recipe's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Preset {
    /// `smoke`, `quick`, `full`, ...
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// Time to expect, and on what.
    pub time: &'static str,
    /// Score to expect.
    pub score: &'static str,
}

impl Preset {
    /// One whose time and score nobody has measured.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            time: "not measured",
            score: "not measured",
        }
    }
}

/// One way to spoil the input of a finished model: the key to set, for an evaluation alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// What is done, such as `image noise`; those of one name make a curve.
    pub name: &'static str,
    /// How strongly; 1 for what is done or not.
    pub level: f64,
    /// The key of the configuration.
    pub key: &'static str,
    /// Its value, as TOML or as a bare word.
    pub value: &'static str,
}

impl Probe {
    /// That key set to that value.
    pub const fn new(
        name: &'static str,
        level: f64,
        key: &'static str,
        value: &'static str,
    ) -> Self {
        Self {
            name,
            level,
            key,
            value,
        }
    }
}

/// How large a model is, told without training it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Its parameters.
    pub parameters: usize,
    /// Floating-point operations of the forward pass of one item; see [`Cost::flops`].
    pub flops: f64,
}

/// What a training or an evaluation came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Test metrics: `accuracy`, `loss`, ...
    pub metrics: BTreeMap<String, f64>,
    /// One row per test item.
    pub predictions: Vec<Prediction>,
    /// What to show of them beside numbers.
    pub figures: Vec<Figure>,
    /// What the training took; of an evaluation, the parameters alone.
    pub cost: Cost,
    /// SHA-256 of the data.
    pub data_digest: String,
}

impl Outcome {
    /// The same of a model that has just been trained at that cost.
    pub fn after(self, cost: Cost) -> Self {
        let flops = self.cost.flops;
        Self {
            cost: Cost { flops, ..cost },
            ..self
        }
    }
}

/// `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Name of the recipe.
    pub recipe: String,
    /// Preset the configuration started from.
    pub preset: String,
    /// Seed of the run.
    pub seed: u64,
    /// Backend it ran on.
    pub backend: String,
    /// What the training took.
    #[serde(flatten)]
    pub cost: Cost,
    /// Samples of a second of training; `null` when there was none.
    pub samples_per_second: Option<f64>,
    /// Most memory the process held since its data was read; `null` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// SHA-256 of the data.
    pub data_digest: String,
    /// Rows of `predictions.jsonl`, which these metrics were computed from.
    pub predictions: usize,
    /// Test metrics.
    pub test: BTreeMap<String, f64>,
}

/// A configuration after presets, file and `--set`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Every key with its value.
    pub table: Table,
    /// The same as TOML with the doc comment of every key; parses back to `table`.
    pub commented: String,
}

/// A recipe: one file that reads top to bottom, from configuration to score.
pub trait Recipe: Sync {
    /// The name on the command line.
    const NAME: &'static str;
    /// What it does, in a line.
    const ABOUT: &'static str;
    /// Its presets; `smoke`, `quick` and `full` at least.
    const PRESETS: &'static [Preset];
    /// The metric that its models are compared by; the loss where a run does not have it.
    const METRIC: &'static str = "accuracy";
    /// Ways to spoil the input of a finished model.
    const PROBES: &'static [Probe] = &[];
    /// Its whole configuration. Every field has a doc comment and none is an `Option`.
    type Config: Serialize + DeserializeOwned + JsonSchema;

    /// The configuration of `preset`, which is one of [`PRESETS`](Self::PRESETS). `choices` is what the
    /// user asked for, merged but unchecked; see [`config::choice`].
    fn preset(preset: &str, choices: &Table) -> Self::Config;

    /// Trains, then evaluates on the test split.
    ///
    /// # Errors
    ///
    /// Those of [`fit`](crate::fit()) and of the data.
    fn train(config: &Self::Config, run: &Run) -> Result<Outcome, Error>;

    /// Evaluates the newest checkpoint of a run on `split` of `data` (empty: the run's own data).
    ///
    /// # Errors
    ///
    /// Those of the checkpoint and of the data.
    fn evaluate(
        config: &Self::Config,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error>;

    /// How large the model of a configuration is; reads data, but not its test split.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in a recipe that cannot tell, and those of the data.
    fn size(_config: &Self::Config, _run: &Run) -> Result<Size, Error> {
        Err(Error::Usage(format!(
            "the recipe `{}` does not tell the size of a model before it is trained; `--match time` needs none",
            Self::NAME
        )))
    }

    /// Answers a question about an image: the likeliest answers with their probabilities, best first.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in a recipe whose model answers no questions.
    fn ask(
        _config: &Self::Config,
        _run: &Run,
        _image: &Path,
        _question: &str,
    ) -> Result<Vec<(String, f64)>, Error> {
        Err(Error::Usage(format!(
            "a model of the recipe `{}` cannot answer questions",
            Self::NAME
        )))
    }

    /// A vector of length one for each text and image, in the space where they are compared.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in a recipe whose model has no such space.
    fn embed(
        _config: &Self::Config,
        _run: &Run,
        _queries: &[Query],
    ) -> Result<Vec<Vec<f32>>, Error> {
        Err(no_space(Self::NAME))
    }

    /// The images or captions of `data`, the most similar first; see [`Query`] and [`Among`].
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in a recipe whose model has no such space, and those of the data.
    fn search(
        _config: &Self::Config,
        _run: &Run,
        _query: &Query,
        _among: Option<Among>,
        _data: &str,
    ) -> Result<Vec<Match>, Error> {
        Err(no_space(Self::NAME))
    }
}

fn no_space(recipe: &str) -> Error {
    Error::Usage(format!(
        "a model of the recipe `{recipe}` has no vectors that compare images with texts; `contrastive` and `vlp` make \
         such models"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, run_dir};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Config {
        /// How many.
        steps: usize,
    }

    struct Points;

    impl Recipe for Points {
        const NAME: &'static str = "points";
        const ABOUT: &'static str = "Tells points apart";
        const PRESETS: &'static [Preset] = &[
            Preset {
                name: "smoke",
                about: "tests",
                time: "1 s",
                score: "none",
            },
            Preset {
                name: "quick",
                about: "laptops",
                time: "4 min",
                score: "0.99",
            },
        ];
        type Config = Config;

        fn preset(preset: &str, _: &Table) -> Config {
            Config {
                steps: if preset == "smoke" { 2 } else { 400 },
            }
        }

        fn train(config: &Config, run: &Run) -> Result<Outcome, Error> {
            <Self as Recipe>::evaluate(config, run, "", "test")
        }

        fn evaluate(config: &Config, _: &Run, _: &str, _: &str) -> Result<Outcome, Error> {
            let row = |id: &str, prediction: &str| Prediction {
                id: id.into(),
                target: "red".into(),
                prediction: prediction.into(),
                score: 0.5,
                ..Prediction::default()
            };
            Ok(Outcome {
                metrics: BTreeMap::from([("accuracy".to_string(), 0.5)]),
                predictions: vec![row("0", "red"), row("1", "blue")],
                cost: Cost {
                    parameters: 7,
                    steps: config.steps,
                    samples: 30,
                    seconds: 1.5,
                    flops: 9.0,
                },
                data_digest: "aa".into(),
                ..Outcome::default()
            })
        }
    }

    const RECIPES: &[&dyn AnyRecipe] = &[&Points];

    #[test]
    fn names_are_found_or_suggested() {
        assert_eq!(find(RECIPES, "points").unwrap().presets().len(), 2);
        let error = find(RECIPES, "point").err().unwrap();
        assert_eq!(
            error.to_string(),
            "unknown recipe `point`; did you mean `points`? (valid: points)"
        );
        assert_eq!(error.exit_code(), 2);
        let error = Points.resolve("smok", None, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown preset `smok`; did you mean `smoke`? (valid: smoke, quick)"
        );
    }

    #[test]
    fn each_preset_has_its_own_values() {
        for (preset, steps) in [("smoke", 2), ("quick", 400)] {
            let resolved = Points.resolve(preset, None, &[]).unwrap();
            assert_eq!(resolved.table["steps"].as_integer(), Some(steps));
        }
    }

    #[test]
    fn the_result_and_the_predictions_of_a_training_agree() {
        let folder = tempfile::tempdir().unwrap();
        let run = fixture::run(folder.path(), false);
        let resolved = Points
            .resolve("smoke", None, &["steps=3".to_string()])
            .unwrap();
        let outcome = AnyRecipe::train(&Points, &resolved.table, &run).unwrap();
        assert!(run.dir.is_finished());
        let rows: Vec<Prediction> = run.dir.read_json_lines(run_dir::PREDICTIONS).unwrap();
        assert_eq!(rows, outcome.predictions);
        let result: RunResult = run.dir.read_json(run_dir::RESULT).unwrap();
        assert_eq!((result.predictions, result.cost), (2, outcome.cost));
        assert_eq!(result.samples_per_second, Some(20.0));
        assert_eq!((result.test, result.seed), (outcome.metrics, run.seed));
        assert_eq!(
            (
                result.recipe.as_str(),
                result.preset.as_str(),
                result.backend.as_str()
            ),
            ("points", "smoke", "flex")
        );
        if cfg!(target_os = "linux") {
            assert!(result.peak_rss_bytes.unwrap() > 1 << 20);
        }
    }

    #[test]
    fn most_recipes_answer_no_questions() {
        let folder = tempfile::tempdir().unwrap();
        let run = fixture::run(folder.path(), false);
        let resolved = Points.resolve("smoke", None, &[]).unwrap();
        let error =
            AnyRecipe::ask(&Points, &resolved.table, &run, Path::new("x.png"), "why?").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`points` cannot answer questions"),
            "{error}"
        );
    }
}
