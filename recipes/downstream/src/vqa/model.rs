//! The model of the `vqa` recipe: a fusion encoder and a small classifier over the answers.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_datasets::VqaBatch;
use crucible_fusion::{FusionEncoder, FusionEncoderConfig, FusionInput};
use crucible_kernels::cross_entropy;
use crucible_training::ClassificationOutput;
use crucible_transformer::{
    Activation, EncoderConfig, Pooling, TextEncoderConfig, linear, project, project_and_activate,
};
use crucible_vision::VitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::VqaConfig;

/// Image and text towers of one width. The presets share the layers out so that all strategies have
/// about equally many parameters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TowersConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Layers of the image tower before fusion.
    pub image_layers: usize,
    /// Layers of the text tower before fusion.
    pub text_layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// The stem starts from cells of so many pixels; 1 for single pixels.
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    pub stem: Vec<usize>,
    /// How each tower's tokens become one vector: cls, mean or max.
    pub pooling: Pooling,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh or relu (the cheapest).
    pub activation: Activation,
}

impl VqaConfig {
    /// The encoder for a vocabulary of that size.
    pub fn encoder(&self, vocabulary: usize) -> FusionEncoderConfig {
        let model = &self.model;
        let stack = |layers| {
            EncoderConfig::new(model.d_model, model.heads, model.d_ff, layers)
                .with_dropout(model.dropout)
                .with_activation(model.activation)
        };
        let vision = VitConfig::new(self.image.size, model.patch_size, stack(model.image_layers))
            .with_stem_cell(model.stem_cell)
            .with_stem(model.stem.clone())
            .with_pooling(model.pooling);
        let text = TextEncoderConfig::new(
            vocabulary,
            self.tokenizer.max_length,
            stack(model.text_layers),
        )
        .with_pooling(model.pooling);
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
        let fused = self.encoder.forward(FusionInput {
            images: batch.images,
            image_of: batch.image_of,
            tokens: batch.tokens,
            padding: batch.padding,
            text_of: batch.text_of,
        });
        let hidden = project_and_activate(&self.hidden, fused, self.activation);
        project(&self.output, hidden)
    }

    /// The logits with their cross-entropy.
    pub fn answer(&self, batch: VqaBatch) -> ClassificationOutput {
        let (targets, ids) = (batch.answers.clone(), batch.ids.clone());
        let logits = self.logits(batch);
        let loss = cross_entropy(logits.clone(), targets.clone(), 0.0);
        ClassificationOutput {
            loss,
            logits,
            targets,
            ids,
        }
    }
}

impl TrainStep for VqaModel {
    type Input = VqaBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: VqaBatch) -> TrainOutput<ClassificationOutput> {
        self.answer(batch).backward(self)
    }
}

impl InferenceStep for VqaModel {
    type Input = VqaBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: VqaBatch) -> ClassificationOutput {
        self.answer(batch)
    }
}
