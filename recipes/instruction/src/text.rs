//! Instruction tuning on text alone (SFT): a language model learns to answer.
//!
//! ```text
//! crucible train instruction-text                                       # a small model from scratch on the embedded words
//! crucible train instruction-text --data alpaca.json --set language.weights=smollm2 --set language.tune=lora
//! crucible chat RUN
//! ```

use std::sync::Arc;

use crucible_datasets::instruction::clean::CleanConfig;
use crucible_datasets::instruction::{AuditConfig, InstructionData, families, open_instructions};
use crucible_datasets::{AugmentConfig, LoaderConfig, Split, TokenizerConfig};
use crucible_shared::instruction::{
    ChatConfig, InstructionCollate, ScoreConfig, Speaker, TextModel, Voice, audited, cleaned,
    cleaned_for,
};
use crucible_shared::{LanguageConfig, data_name, final_split, learn};
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod presets;

/// The recipe.
pub struct Text;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TextConfig {
    /// Conversations: a name of the catalogue (`crucible data`), or a file or folder of Alpaca, ShareGPT or OpenAI JSON.
    pub data: String,
    /// What is thrown away of the training and the validation split before anything is learnt; the test split stays as it is.
    pub clean: CleanConfig,
    /// How thoroughly the data is looked through before the first step.
    pub audit: AuditConfig,
    /// How words become token ids, where the language model is fresh.
    pub tokenizer: TokenizerConfig,
    /// How conversations are written.
    pub chat: ChatConfig,
    /// Batches of conversations.
    pub loader: LoaderConfig,
    /// The language model.
    pub language: LanguageConfig,
    /// How the model is scored.
    pub score: ScoreConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl TextConfig {
    fn open(&self, command: &str, run: &Run) -> Result<InstructionData, Error> {
        open_instructions(data_name(command, run, &self.data)).map_err(Error::data)
    }

    /// A finished run, ready to answer.
    ///
    /// # Errors
    ///
    /// Those of reading it.
    pub fn reopen(&self, run: &Run) -> Result<Speaker<TextModel>, Error> {
        let model = TextModel::new(self.language.reopen(run)?.1);
        let model = checkpoint::load_newest(&run.dir, model)?;
        let voice = Voice::reopen(run)?;
        Ok(Speaker::of_text(model, voice, &run.device))
    }
}

impl Recipe for Text {
    const NAME: &'static str = "instruction-text";
    const ABOUT: &'static str =
        "a language model learns to answer (SFT), from scratch or from published weights";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    type Config = TextConfig;

    fn preset(preset: &str, choices: &toml::Table) -> TextConfig {
        presets::config(preset, choices)
    }

    fn train(config: &TextConfig, run: &Run) -> Result<Outcome, Error> {
        config.score.check()?;
        config.language.check()?;
        let data = config.open("", run)?;
        run.record_data(&data.digest)?;
        let data = cleaned(run, &data, &config.clean)?;
        let origin = config.language.origin(run)?;
        let voice = Voice::begin(run, &origin, &config.tokenizer, &config.chat, 0, &data)?;
        audited(run, &data, &voice.renderer, 0, &config.audit)?;
        let score = &config.score;
        score.rehearse(&data, final_split(run), &voice.renderer)?;
        voice.keep(run)?;
        let (vocabulary, max_length) = (voice.vocabulary_size(), config.chat.max_length);
        let sizes = config
            .language
            .sizes(&origin, run, vocabulary, max_length)?;
        let device = run.training_device(&config.training);
        let model = TextModel::new(config.language.start(&origin, &sizes, run, &device)?);
        let (renderer, augment) = (voice.renderer.clone(), AugmentConfig::default());
        let collate = InstructionCollate::new(renderer, None, augment, config.chat.packing);
        let collate = Arc::new(collate.map_err(Error::data)?);
        let families = families(&data, 0).map_err(Error::data)?;
        let (training, loader) = (&config.training, &config.loader);
        let fitted = learn(run, training, loader, &collate, &families, model)?;
        let speaker = Speaker::of_text(fitted.model, voice, &run.device);
        let outcome = speaker.score(&data, final_split(run), &config.score)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(config: &TextConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split: Split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let data = cleaned_for(&config.score, split, data, &config.clean)?;
        config.reopen(run)?.score(&data, split, &config.score)
    }
}
