//! The dual encoder with its loss.

use burn::module::Module;
use burn::tensor::{ExecutionError, Int, Tensor};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use crucible_datasets::CaptionBatch;
use crucible_fusion::DualEncoder;
use crucible_objectives::contrastive::Contrastive;
use crucible_objectives::{chunked, info_nce, siglip};
use crucible_training::{Observe, Scalar};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Symmetric cross-entropy over all texts and all images of the batch (CLIP).
    #[default]
    InfoNce,
    /// A yes or no for each image with each text (SigLIP).
    Siglip,
}

/// Two towers and how they are compared.
#[derive(Module, Debug)]
pub struct ContrastiveModel {
    /// The towers.
    pub encoder: DualEncoder,
    /// How they are compared.
    #[module(skip)]
    pub loss: Loss,
    /// Pairs whose activations are held at a time; 0 for all.
    pub chunk: usize,
}

/// What a step came to.
#[derive(Clone, Debug)]
pub struct PairOutput {
    /// Mean over the pairs, `[1]`.
    pub loss: Tensor<1>,
    /// Similarity of each image (row) to each text (column), `[pairs, pairs]`.
    pub logits: Tensor<2>,
    /// What similarities are multiplied by, `[1]`.
    pub scale: Tensor<1>,
    /// The images' ids.
    pub ids: Vec<String>,
}

impl ContrastiveModel {
    /// Images and texts of some pairs of a batch: twice `[rows, d_embedding]`.
    fn embed(&self, batch: &CaptionBatch, start: usize, rows: usize) -> [Tensor<2>; 2] {
        let images = batch.images.clone().narrow(0, start, rows);
        let ids = batch.texts.ids.clone().narrow(0, start, rows);
        let padding = batch.texts.padding.clone().narrow(0, start, rows);
        [
            self.encoder.embed_images(images),
            self.encoder.embed_texts(ids, padding),
        ]
    }

    fn compare(&self, [images, texts]: [Tensor<2>; 2]) -> Contrastive {
        let scale = self.encoder.scale();
        match self.loss {
            Loss::InfoNce => info_nce(images, texts, scale),
            Loss::Siglip => siglip(images, texts, scale, self.encoder.bias.val()),
        }
    }

    fn output(&self, compared: Contrastive, ids: Vec<String>) -> PairOutput {
        PairOutput {
            loss: compared.loss,
            logits: compared.logits,
            scale: self.encoder.scale(),
            ids,
        }
    }
}

impl TrainStep for ContrastiveModel {
    type Input = CaptionBatch;
    type Output = PairOutput;

    fn step(&self, batch: CaptionBatch) -> TrainOutput<PairOutput> {
        let pairs = batch.ids.len();
        if self.chunk == 0 || self.chunk >= pairs {
            let compared = self.compare(self.embed(&batch, 0, pairs));
            let gradients = crucible_training::backward(&compared.loss);
            return TrainOutput::new(self, gradients, self.output(compared, batch.ids));
        }
        let part = |model: &Self, number: usize| {
            let start = number * self.chunk;
            model.embed(&batch, start, self.chunk.min(pairs - start))
        };
        let compare = |embedded| {
            let compared = self.compare(embedded);
            (compared.loss.clone(), compared)
        };
        let (grads, _, compared) = chunked(self, pairs.div_ceil(self.chunk), part, compare);
        let item = self.output(compared, batch.ids.clone());
        TrainOutput { grads, item }
    }
}

impl InferenceStep for ContrastiveModel {
    type Input = CaptionBatch;
    type Output = PairOutput;

    fn step(&self, batch: CaptionBatch) -> PairOutput {
        let pairs = batch.ids.len();
        self.output(self.compare(self.embed(&batch, 0, pairs)), batch.ids)
    }
}

impl ItemLazy for PairOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            logits: self.logits.without_autodiff(),
            scale: self.scale.without_autodiff(),
            ids: self.ids,
        })
    }
}

impl Observe for PairOutput {
    /// The accuracy is the share of images and texts whose partner is the most similar of the batch.
    fn observe(&self) -> Vec<Scalar> {
        let logits = self.logits.clone().without_autodiff();
        let [pairs, _] = logits.dims();
        let own = Tensor::<1, Int>::arange(0..pairs as i64, &logits.device());
        let hits = |logits: Tensor<2>| {
            let found = logits.argmax(1).squeeze_dim::<1>(1);
            found.equal(own.clone()).int().sum().into_scalar::<i64>() as f64
        };
        let right = hits(logits.clone()) + hits(logits.transpose());
        let read = |value: &Tensor<1>| value.clone().without_autodiff().into_scalar::<f64>();
        let weight = pairs as f64;
        vec![
            Scalar::mean("loss", read(&self.loss), weight),
            Scalar {
                name: "accuracy",
                sum: right / 2.0,
                weight,
            },
            Scalar::mean("scale", read(&self.scale), weight),
        ]
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }
}
