//! Masked language modelling: a text encoder guesses the words that are hidden from it.
//!
//! ```text
//! crucible train mlm --data brown.txt                       # text of your own, of any size
//! crucible train mlm --data brown.txt --set masking.unit=span
//! crucible train mlm --data brown.txt --set model.attention=window --set model.attention.window=32
//! crucible train mlm --preset smoke                         # the names of emoji
//! ```

use std::sync::Arc;

use crucible_datasets::{LoaderConfig, TextData, Tokenizer, TokenizerConfig, open_passages};
use crucible_objectives::masking::TokenMasking;
use crucible_shared::{data_name, learn_and_measure, measure, reopen_tokenizer, tokenizer};
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary;
use collate::MaskedCollate;
use model::TextTowerConfig;

mod collate;
mod model;
mod presets;

/// The recipe.
pub struct Mlm;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MlmConfig {
    /// Text: a `.txt` file, a folder of them, or a dataset whose captions or questions are read.
    pub data: String,
    /// Bytes of a passage, whole words: about four for each of `tokenizer.max_length` tokens fill a sequence.
    pub passage: usize,
    /// How text becomes token ids; passages of more tokens are cut.
    pub tokenizer: TokenizerConfig,
    /// Batches of passages.
    pub loader: LoaderConfig,
    /// Which tokens are hidden.
    pub masking: TokenMasking,
    /// The text encoder.
    pub model: TextTowerConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl MlmConfig {
    fn open(&self, command: &str, run: &Run) -> Result<TextData, Error> {
        let name = data_name(command, run, &self.data);
        open_passages(name, self.passage).map_err(Error::data)
    }

    fn collate(&self, tokenizer: Tokenizer) -> Result<Arc<MaskedCollate>, Error> {
        let collate = MaskedCollate::new(tokenizer, self.masking.clone());
        Ok(Arc::new(collate.map_err(Error::data)?))
    }
}

impl Recipe for Mlm {
    const NAME: &'static str = "mlm";
    const ABOUT: &'static str = "guesses the words that are hidden from it (BERT)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    const METRIC: &'static str = "perplexity";
    type Config = MlmConfig;

    fn preset(preset: &str, choices: &toml::Table) -> MlmConfig {
        presets::config(preset, choices)
    }

    fn train(config: &MlmConfig, run: &Run) -> Result<Outcome, Error> {
        config.model.check(config.tokenizer.max_length)?;
        let data = config.open("", run)?;
        vocabulary::check(&data)?;
        run.record_data(&data.digest)?;
        let tokenizer = tokenizer(&config.tokenizer, run, vocabulary::texts(&data)?)?;
        let device = run.training_device(&config.training);
        let model = config.model.init(&config.tokenizer, &tokenizer, &device);
        let collate = config.collate(tokenizer)?;
        let (training, loader) = (&config.training, &config.loader);
        learn_and_measure(run, training, loader, collate, &data, model).map(with_perplexity)
    }

    fn evaluate(config: &MlmConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let tokenizer = reopen_tokenizer(&config.tokenizer, run)?;
        let model = config
            .model
            .init(&config.tokenizer, &tokenizer, &run.device);
        let model = checkpoint::load_newest(&run.dir, model)?;
        let collate = config.collate(tokenizer)?;
        measure(run, &config.loader, collate, &data, split, &model).map(with_perplexity)
    }
}

/// Loss and accuracy are over hidden tokens, the same ones each time, and so is perplexity.
fn with_perplexity(mut outcome: Outcome) -> Outcome {
    if let Some(loss) = outcome.metrics.get("loss").copied() {
        outcome.metrics.insert("perplexity".into(), loss.exp());
    }
    outcome
}
