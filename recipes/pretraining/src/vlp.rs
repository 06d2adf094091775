//! Vision-language pretraining: contrast, matching, hidden words and hidden patches, all on one model.
//!
//! ```text
//! crucible train vlp                                    # what the images of easy-VQA show, in words
//! crucible train vlp --set fusion=late                  # or early: the towers and the fusion that `vqa` has
//! crucible train vlp --set tasks.itm.share=0.5          # of every other batch
//! crucible train vqa --set fusion=mid --init runs/vlp-quick-mid-seed0
//! ```

use std::sync::Arc;

use burn::tensor::Device;
use crucible_datasets::{
    AugmentConfig, CaptionCollate, CaptionData, ImageConfig, ImageProcessor, LoaderConfig, Split,
    Tokenizer, TokenizerConfig, open_captions, open_passages,
};
use crucible_fusion::{FusionConfig, FusionEncoderConfig};
use crucible_objectives::masking::{PatchMasking, TokenMasking};
use crucible_shared::{
    Rehearsal, TowersConfig, data_name, final_split, learn_as_rehearsed, measure, reopen_tokenizer,
    tokenizer,
};
use crucible_training::{
    Among, Error, Match, Outcome, Preset, Query, Recipe, Run, TrainingConfig, checkpoint, config,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embedding::{self, Embedder};
use crate::hidden::Hider;
use crate::{retrieval, search, vocabulary};
use collate::VlpCollate;
use model::VlpModel;
use tasks::TasksConfig;

mod collate;
mod model;
mod presets;
mod tasks;

/// The recipe.
pub struct Vlp;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VlpConfig {
    /// Images with captions: a name of the catalogue (`crucible data`) or a folder.
    pub data: String,
    /// Text whose words the vocabulary has beside those of the captions, for what is to be learnt later; "" for none.
    pub words: String,
    /// How images are prepared.
    pub image: ImageConfig,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// How captions become token ids.
    pub tokenizer: TokenizerConfig,
    /// Batches; every pair of a batch is compared with every other.
    pub loader: LoaderConfig,
    /// The two towers.
    pub model: TowersConfig,
    /// How the two are fused; `crucible strategies` lists the ways.
    pub fusion: FusionConfig,
    /// Width of the space in which images and texts are compared.
    pub d_embedding: usize,
    /// What is learnt, and how much of each.
    pub tasks: TasksConfig,
    /// Which tokens are hidden.
    pub token_masking: TokenMasking,
    /// Which patches are hidden.
    pub patch_masking: PatchMasking,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

/// Bytes of a passage of the text whose words the vocabulary has.
const PASSAGE: usize = 600;

impl VlpConfig {
    fn encoder(&self, vocabulary: usize) -> FusionEncoderConfig {
        let vision = self.model.vision(self.image.size);
        let text = self.model.text(vocabulary, self.tokenizer.max_length);
        FusionEncoderConfig::new(vision, text, self.fusion.clone())
    }

    fn init(&self, tokenizer: &Tokenizer, device: &Device) -> VlpModel {
        let encoder = self.encoder(tokenizer.vocabulary_size());
        VlpModel::new(&encoder, self.d_embedding, &self.tasks, device)
    }

    fn open(&self, command: &str, run: &Run) -> Result<CaptionData, Error> {
        open_captions(data_name(command, run, &self.data)).map_err(Error::data)
    }

    /// The texts that the vocabulary is made from.
    fn texts(&self, data: &CaptionData) -> Result<Vec<String>, Error> {
        let mut texts = data.training_texts().map_err(Error::data)?;
        if !self.words.is_empty() {
            let more = open_passages(&self.words, PASSAGE).map_err(Error::data)?;
            texts.extend(vocabulary::texts(&more)?);
        }
        Ok(texts)
    }

    fn collate(&self, tokenizer: Arc<Tokenizer>) -> Result<VlpCollate, Error> {
        let images = Arc::new(ImageProcessor::new(&self.image).map_err(Error::data)?);
        let captions = CaptionCollate::new(images, self.augment.clone(), tokenizer.clone());
        let words = Hider::new(tokenizer, self.token_masking.clone());
        Ok(VlpCollate {
            captions: captions.map_err(Error::data)?,
            words: words.map_err(Error::data)?,
            patches: self.patch_masking.clone(),
            side: self.image.size / self.model.patch_size,
            tasks: self.tasks.clone(),
            all_tasks: false,
        })
    }

    /// The model of a finished run, and what prepares its inputs.
    fn reopen(&self, run: &Run) -> Result<(VlpModel, Arc<VlpCollate>), Error> {
        let tokenizer = reopen_tokenizer(&self.tokenizer, run)?;
        let model = checkpoint::load_newest(&run.dir, self.init(&tokenizer, &run.device))?;
        Ok((model, Arc::new(self.collate(Arc::new(tokenizer))?)))
    }
}

impl Recipe for Vlp {
    const NAME: &'static str = "vlp";
    const ABOUT: &'static str =
        "contrast, matching, hidden words and patches, jointly (ALBEF, FLAVA)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    const METRIC: &'static str = "i2t_r5";
    type Config = VlpConfig;

    fn preset(preset: &str, choices: &toml::Table) -> VlpConfig {
        let strategy = config::choice(choices, "fusion", "strategy").unwrap_or("mid");
        presets::config(preset, strategy)
    }

    fn train(config: &VlpConfig, run: &Run) -> Result<Outcome, Error> {
        let sizes = config.encoder(1).check();
        sizes.map_err(|error| Error::Usage(error.to_string()))?;
        embedding::check_batch(&config.loader)?;
        if config.d_embedding == 0 {
            return Err(Error::Usage("d_embedding must be at least 1".into()));
        }
        config.tasks.check().map_err(Error::data)?;
        let (image, patch) = (config.image.size, config.model.patch_size);
        let patches = config.patch_masking.check((image / patch).pow(2));
        patches.map_err(|reason| Error::Usage(format!("patch_masking.{reason}")))?;
        let data = config.open("", run)?;
        let split = final_split(run);
        data.samples(split).map_err(Error::data)?;
        run.record_data(&data.digest)?;
        let tokenizer = tokenizer(&config.tokenizer, run, config.texts(&data)?)?;
        let model = config.init(&tokenizer, &run.training_device(&config.training));
        let tokenizer = Arc::new(tokenizer);
        let collate = Arc::new(config.collate(tokenizer.clone())?);
        let (training, loader) = (&config.training, &config.loader);
        let rehearsal = Rehearsal {
            collate: Arc::new(VlpCollate {
                all_tasks: true,
                ..config.collate(tokenizer)?
            }),
            at_once: loader.batch_size,
        };
        let fitted = learn_as_rehearsed(run, training, loader, &collate, &data, model, rehearsal)?;
        let outcome = score(config, run, collate, &data, split, &fitted.model)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(config: &VlpConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let (model, collate) = config.reopen(run)?;
        score(config, run, collate, &data, split, &model)
    }

    fn embed(config: &VlpConfig, run: &Run, queries: &[Query]) -> Result<Vec<Vec<f32>>, Error> {
        let (model, collate) = config.reopen(run)?;
        search::embed(&embedder(&model, &collate, run), queries)
    }

    fn search(
        config: &VlpConfig,
        run: &Run,
        query: &Query,
        among: Option<Among>,
        data: &str,
    ) -> Result<Vec<Match>, Error> {
        let (model, collate) = config.reopen(run)?;
        search::search(&embedder(&model, &collate, run), query, among, data)
    }
}

fn embedder<'a>(
    model: &'a VlpModel,
    collate: &'a VlpCollate,
    run: &'a Run,
) -> Embedder<'a, VlpModel> {
    Embedder {
        encoder: model,
        collate: &collate.captions,
        device: &run.device,
    }
}

/// Every task on the split, and retrieval within it.
fn score(
    config: &VlpConfig,
    run: &Run,
    collate: Arc<VlpCollate>,
    data: &CaptionData,
    split: Split,
    model: &VlpModel,
) -> Result<Outcome, Error> {
    let embedder = embedder(model, &collate, run);
    let mut outcome = retrieval::score(&embedder, data, split)?;
    let tasks = measure(run, &config.loader, collate.clone(), data, split, model)?;
    outcome.metrics.extend(tasks.metrics);
    Ok(outcome)
}
