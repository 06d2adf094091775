//! Two towers, what fuses them, and a head for each task.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, ExecutionError, Int, Tensor};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use crucible_datasets::{CaptionBatch, Tokens};
use crucible_fusion::{
    Family, FusionEncoder, FusionEncoderConfig, LARGEST_SCALE, Missing, Modalities, Strategy,
};
use crucible_kernels::matmul;
use crucible_objectives::contrastive::Contrastive;
use crucible_objectives::language::{at_positions, masked_language};
use crucible_objectives::matching::{hard_negatives, matching, matching_targets};
use crucible_objectives::pixels::{hide_patches, patchify, pixel_loss};
use crucible_objectives::{info_nce_of, normalise, uncertainty, weighted};
use crucible_training::{Observe, Scalar, backward};
use crucible_transformer::{Encoded, LanguageHead, linear, project};

use super::collate::VlpBatch;
use super::tasks::{Task, TasksConfig, Weighting};
use crate::embedding::Embed;
use crate::hidden::Hidden;

/// The scale of similarities at the start, as in CLIP.
const SCALE: f64 = 1.0 / 0.07;

/// One model for all tasks.
#[derive(Module, Debug)]
pub struct VlpModel {
    /// Towers and fusion, at the path that they have in `vqa`.
    encoder: FusionEncoder,
    /// For the contrastive task.
    pairing: Pairing,
    /// For the matching task: from the fused vector to no and yes.
    matcher: Linear,
    /// For hidden words.
    language: LanguageHead,
    /// For hidden patches: from a patch's token to its pixels.
    pixels: Linear,
    /// Of each task's loss; with uncertainty weighting alone.
    log_variances: Option<Param<Tensor<1>>>,
    patch: usize,
    #[module(skip)]
    tasks: TasksConfig,
}

/// The common space of pooled images and texts.
#[derive(Module, Debug)]
struct Pairing {
    image: Linear,
    text: Linear,
    log_scale: Param<Tensor<1>>,
}

/// What a task came to on a batch.
#[derive(Clone, Debug)]
struct Part {
    task: Task,
    /// Mean, `[1]`.
    loss: Tensor<1>,
    /// Right guesses, `[1]`, where there is right and wrong.
    hits: Option<Tensor<1, Int>>,
    /// Guesses.
    guesses: usize,
}

/// What a step came to.
#[derive(Clone, Debug)]
pub struct VlpOutput {
    /// All together, `[1]`.
    loss: Tensor<1>,
    parts: Vec<Part>,
    ids: Vec<String>,
}

impl VlpModel {
    /// A model with fresh weights.
    pub fn new(
        encoder: &FusionEncoderConfig,
        d_embedding: usize,
        tasks: &TasksConfig,
        device: &Device,
    ) -> Self {
        let (vision, d_model) = (&encoder.vision, encoder.d_model());
        let stack = &vision.encoder;
        let (activation, epsilon) = (stack.activation, stack.norm_epsilon);
        let vocabulary = encoder.text.vocabulary;
        let projection = || Linear {
            bias: None,
            ..linear(d_model, d_embedding, device)
        };
        let constant = |value, count| Initializer::Constant { value }.init([count], device);
        let learnt = tasks.weighting == Weighting::Uncertainty;
        Self {
            encoder: encoder.init(device),
            pairing: Pairing {
                image: projection(),
                text: projection(),
                log_scale: constant(SCALE.ln(), 1),
            },
            matcher: linear(d_model, 2, device),
            language: LanguageHead::new(d_model, vocabulary, activation, epsilon, device),
            pixels: linear(d_model, vision.patch_size.pow(2) * vision.channels, device),
            log_variances: learnt.then(|| constant(0.0, 4)),
            patch: vision.patch_size,
            tasks: tasks.clone(),
        }
    }

    /// All tasks of the batch; negatives are drawn, or always the hardest.
    fn learn(&self, batch: VlpBatch, draw: bool) -> VlpOutput {
        let has = |task| batch.tasks.contains(&task);
        let encoded = [Task::Contrast, Task::Matching, Task::Words]
            .into_iter()
            .any(has)
            .then(|| self.encoder.vision.forward(batch.pairs.images.clone()));
        let mut parts = Vec::with_capacity(batch.tasks.len());
        if let Some(image) = encoded {
            if has(Task::Contrast) || has(Task::Matching) {
                let Tokens { ids, padding } = batch.pairs.texts.clone();
                let text = self.encoder.encode_text(ids, padding);
                if has(Task::Contrast) {
                    parts.push(self.contrast(&image, &text, &batch.pairs));
                }
                if has(Task::Matching) {
                    let negatives = batch.negatives.then_some(draw);
                    parts.push(self.matching(&image, &text, &batch.pairs, negatives));
                }
            }
            if has(Task::Words) {
                parts.push(self.words(image, batch.words));
            }
        }
        if has(Task::Patches) {
            parts.push(self.patches(batch.pairs.clone(), batch.patches));
        }
        VlpOutput {
            loss: self.sum(&parts),
            parts,
            ids: batch.pairs.ids,
        }
    }

    /// Twice `[pairs, d_embedding]`.
    fn embed(&self, image: &Encoded, text: &Encoded) -> [Tensor<2>; 2] {
        let pairing = &self.pairing;
        let image = project(&pairing.image, image.pooled.clone());
        [image, project(&pairing.text, text.pooled.clone())]
    }

    fn contrast(&self, image: &Encoded, text: &Encoded, pairs: &CaptionBatch) -> Part {
        let [image, text] = self.embed(image, text);
        let count = pairs.ids.len();
        let fits = pairs.fits.as_ref();
        let Contrastive { loss, hits } = info_nce_of(image, text, self.scale(), fits, 0..count);
        Part {
            task: Task::Contrast,
            loss,
            hits: Some(hits),
            guesses: 2 * count,
        }
    }

    /// Each pair, then each image with another text, then each text with another image; without negatives the pairs alone.
    fn matching(
        &self,
        image: &Encoded,
        text: &Encoded,
        pairs: &CaptionBatch,
        negatives: Option<bool>,
    ) -> Part {
        let count = pairs.ids.len();
        let own = Tensor::<1, Int>::arange(0..count as i64, &image.pooled.device());
        let (mut image_of, mut text_of) = (vec![own.clone()], vec![own.clone()]);
        if let Some(draw) = negatives {
            let [images, texts] = self.embed(image, text).map(normalise);
            let similarity = matmul(images, texts.transpose()) * self.scale().reshape([1, 1]);
            let fits = &pairs.fits;
            let other_texts = hard_negatives(similarity.clone(), fits.clone(), draw);
            let fits = fits.clone().map(Tensor::transpose);
            let other_images = hard_negatives(similarity.transpose(), fits, draw);
            image_of.extend([own.clone(), other_images]);
            text_of.extend([other_texts, own]);
        }
        let fused = self.encoder.fusion.forward(Modalities {
            image: image.clone(),
            text: text.clone(),
            image_of: Tensor::cat(image_of, 0),
            text_of: Tensor::cat(text_of, 0),
            missing: Missing::default(),
        });
        let logits = project(&self.matcher, fused);
        let [guesses, _] = logits.dims();
        let still = logits.clone().without_autodiff();
        let targets = matching_targets(&still, count);
        let right = still.argmax(1).squeeze_dim::<1>(1).equal(targets);
        Part {
            task: Task::Matching,
            loss: matching(logits, count),
            hits: Some(right.int().sum()),
            guesses,
        }
    }

    fn words(&self, image: Encoded, hidden: Hidden) -> Part {
        let Tokens { ids, padding } = hidden.texts;
        let text = self.encoder.encode_text(ids, padding);
        let (_, text) = self.encoder.fusion.tokens(Modalities::paired(image, text));
        let states = at_positions(text.values, hidden.positions);
        let words = self.encoder.text.embeddings.word.weight.val();
        let logits = self.language.forward(states, words);
        let said = logits
            .clone()
            .without_autodiff()
            .argmax(1)
            .squeeze_dim::<1>(1);
        let right = said.equal(hidden.targets.clone().without_autodiff());
        let [guesses] = hidden.targets.dims();
        Part {
            task: Task::Words,
            loss: masked_language(logits, hidden.targets),
            hits: Some(right.int().sum()),
            guesses,
        }
    }

    /// From the image alone; with early fusion, whose towers see nothing beyond a patch, from its text too.
    fn patches(&self, batch: CaptionBatch, hidden: Tensor<2>) -> Part {
        let CaptionBatch { images, texts, .. } = batch;
        let target = patchify(images.clone(), self.patch);
        let [pairs, patches, _] = target.dims();
        let seen = hide_patches(images, hidden.clone(), self.patch);
        let image = self.encoder.vision.forward(seen);
        let fusion = &self.encoder.fusion;
        let tokens = match fusion.family() {
            Family::Early => {
                let text = self.encoder.encode_text(texts.ids, texts.padding);
                fusion.tokens(Modalities::paired(image, text)).0.values
            }
            Family::Mid | Family::Late => image.tokens,
        };
        // A `[CLS]` token stands before the patches.
        let [_, length, _] = tokens.dims();
        let tokens = tokens.narrow(1, length - patches, patches);
        Part {
            task: Task::Patches,
            loss: pixel_loss(project(&self.pixels, tokens), target, hidden),
            hits: None,
            guesses: pairs,
        }
    }

    /// The weighted sum, with what is learnt about the losses' noise if anything.
    fn sum(&self, parts: &[Part]) -> Tensor<1> {
        let weight = |part: &Part| (part.loss.clone(), self.tasks.weight(part.task));
        match &self.log_variances {
            None => weighted(parts.iter().map(weight)),
            Some(all) => {
                let losses = parts.iter().map(weight).map(|(loss, weight)| loss * weight);
                let used = parts
                    .iter()
                    .map(|part| all.val().narrow(0, part.task as usize, 1));
                uncertainty(losses.collect(), Tensor::cat(used.collect(), 0))
            }
        }
    }
}

impl Embed for VlpModel {
    fn embed_images(&self, images: Tensor<4>) -> Tensor<2> {
        project(
            &self.pairing.image,
            self.encoder.vision.forward(images).pooled,
        )
    }

    fn embed_texts(&self, texts: Tokens) -> Tensor<2> {
        let text = self.encoder.encode_text(texts.ids, texts.padding);
        project(&self.pairing.text, text.pooled)
    }

    fn scale(&self) -> Tensor<1> {
        let log = self.pairing.log_scale.val();
        log.clamp_max(LARGEST_SCALE.ln()).exp()
    }
}

impl TrainStep for VlpModel {
    type Input = VlpBatch;
    type Output = VlpOutput;

    fn step(&self, batch: VlpBatch) -> TrainOutput<VlpOutput> {
        let output = self.learn(batch, true);
        TrainOutput::new(self, backward(&output.loss), output)
    }
}

impl InferenceStep for VlpModel {
    type Input = VlpBatch;
    type Output = VlpOutput;

    fn step(&self, batch: VlpBatch) -> VlpOutput {
        self.learn(batch, false)
    }
}

impl ItemLazy for VlpOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        let still = |part: Part| Part {
            loss: part.loss.without_autodiff(),
            hits: part.hits.map(Tensor::without_autodiff),
            ..part
        };
        Ok(Self {
            loss: self.loss.without_autodiff(),
            parts: self.parts.into_iter().map(still).collect(),
            ids: self.ids,
        })
    }
}

impl Observe for VlpOutput {
    /// Every task's loss, and how often it is right.
    fn observe(&self) -> Vec<Scalar> {
        let read = |loss: &Tensor<1>| loss.clone().without_autodiff().into_scalar::<f64>();
        let all = Scalar::mean("loss", read(&self.loss), self.ids.len() as f64);
        let mut scalars = vec![all];
        for part in &self.parts {
            let [loss, accuracy] = part.task.metrics();
            let weight = part.guesses as f64;
            scalars.push(Scalar::mean(loss, read(&part.loss), weight));
            if let Some(hits) = &part.hits {
                let sum = hits.clone().without_autodiff().into_scalar::<i64>() as f64;
                scalars.push(Scalar {
                    name: accuracy,
                    sum,
                    weight,
                });
            }
        }
        scalars
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }
}
