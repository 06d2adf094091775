//! The model of the `vqa` recipe: a fusion encoder and a small classifier over the answers.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use crucible_datasets::VqaBatch;
use crucible_fusion::{
    FusionEncoder, FusionEncoderConfig, FusionInput, Missing, Modalities, Strategy,
};
use crucible_training::{ClassificationOutput, steps};
use crucible_transformer::{Activation, linear, project, project_and_activate};

use crate::classifier::Beside;

/// The file of a run that lists what its model can answer.
pub const ANSWERS: &str = "answers.json";

/// The fused vector of image and question through a small classifier over the answers.
#[derive(Module, Debug)]
pub struct VqaModel {
    /// Two towers and what joins them.
    pub encoder: FusionEncoder,
    hidden: Linear,
    output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl VqaModel {
    /// A model of so many answers with fresh weights; its classifier has the activation of the towers.
    pub fn new(encoder: &FusionEncoderConfig, answers: usize, device: &Device) -> Self {
        let d_model = encoder.d_model();
        Self {
            encoder: encoder.init(device),
            hidden: linear(d_model, 2 * d_model, device),
            output: linear(2 * d_model, answers, device),
            activation: encoder.vision.encoder.activation,
        }
    }

    /// # Shapes
    /// - output: logits `[questions, answers]`
    pub fn logits(&self, batch: VqaBatch) -> Tensor<2> {
        self.decide(self.encoder.encode(fusion_input(batch)))
    }

    /// What it answers to images and questions that are encoded already.
    ///
    /// # Shapes
    /// - output: logits `[pairs, answers]`
    pub fn decide(&self, modalities: Modalities) -> Tensor<2> {
        self.encoder.fusion.decide(modalities, &|fused| {
            let hidden = project_and_activate(&self.hidden, fused, self.activation);
            project(&self.output, hidden)
        })
    }

    /// Which image each question is about and, where the fusion weighs the two, how much it weighs.
    pub fn beside(&self, batch: VqaBatch) -> Beside {
        let image_of = Some(batch.image_of.clone());
        let fusion = &self.encoder.fusion;
        let weights = || fusion.image_weight(self.encoder.encode(fusion_input(batch)));
        Beside {
            image_of,
            image_weights: fusion.weighs().then(weights).flatten(),
        }
    }

    /// The logits with their cross-entropy.
    pub fn answer(&self, batch: VqaBatch) -> ClassificationOutput {
        let (targets, ids) = (batch.answers.clone(), batch.ids.clone());
        ClassificationOutput::new(self.logits(batch), targets, ids)
    }
}

/// What a fusion encoder reads of a batch.
pub fn fusion_input(batch: VqaBatch) -> FusionInput {
    let questions = batch.image_of.dims();
    let device = batch.images.device().inner();
    let all = || Tensor::<1, Int>::ones(questions, &device).bool();
    let missing = Missing {
        image: batch.blank.image().then(all),
        text: batch.blank.question().then(all),
    };
    FusionInput {
        images: batch.images,
        image_of: batch.image_of,
        tokens: batch.tokens,
        padding: batch.padding,
        text_of: batch.text_of,
        missing,
    }
}

steps!(VqaModel, VqaBatch, ClassificationOutput, answer);
