//! The model of the `vqa` recipe: a fusion encoder and a small classifier over the answers.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use crucible_datasets::VqaBatch;
use crucible_fusion::{FusionEncoder, FusionEncoderConfig, FusionInput, Missing, Strategy};
use crucible_training::{ClassificationOutput, steps};
use crucible_transformer::{Activation, linear, project, project_and_activate};

use super::VqaConfig;
use crucible_shared::classifier::Beside;

impl VqaConfig {
    /// The encoder for a vocabulary of that size.
    pub fn encoder(&self, vocabulary: usize) -> FusionEncoderConfig {
        let vision = self.model.vision(self.image.size);
        let text = self.model.text(vocabulary, self.tokenizer.max_length);
        FusionEncoderConfig::new(vision, text, self.fusion.clone())
    }

    /// A model with fresh weights.
    pub fn init(&self, vocabulary: usize, answers: usize, device: &Device) -> VqaModel {
        let d_model = self.model.d_model;
        VqaModel {
            encoder: self.encoder(vocabulary).init(device),
            hidden: linear(d_model, 2 * d_model, device),
            output: linear(2 * d_model, answers, device),
            activation: self.model.activation,
        }
    }
}

/// The fused vector of image and question through a small classifier over the answers.
#[derive(Module, Debug)]
pub struct VqaModel {
    encoder: FusionEncoder,
    hidden: Linear,
    output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl VqaModel {
    /// # Shapes
    /// - output: logits `[questions, answers]`
    pub fn logits(&self, batch: VqaBatch) -> Tensor<2> {
        self.encoder.decide(input(batch), &|fused| {
            let hidden = project_and_activate(&self.hidden, fused, self.activation);
            project(&self.output, hidden)
        })
    }

    /// Which image each question is about and, where the fusion weighs the two, how much it weighs.
    pub fn beside(&self, batch: VqaBatch) -> Beside {
        let image_of = Some(batch.image_of.clone());
        let fusion = &self.encoder.fusion;
        let weights = || fusion.image_weight(self.encoder.encode(input(batch)));
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

fn input(batch: VqaBatch) -> FusionInput {
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
