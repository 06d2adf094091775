//! Instruction tuning on text alone (SFT): a language model learns to answer.
//!
//! ```text
//! crucible train instruction-text                                       # a small model from scratch on the embedded words
//! crucible train instruction-text --data alpaca.json --set language.weights=smollm2 --set language.tune=lora
//! crucible chat RUN
//! ```

use std::sync::Arc;

use crucible_datasets::instruction::{
    InstructionData, families, open_instructions, training_texts,
};
use crucible_datasets::{AugmentConfig, LoaderConfig, Split, TokenizerConfig};
use crucible_shared::instruction::{
    ChatConfig, InstructionCollate, ScoreConfig, Speaker, TextModel, Voice, audited,
};
use crucible_shared::{LanguageConfig, Origin, data_name, final_split, learn};
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

    fn voice(&self, origin: &Origin, data: &InstructionData, run: &Run) -> Result<Voice, Error> {
        match origin {
            Origin::Published(path) => Voice::published(path, &self.chat, 0),
            Origin::Kept => Voice::reopen(run),
            Origin::Fresh => {
                let texts = training_texts(data).map_err(Error::data)?;
                Voice::fresh(&self.tokenizer, &self.chat, 0, texts)
            }
        }
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

    fn preset(preset: &str, _: &toml::Table) -> TextConfig {
        presets::config(preset)
    }

    fn train(config: &TextConfig, run: &Run) -> Result<Outcome, Error> {
        let data = config.open("", run)?;
        run.record_data(&data.digest)?;
        let origin = config.language.origin(run)?;
        let voice = config.voice(&origin, &data, run)?;
        audited(run, &data, &voice.renderer, 0)?;
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
        let families = families(&data).map_err(Error::data)?;
        let (training, loader) = (&config.training, &config.loader);
        let fitted = learn(run, training, loader, &collate, &families, model)?;
        let speaker = Speaker::of_text(fitted.model, voice, &run.device);
        let outcome = speaker.score(&data, final_split(run), &config.score)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(config: &TextConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split: Split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        config.reopen(run)?.score(&data, split, &config.score)
    }
}
