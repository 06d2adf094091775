//! Captioning: a language model that sees says what a picture shows.
//!
//! ```text
//! crucible train captioning                        # easy-VQA's pictures: "a red circle"
//! crucible train captioning --data emoji           # names of emoji
//! crucible train captioning --init runs/contrastive-quick-seed0     # an image tower that has met texts
//! crucible train captioning --data my/folder       # train.jsonl: {"image": ..., "caption": ...}
//! ```

use std::collections::HashMap;

use crucible_datasets::instruction::{AuditConfig, InstructionData, open_instructions};
use crucible_datasets::{
    AugmentConfig, CaptionData, DataError, ImageConfig, LoaderConfig, Split, TokenizerConfig,
    open_captions,
};
use crucible_evaluation::captioning::{Captioned, captioning};
use crucible_fusion::ConnectorConfig;
use crucible_shared::instruction::{
    ChatConfig, ScoreConfig, Seeing, SightConfig, Speaker, VisualModel,
};
use crucible_shared::{LanguageConfig, data_name, final_split};
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod presets;

/// The recipe.
pub struct Captioning;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CaptioningConfig {
    /// Images with captions: a name of the catalogue (`crucible data`) or a folder. The first caption of each is learnt;
    /// all of them count when the model is scored.
    pub data: String,
    /// How thoroughly the data is looked through before the first step.
    pub audit: AuditConfig,
    /// How images are prepared.
    pub image: ImageConfig,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// How words become token ids, where the language model is fresh.
    pub tokenizer: TokenizerConfig,
    /// How picture and caption are written: plain is the picture, then the caption.
    pub chat: ChatConfig,
    /// Batches of pictures.
    pub loader: LoaderConfig,
    /// The image tower.
    pub vision: SightConfig,
    /// What joins image tower and language model: linear, mlp, perceiver-resampler or q-former.
    pub connector: ConnectorConfig,
    /// The language model.
    pub language: LanguageConfig,
    /// How captions are generated when the model is scored.
    pub score: ScoreConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl CaptioningConfig {
    fn seeing(&self) -> Seeing<'_> {
        Seeing {
            image: &self.image,
            tokenizer: &self.tokenizer,
            chat: &self.chat,
            vision: &self.vision,
            connector: &self.connector,
            language: &self.language,
            connector_alone: false,
            audit: &self.audit,
            score: &self.score,
        }
    }

    /// Captions of a split with their metrics, over all captions of each picture.
    fn score(
        &self,
        speaker: &Speaker<VisualModel>,
        (captions, data): &(CaptionData, InstructionData),
        split: Split,
    ) -> Result<Outcome, Error> {
        let mut outcome = speaker.score(data, split, &self.score)?;
        let samples = captions.samples(split).map_err(Error::data)?;
        let mut references: HashMap<String, Vec<String>> = HashMap::new();
        for index in 0..samples.len() {
            let sample = samples.get(index).map_err(DataError::Dataset);
            let sample = sample.map_err(Error::data)?;
            references.insert(sample.id, sample.captions);
        }
        let none = Vec::new();
        let items = outcome.predictions.iter().map(|item| {
            // A conversation about a picture is called by it and its task.
            let picture = item
                .id
                .rsplit_once('#')
                .map_or(item.id.as_str(), |(id, _)| id);
            Captioned {
                candidate: &item.prediction,
                references: references.get(picture).unwrap_or(&none),
            }
        });
        let metrics = captioning(&items.collect::<Vec<_>>());
        outcome.metrics = metrics;
        Ok(outcome)
    }
}

impl Recipe for Captioning {
    const NAME: &'static str = "captioning";
    const ABOUT: &'static str = "a language model that sees says what a picture shows";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    const METRIC: &'static str = "cider";
    type Config = CaptioningConfig;

    fn preset(preset: &str, _: &toml::Table) -> CaptioningConfig {
        presets::config(preset)
    }

    fn train(config: &CaptioningConfig, run: &Run) -> Result<Outcome, Error> {
        let (seeing, training) = (config.seeing(), &config.training);
        seeing.check(run)?;
        let data = open(data_name("", run, &config.data))?;
        run.record_data(&data.1.digest)?;
        let (fitted, voice) =
            seeing.learn(run, training, &config.loader, &config.augment, &data.1)?;
        let speaker = seeing.speaker(voice, fitted.model, run)?;
        let outcome = config.score(&speaker, &data, final_split(run))?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(
        config: &CaptioningConfig,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error> {
        let split: Split = split.parse().map_err(Error::data)?;
        let data = open(data_name(data, run, &config.data))?;
        let speaker = config.seeing().reopen(run)?;
        config.score(&speaker, &data, split)
    }
}

/// Pictures with all their captions, which the model is scored on, and what it learns of them: conversations that hold no
/// captions are refused before anything is learnt.
fn open(name: &str) -> Result<(CaptionData, InstructionData), Error> {
    let captions = open_captions(name).map_err(Error::data)?;
    let learnt = open_instructions(name).map_err(Error::data)?;
    Ok((captions, learnt))
}
