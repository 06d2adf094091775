use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{Activation, linear};
use schemars::JsonSchema;

use crate::Downsample;

/// Configuration of a [`PatchEmbedding`].
#[derive(Config, Debug, JsonSchema)]
pub struct PatchEmbeddingConfig {
    /// Height and width of the images, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; must divide `image_size`.
    pub patch_size: usize,
    /// Width of the tokens.
    pub d_model: usize,
    /// Channels of the images.
    #[config(default = 3)]
    pub channels: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for no stem.
    #[config(default = "Vec::new()")]
    pub stem: Vec<usize>,
    /// Non-linearity of the stem.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
}

/// Images to patch tokens.
///
/// Without a stem, the non-overlapping patches of ViT (Dosovitskiy et al. 2021); with one, the early
/// convolutions of Xiao et al. 2021: each stage halves the image, and what is left of the patch goes
/// through the same projection. The projection is a convolution whose stride is its kernel, written as the
/// matrix product that it is.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    /// The convolutional stem; empty for plain patches.
    pub stem: Vec<Downsample>,
    /// `[cell * cell * channels, d_model]`, its rows in the order `(y, x, channel)`, where `cell` is
    /// `patch_size` without a stem and half of it for each stage.
    pub projection: Linear,
    cell: usize,
}

impl PatchEmbeddingConfig {
    /// How many tokens an image becomes.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// An embedding with fresh weights.
    ///
    /// # Panics
    /// When `patch_size` does not divide `image_size`, or the stem does not divide `patch_size`.
    pub fn init(&self, device: &Device) -> PatchEmbedding {
        let stride = 1 << self.stem.len();
        assert!(
            self.patch_size > 0 && self.image_size.is_multiple_of(self.patch_size),
            "image_size ({}) must be a multiple of patch_size ({})",
            self.image_size,
            self.patch_size
        );
        assert!(
            self.patch_size.is_multiple_of(stride),
            "patch_size ({}) must be a multiple of the stem's stride ({stride})",
            self.patch_size
        );
        let mut channels = self.channels;
        let mut stem = Vec::with_capacity(self.stem.len());
        for &width in &self.stem {
            stem.push(Downsample::new(channels, width, self.activation, device));
            channels = width;
        }
        let cell = self.patch_size / stride;
        PatchEmbedding {
            stem,
            projection: linear(cell * cell * channels, self.d_model, device),
            cell,
        }
    }
}

impl PatchEmbedding {
    /// Patches row by row, from the upper left.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, image_size, image_size]`
    /// - output: `[batch, patches, d_model]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let x = images.permute([0, 2, 3, 1]);
        let x = self.stem.iter().fold(x, |x, stage| stage.forward(x));
        let [batch, height, width, channels] = x.dims();
        let cell = self.cell;
        let (rows, columns) = (height / cell, width / cell);
        let cells = x
            .reshape([batch, rows, cell, columns, cell * channels])
            .swap_dims(2, 3)
            .reshape([batch, rows * columns, cell * cell * channels]);
        self.projection.forward(cells)
    }
}
