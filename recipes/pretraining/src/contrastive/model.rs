//! The dual encoder with its loss.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Bool, ExecutionError, Int, Tensor};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use crucible_datasets::CaptionBatch;
use crucible_fusion::DualEncoder;
use crucible_objectives::contrastive::Contrastive;
use crucible_objectives::{chunked, info_nce_of, siglip_of};
use crucible_training::{Observe, Scalar, backward};
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
    /// Images and texts whose partner was the most similar of the batch, `[1]`.
    pub hits: Tensor<1, Int>,
    /// What similarities are multiplied by, `[1]`.
    pub scale: Tensor<1>,
    /// The images' ids.
    pub ids: Vec<String>,
}

impl ContrastiveModel {
    /// Images and texts of some pairs of a batch: twice `[rows, d_embedding]`.
    fn embed(&self, batch: &CaptionBatch, rows: &Range<usize>) -> [Tensor<2>; 2] {
        let images = batch.images.clone().narrow(0, rows.start, rows.len());
        let ids = batch.texts.ids.clone().narrow(0, rows.start, rows.len());
        let padding = &batch.texts.padding;
        let padding = padding.clone().narrow(0, rows.start, rows.len());
        [
            self.encoder.embed_images(images),
            self.encoder.embed_texts(ids, padding),
        ]
    }

    /// What the pairs of `rows` add to the loss over all.
    fn compare(
        &self,
        [images, texts]: [Tensor<2>; 2],
        fits: Option<&Tensor<2, Bool>>,
        rows: Range<usize>,
    ) -> Contrastive {
        let (scale, bias) = (self.encoder.scale(), self.encoder.bias.val());
        match self.loss {
            Loss::InfoNce => info_nce_of(images, texts, scale, fits, rows),
            Loss::Siglip => siglip_of(images, texts, scale, bias, fits, rows),
        }
    }

    fn output(&self, compared: Contrastive, ids: Vec<String>) -> PairOutput {
        PairOutput {
            loss: compared.loss,
            hits: compared.hits,
            scale: self.encoder.scale(),
            ids,
        }
    }

    /// All pairs at once.
    fn whole(&self, batch: CaptionBatch) -> PairOutput {
        let all = 0..batch.ids.len();
        let compared = self.compare(self.embed(&batch, &all), batch.fits.as_ref(), all);
        self.output(compared, batch.ids)
    }

    /// A chunk at a time.
    fn in_chunks(&self, batch: CaptionBatch) -> TrainOutput<PairOutput> {
        let pairs = batch.ids.len();
        let part = |model: &Self, number: usize| {
            let start = number * self.chunk;
            model.embed(&batch, &(start..pairs.min(start + self.chunk)))
        };
        let compare = |embedded, rows| {
            let Contrastive { loss, hits } = self.compare(embedded, batch.fits.as_ref(), rows);
            (loss, hits)
        };
        let (grads, loss, hits) = chunked(self, pairs.div_ceil(self.chunk), part, compare);
        let compared = Contrastive {
            loss,
            hits: Tensor::cat(hits, 0).sum(),
        };
        let item = self.output(compared, batch.ids.clone());
        TrainOutput { grads, item }
    }
}

impl TrainStep for ContrastiveModel {
    type Input = CaptionBatch;
    type Output = PairOutput;

    fn step(&self, batch: CaptionBatch) -> TrainOutput<PairOutput> {
        if self.chunk > 0 && self.chunk < batch.ids.len() {
            return self.in_chunks(batch);
        }
        let output = self.whole(batch);
        TrainOutput::new(self, backward(&output.loss), output)
    }
}

impl InferenceStep for ContrastiveModel {
    type Input = CaptionBatch;
    type Output = PairOutput;

    fn step(&self, batch: CaptionBatch) -> PairOutput {
        self.whole(batch)
    }
}

impl ItemLazy for PairOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            hits: self.hits.without_autodiff(),
            scale: self.scale.without_autodiff(),
            ids: self.ids,
        })
    }
}

impl Observe for PairOutput {
    /// The accuracy is the share of images and texts whose partner is the most similar of the batch.
    fn observe(&self) -> Vec<Scalar> {
        let read = |value: &Tensor<1>| value.clone().without_autodiff().into_scalar::<f64>();
        let hits = self.hits.clone().without_autodiff().into_scalar::<i64>();
        let weight = self.ids.len() as f64;
        vec![
            Scalar::mean("loss", read(&self.loss), weight),
            Scalar {
                name: "accuracy",
                sum: hits as f64 / 2.0,
                weight,
            },
            Scalar::mean("scale", read(&self.scale), weight),
        ]
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }
}
