//! Image-text contrastive pretraining: two towers learn which text belongs to which image.
//!
//! ```text
//! crucible train contrastive                            # emoji: R@5 of 21% in 4 minutes on 2 cores
//! crucible train contrastive --set loss=siglip          # pairwise sigmoid instead of the symmetric InfoNCE
//! crucible train contrastive --set chunk=32 --set loader.batch_size=1024   # the memory of 32 pairs
//! crucible train contrastive --data my/folder           # train.jsonl: {"image": ..., "caption": ...}
//! ```

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use crucible_datasets::{
    AugmentConfig, CaptionCollate, CaptionData, ImageConfig, ImageProcessor, LoaderConfig, Split,
    Tokenizer, TokenizerConfig, open_captions,
};
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use crucible_shared::{
    Rehearsal, TowersConfig, data_name, final_split, learn_as_rehearsed, reopen_tokenizer,
    tokenizer,
};
use crucible_training::{
    Among, Error, Match, Outcome, Preset, Query, Recipe, Run, TrainingConfig, checkpoint,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embedding::{self, Embedder};
use crate::{retrieval, search};
pub use model::{ContrastiveModel, Loss};
use zero_shot::ZeroShotConfig;

mod model;
mod presets;
mod zero_shot;

/// The recipe.
pub struct Contrastive;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContrastiveConfig {
    /// Dataset: a name of the catalogue (`crucible data`) or a folder.
    pub data: String,
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
    /// Width of the space that both are projected into.
    pub d_embedding: usize,
    /// What is minimised: info-nce (CLIP) or siglip.
    pub loss: Loss,
    /// Pairs whose activations are held at a time, with the gradient of the whole batch; 0 for all.
    pub chunk: usize,
    /// Classification by the names of the classes, after training.
    pub zero_shot: ZeroShotConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl ContrastiveConfig {
    /// The encoder for a vocabulary of that size.
    pub fn encoder(&self, vocabulary: usize) -> DualEncoderConfig {
        let vision = self.model.vision(self.image.size);
        let text = self.model.text(vocabulary, self.tokenizer.max_length);
        let encoder = DualEncoderConfig::new(vision, text, self.d_embedding);
        match self.loss {
            Loss::InfoNce => encoder,
            Loss::Siglip => encoder.with_scale(10.0).with_bias(-10.0),
        }
    }

    /// Pairs whose activations are held at a time.
    fn at_once(&self) -> usize {
        match self.chunk {
            0 => self.loader.batch_size,
            chunk => chunk.min(self.loader.batch_size),
        }
    }

    fn init(&self, tokenizer: &Tokenizer, device: &Device) -> ContrastiveModel {
        ContrastiveModel {
            encoder: self.encoder(tokenizer.vocabulary_size()).init(device),
            loss: self.loss,
            chunk: self.chunk,
        }
    }

    fn collate(&self, tokenizer: Tokenizer) -> Result<Arc<CaptionCollate>, Error> {
        let images = Arc::new(ImageProcessor::new(&self.image).map_err(Error::data)?);
        let collate = CaptionCollate::new(images, self.augment.clone(), Arc::new(tokenizer));
        Ok(Arc::new(collate.map_err(Error::data)?))
    }

    fn open(&self, command: &str, run: &Run) -> Result<CaptionData, Error> {
        open_captions(data_name(command, run, &self.data)).map_err(Error::data)
    }

    /// The model of a finished run, and what prepares its inputs.
    fn reopen(&self, run: &Run) -> Result<(ContrastiveModel, Arc<CaptionCollate>), Error> {
        let tokenizer = reopen_tokenizer(&self.tokenizer, run)?;
        let model = checkpoint::load_newest(&run.dir, self.init(&tokenizer, &run.device))?;
        Ok((model, self.collate(tokenizer)?))
    }
}

impl Recipe for Contrastive {
    const NAME: &'static str = "contrastive";
    const ABOUT: &'static str = "learns which text belongs to which image (CLIP, SigLIP)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    const METRIC: &'static str = "i2t_r5";
    type Config = ContrastiveConfig;

    fn preset(preset: &str, _: &toml::Table) -> ContrastiveConfig {
        presets::config(preset)
    }

    fn train(config: &ContrastiveConfig, run: &Run) -> Result<Outcome, Error> {
        let sizes = config.encoder(1).check();
        sizes.map_err(|error| Error::Usage(error.to_string()))?;
        embedding::check_batch(&config.loader)?;
        if config.chunk > 0 && config.model.dropout > 0.0 && !run.others.is_empty() {
            let reason = "chunk embeds each pair twice with the same dropout, which devices that share a generator cannot";
            return Err(Error::Usage(format!(
                "{reason}; set model.dropout=0 or use one device"
            )));
        }
        let data = config.open("", run)?;
        let split = final_split(run);
        data.samples(split).map_err(Error::data)?;
        config.zero_shot.check(split)?;
        run.record_data(&data.digest)?;
        let texts = data.training_texts().map_err(Error::data)?;
        let tokenizer = tokenizer(&config.tokenizer, run, texts)?;
        let model = config.init(&tokenizer, &run.training_device(&config.training));
        let collate = config.collate(tokenizer)?;
        let (training, loader) = (&config.training, &config.loader);
        let rehearsal = Rehearsal {
            collate: collate.clone(),
            at_once: config.at_once(),
        };
        let fitted = learn_as_rehearsed(run, training, loader, &collate, &data, model, rehearsal)?;
        let outcome = score(config, run, &collate, &data, split, &fitted.model)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(
        config: &ContrastiveConfig,
        run: &Run,
        data: &str,
        split: &str,
    ) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let (model, collate) = config.reopen(run)?;
        score(config, run, &collate, &data, split, &model)
    }

    fn embed(
        config: &ContrastiveConfig,
        run: &Run,
        queries: &[Query],
    ) -> Result<Vec<Vec<f32>>, Error> {
        let (model, collate) = config.reopen(run)?;
        search::embed(&embedder(&model, &collate, run), queries)
    }

    fn search(
        config: &ContrastiveConfig,
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
    model: &'a ContrastiveModel,
    collate: &'a CaptionCollate,
    run: &'a Run,
) -> Embedder<'a, DualEncoder> {
    Embedder {
        encoder: &model.encoder,
        collate,
        device: &run.device,
    }
}

/// Retrieval, and zero-shot classification where there is something to classify.
fn score(
    config: &ContrastiveConfig,
    run: &Run,
    collate: &CaptionCollate,
    data: &CaptionData,
    split: Split,
    model: &ContrastiveModel,
) -> Result<Outcome, Error> {
    let embedder = embedder(model, collate, run);
    let mut outcome = retrieval::score(&embedder, data, split)?;
    let classified = zero_shot::score(&config.zero_shot, &embedder, split)?;
    outcome.metrics.extend(classified);
    outcome.cost.parameters = model.num_params();
    Ok(outcome)
}
