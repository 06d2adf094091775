//! A masked autoencoder with its loss.

use burn::module::Module;
use burn::tensor::{ExecutionError, Tensor};
use burn::train::{ItemLazy, TrainOutput};
use crucible_objectives::pixels::{
    denormalise_patches, hide_patches, normalise_patches, patchify, pixel_loss, unpatchify,
};
use crucible_training::{Observe, Scalar, backward, steps};
use crucible_transformer::{Activation, EncoderConfig, Pooling};
use crucible_vision::{MaskedAutoencoder, MaskedAutoencoderConfig, VitConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::collate::PatchBatch;

/// An image encoder of plain patches, and the decoder that helps it learn.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AutoencoderConfig {
    /// Width of the encoder's tokens.
    pub d_model: usize,
    /// Attention heads of encoder and decoder; must divide the width of both.
    pub heads: usize,
    /// Width of the hidden layer of each of the encoder's feed-forward networks.
    pub d_ff: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// Width of the decoder's tokens; its hidden layers are four times as wide.
    pub d_decoder: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// How the patches become one vector for a probe: mean or max.
    pub pooling: Pooling,
    /// Non-linearity: gelu, gelu-tanh or relu.
    pub activation: Activation,
}

impl AutoencoderConfig {
    /// For images of that many pixels a side.
    pub fn autoencoder(&self, image_size: usize) -> MaskedAutoencoderConfig {
        let encoder = EncoderConfig::new(self.d_model, self.heads, self.d_ff, self.layers)
            .with_activation(self.activation);
        let (width, layers) = (self.d_decoder, self.decoder_layers);
        let decoder = EncoderConfig::new(width, self.heads, 4 * width, layers)
            .with_activation(self.activation);
        let vision =
            VitConfig::new(image_size, self.patch_size, encoder).with_pooling(self.pooling);
        MaskedAutoencoderConfig::new(vision, decoder)
    }
}

/// The autoencoder and what it guesses.
#[derive(Module, Debug)]
pub struct PixelModel {
    /// Encoder and decoder; the encoder's path is that of the image tower of other recipes.
    pub encoder: MaskedAutoencoder,
    /// Pixels of a patch's side.
    pub patch: usize,
    /// Whether patches are guessed less their mean and over their deviation.
    pub normalise: bool,
}

/// What a step came to.
#[derive(Clone, Debug)]
pub struct PixelOutput {
    /// Mean over the hidden patches, `[1]`.
    pub loss: Tensor<1>,
    /// The images' ids.
    pub ids: Vec<String>,
}

impl PixelModel {
    /// The images, what is seen of them, and the same with what is guessed of the rest.
    ///
    /// # Shapes
    /// - output: thrice `[images, channels, height, width]`
    pub fn reconstruct(&self, batch: PatchBatch) -> [Tensor<4>; 3] {
        let PatchBatch { images, hidden, .. } = batch;
        let patches = patchify(images.clone(), self.patch);
        let guessed = self.encoder.forward(images.clone(), batch.visible);
        let guessed = match self.normalise {
            true => denormalise_patches(guessed, patches.clone()),
            false => guessed,
        };
        let seen = hide_patches(images.clone(), hidden.clone(), self.patch);
        let [_, _, height, _] = images.dims();
        let guessed = unpatchify(
            guessed * hidden.unsqueeze_dim::<3>(2),
            height / self.patch,
            self.patch,
        );
        [images, seen.clone(), seen + guessed]
    }

    fn guess(&self, batch: PatchBatch) -> PixelOutput {
        let target = patchify(batch.images.clone(), self.patch);
        let target = match self.normalise {
            true => normalise_patches(target),
            false => target,
        };
        let guessed = self.encoder.forward(batch.images, batch.visible);
        PixelOutput {
            loss: pixel_loss(guessed, target, batch.hidden),
            ids: batch.ids,
        }
    }
}

steps!(PixelModel, PatchBatch, PixelOutput, guess);

impl PixelOutput {
    fn backward(self, model: &PixelModel) -> TrainOutput<Self> {
        TrainOutput::new(model, backward(&self.loss), self)
    }
}

impl ItemLazy for PixelOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            ids: self.ids,
        })
    }
}

impl Observe for PixelOutput {
    fn observe(&self) -> Vec<Scalar> {
        let loss: f64 = self.loss.clone().without_autodiff().into_scalar();
        vec![Scalar::mean("loss", loss, self.ids.len() as f64)]
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }
}
