//! Visual instruction tuning: a language model that sees, by way of a connector, answers about pictures.
//!
//! ```text
//! crucible train instruction-visual                                        # a small model from scratch on easy-VQA
//! crucible train instruction-visual --data emoji --set stage=align --set language.weights=smollm2.gguf --out align
//! crucible train instruction-visual --init align --set language.weights=smollm2.gguf --set language.tune=lora
//! crucible chat RUN --image picture.png
//! ```

use crucible_datasets::instruction::clean::CleanConfig;
use crucible_datasets::instruction::{AuditConfig, InstructionData, open_instructions};
use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig, Split, TokenizerConfig};
use crucible_fusion::ConnectorConfig;
use crucible_shared::instruction::{
    ChatConfig, ScoreConfig, Seeing, SightConfig, Speaker, VisualModel, cleaned, cleaned_for,
};
use crucible_shared::{LanguageConfig, data_name, final_split};
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod presets;

/// The recipe.
pub struct Visual;

/// What is learnt (LLaVA, Liu et al. 2023, section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The connector alone learns captions: both towers are frozen.
    Align,
    /// Connector and language model learn to answer.
    #[default]
    Tune,
}

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VisualConfig {
    /// Conversations about pictures: a name of the catalogue (`crucible data`), or a file or folder of LLaVA, ShareGPT or
    /// OpenAI JSON; pictures with captions do as well.
    pub data: String,
    /// What is thrown away of the training and the validation split before anything is learnt; the test split stays as it is.
    pub clean: CleanConfig,
    /// How thoroughly the data is looked through before the first step.
    pub audit: AuditConfig,
    /// What trains: the connector alone (align), or all that is not frozen (tune).
    pub stage: Stage,
    /// How images are prepared.
    pub image: ImageConfig,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// How words become token ids, where the language model is fresh.
    pub tokenizer: TokenizerConfig,
    /// How conversations are written.
    pub chat: ChatConfig,
    /// Batches of conversations.
    pub loader: LoaderConfig,
    /// The image tower.
    pub vision: SightConfig,
    /// What joins image tower and language model: linear, mlp, perceiver-resampler or q-former.
    pub connector: ConnectorConfig,
    /// The language model.
    pub language: LanguageConfig,
    /// How the model is scored.
    pub score: ScoreConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl VisualConfig {
    fn open(&self, command: &str, run: &Run) -> Result<InstructionData, Error> {
        open_instructions(data_name(command, run, &self.data)).map_err(Error::data)
    }

    fn seeing(&self) -> Seeing<'_> {
        Seeing {
            image: &self.image,
            tokenizer: &self.tokenizer,
            chat: &self.chat,
            vision: &self.vision,
            connector: &self.connector,
            language: &self.language,
            connector_alone: self.stage == Stage::Align,
            audit: &self.audit,
            score: &self.score,
        }
    }

    /// A finished run, ready to answer.
    ///
    /// # Errors
    ///
    /// Those of reading it.
    pub fn reopen(&self, run: &Run) -> Result<Speaker<VisualModel>, Error> {
        self.seeing().reopen(run)
    }
}

impl Recipe for Visual {
    const NAME: &'static str = "instruction-visual";
    const ABOUT: &'static str =
        "a language model that sees answers in conversations about pictures (LLaVA)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    type Config = VisualConfig;

    fn preset(preset: &str, choices: &toml::Table) -> VisualConfig {
        presets::config(preset, choices)
    }

    fn train(config: &VisualConfig, run: &Run) -> Result<Outcome, Error> {
        let (seeing, training) = (config.seeing(), &config.training);
        seeing.check(run)?;
        let data = config.open("", run)?;
        run.record_data(&data.digest)?;
        let data = cleaned(run, &data, &config.clean)?;
        let (fitted, voice) =
            seeing.learn(run, training, &config.loader, &config.augment, &data)?;
        let speaker = seeing.speaker(voice, fitted.model, run)?;
        let outcome = speaker.score(&data, final_split(run), &config.score)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(
        config: &VisualConfig,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error> {
        let split: Split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let data = cleaned_for(&config.score, split, data, &config.clean)?;
        config.reopen(run)?.score(&data, split, &config.score)
    }
}
