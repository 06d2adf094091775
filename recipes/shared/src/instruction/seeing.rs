//! A language model that sees, put together from a recipe's configuration.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_datasets::instruction::{AuditConfig, InstructionData, families};
use crucible_datasets::{
    AugmentConfig, ImageConfig, ImageProcessor, LoaderConfig, TokenizerConfig,
};
use crucible_fusion::{ConnectorConfig, VisionLanguage};
use crucible_training::fit::draw;
use crucible_training::{Error, Fitted, Run, TrainingConfig, checkpoint};

use super::audited::audited;
use super::batch::InstructionCollate;
use super::model::VisualModel;
use super::score::ScoreConfig;
use super::sight::SightConfig;
use super::speaker::Speaker;
use super::voice::{ChatConfig, Voice};
use crate::setting::setting;
use crate::{LanguageConfig, Origin, final_split, learn};

/// The parts of a configuration that such a model is made of.
#[derive(Clone, Copy, Debug)]
pub struct Seeing<'a> {
    /// How images are prepared.
    pub image: &'a ImageConfig,
    /// How words become token ids, where the language model is fresh.
    pub tokenizer: &'a TokenizerConfig,
    /// How conversations are written.
    pub chat: &'a ChatConfig,
    /// The image tower.
    pub vision: &'a SightConfig,
    /// What joins the two.
    pub connector: &'a ConnectorConfig,
    /// The language model.
    pub language: &'a LanguageConfig,
    /// Whether the connector alone trains.
    pub connector_alone: bool,
    /// How thoroughly the data is looked through.
    pub audit: &'a AuditConfig,
    /// How the model is scored.
    pub score: &'a ScoreConfig,
}

impl Seeing<'_> {
    /// Whether the settings make sense, before any data is opened.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] by the key.
    pub fn check(&self, run: &Run) -> Result<(), Error> {
        self.score.check()?;
        self.language.check()?;
        self.connector.check().map_err(setting("connector"))?;
        self.vision.check(self.image)?;
        // A connector can only learn to join two that see and speak.
        let fresh = [
            ("vision", self.vision.weights.is_empty()),
            ("language", self.language.weights.is_empty()),
        ];
        let fresh = fresh.into_iter().find(|(_, fresh)| *fresh);
        match fresh.filter(|_| self.connector_alone && run.init.is_none()) {
            None => Ok(()),
            Some((part, _)) => Err(Error::Usage(format!(
                "stage=align trains the connector alone, and {part} would stay as random as it begins: give \
                 {part}.weights, or --init with a run that has trained it"
            ))),
        }
    }

    /// Trains on conversations, once they have been looked through, and gives the model with its voice.
    ///
    /// # Errors
    ///
    /// What an audit finds, and those of [`learn`].
    pub fn learn(
        &self,
        run: &Run,
        training: &TrainingConfig,
        loader: &LoaderConfig,
        augment: &AugmentConfig,
        data: &InstructionData,
    ) -> Result<(Fitted<VisualModel>, Voice), Error> {
        let images = self.images()?;
        let origins = [self.vision.origin(run)?, self.language.origin(run)?];
        let voice = self.voice(&origins, data, run)?;
        let model = self.start(&origins, &voice, run, &run.training_device(training))?;
        let features = self.features(&model, run);
        audited(run, data, &voice.renderer, features, self.audit)?;
        self.score
            .rehearse(data, final_split(run), &voice.renderer)?;
        voice.keep(run)?;
        let (renderer, packing) = (voice.renderer.clone(), self.chat.packing);
        let collate = InstructionCollate::new(renderer, Some(images), augment.clone(), packing);
        let collate = Arc::new(collate.map_err(Error::data)?);
        let families = families(data, self.chat.per_picture).map_err(Error::data)?;
        let fitted = learn(run, training, loader, &collate, &families, model)?;
        Ok((fitted, voice))
    }

    /// The model of a finished run, ready to answer.
    ///
    /// # Errors
    ///
    /// Those of reading it.
    pub fn reopen(&self, run: &Run) -> Result<Speaker<VisualModel>, Error> {
        let tower = SightConfig::kept(run)?;
        let (sizes, language) = self.language.reopen(run)?;
        let block = tower.encoder.block();
        let encoder = VisionLanguage {
            vision: tower.init(&run.device),
            connector: self.connector.init(&block, sizes.d_model, &run.device),
            language,
            features: self.vision.features,
        };
        let model = checkpoint::load_newest(&run.dir, self.model(encoder))?;
        self.speaker(Voice::reopen(run)?, model, run)
    }

    /// A model with its voice.
    ///
    /// # Errors
    ///
    /// Images that are prepared in a way that makes no sense.
    pub fn speaker(
        &self,
        voice: Voice,
        model: VisualModel,
        run: &Run,
    ) -> Result<Speaker<VisualModel>, Error> {
        Ok(Speaker {
            model,
            voice,
            images: Some(self.images()?),
            device: run.device.clone(),
        })
    }

    fn model(&self, encoder: VisionLanguage) -> VisualModel {
        VisualModel {
            encoder,
            naming: self.vision.naming,
        }
    }

    fn images(&self) -> Result<Arc<ImageProcessor>, Error> {
        let images = ImageProcessor::new(self.image).map_err(Error::data)?;
        Ok(Arc::new(images))
    }

    fn voice(
        &self,
        [vision, language]: &[Origin; 2],
        data: &InstructionData,
        run: &Run,
    ) -> Result<Voice, Error> {
        let tower = self.vision.sizes(vision, run, self.image)?;
        let features = self.vision.features.of(tower.patch_embedding().patches());
        let tokens = self.connector.tokens(features);
        Voice::begin(run, language, self.tokenizer, self.chat, tokens, data)
    }

    fn start(
        &self,
        origins: &[Origin; 2],
        voice: &Voice,
        run: &Run,
        device: &Device,
    ) -> Result<VisualModel, Error> {
        let [vision, language] = origins;
        let tower = self.vision.sizes(vision, run, self.image)?;
        let (vocabulary, max_length) = (voice.vocabulary_size(), self.chat.max_length);
        let sizes = self.language.sizes(language, run, vocabulary, max_length)?;
        let (vision, language) = (
            self.vision.start(vision, &tower, run, device)?,
            self.language.start(language, &sizes, run, device)?,
        );
        let trains = self.vision.train && !self.connector_alone;
        let encoder = VisionLanguage {
            vision: if trains { vision } else { vision.freeze() },
            connector: self
                .connector
                .init(&tower.encoder.block(), sizes.d_model, device),
            language: match self.connector_alone {
                true => language.freeze(),
                false => language,
            },
            features: self.vision.features,
        };
        let model = self.model(encoder);
        // Before it is asked anything, which would draw its weights otherwise.
        draw(&model, device, run.seed);
        Ok(model)
    }

    /// How many tokens the model makes of a picture, asked of the model itself.
    fn features(&self, model: &VisualModel, run: &Run) -> usize {
        let side = self.image.size;
        let blank = Tensor::zeros([1, 3, side, side], &run.device);
        let [_, tokens, _] = model.clone().valid().encoder.see(blank).dims();
        tokens
    }
}
