use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{Activation, ConfigError, linear, project};
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
    /// The stem starts from cells of so many pixels, folded into channels; 1 for single pixels.
    #[config(default = 1)]
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for no stem.
    #[config(default = "Vec::new()")]
    pub stem: Vec<usize>,
    /// Non-linearity of the stem.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Whether the projection has a bias; that of CLIP has none.
    #[config(default = true)]
    pub bias: bool,
}

/// Images to patch tokens.
///
/// Without a stem, the non-overlapping patches of ViT (Dosovitskiy et al. 2021); with one, the early
/// convolutions of Xiao et al. 2021: each stage halves the image, and what is left of the patch goes
/// through the same projection. The projection is a convolution whose stride is its kernel, written as the
/// matrix product that it is. A stem that starts from cells of several pixels skips the costly
/// convolutions at full resolution.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    /// The convolutional stem; empty for plain patches.
    pub stem: Vec<Downsample>,
    /// `[cell * cell * channels, d_model]`, its rows in the order `(y, x, channel)`, where `cell` is
    /// `patch_size` without a stem and half of it for each stage.
    pub projection: Linear,
    stem_cell: usize,
    cell: usize,
}

impl PatchEmbeddingConfig {
    /// How many tokens an image becomes.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Pixels from one output of the stem to the next; must divide `patch_size`.
    pub fn stem_stride(&self) -> usize {
        self.stem_cell
            .checked_shl(self.stem.len() as u32)
            .unwrap_or(0)
    }

    /// Whether the sizes fit together.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (image, patch, stride) = (self.image_size, self.patch_size, self.stem_stride());
        ConfigError::unless(
            patch > 0 && image > 0 && image.is_multiple_of(patch),
            "patch_size",
            || format!("is {patch}, which does not divide the image's size ({image})"),
        )?;
        ConfigError::unless(!self.stem.contains(&0), "stem", || {
            "must not have a width of 0".into()
        })?;
        ConfigError::unless(stride > 0 && patch.is_multiple_of(stride), "stem", || {
            format!("has a stride of {stride} pixels, which does not divide patch_size ({patch})")
        })
    }

    /// An embedding with fresh weights.
    ///
    /// # Panics
    /// When [`check`](Self::check) fails.
    pub fn init(&self, device: &Device) -> PatchEmbedding {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
        let mut channels = self.stem_cell.pow(2) * self.channels;
        let mut stem = Vec::with_capacity(self.stem.len());
        for &width in &self.stem {
            stem.push(Downsample::new(channels, width, self.activation, device));
            channels = width;
        }
        let cell = self.patch_size / self.stem_stride();
        let mut projection = linear(cell * cell * channels, self.d_model, device);
        projection.bias = projection.bias.filter(|_| self.bias);
        PatchEmbedding {
            stem,
            projection,
            stem_cell: self.stem_cell,
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
        let x = fold(images.permute([0, 2, 3, 1]), self.stem_cell);
        let x = self.stem.iter().fold(x, |x, stage| stage.forward(x));
        let x = fold(x, self.cell);
        let [batch, rows, columns, channels] = x.dims();
        project(
            &self.projection,
            x.reshape([batch, rows * columns, channels]),
        )
    }
}

/// Cells of `cell` x `cell` pixels, each pixel's channels side by side in the order `(y, x, channel)`.
///
/// # Shapes
/// - from `[batch, height, width, channels]`
///   to `[batch, height / cell, width / cell, cell * cell * channels]`
fn fold(x: Tensor<4>, cell: usize) -> Tensor<4> {
    if cell == 1 {
        return x;
    }
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height / cell, width / cell);
    x.reshape([batch, rows, cell, columns, cell * channels])
        .swap_dims(2, 3)
        .reshape([batch, rows, columns, cell * cell * channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::{module::conv2d, ops::ConvOptions};

    #[test]
    fn plain_patches_are_a_convolution_whose_stride_is_its_kernel() {
        let embedding = PatchEmbeddingConfig::new(12, 4, 6).init(&device());
        let images = values([2, 3, 12, 12], 1, &device());
        let kernel = embedding
            .projection
            .weight
            .val()
            .reshape([4, 4, 3, 6])
            .permute([3, 2, 0, 1]);
        let options = ConvOptions::new([4, 4], [0, 0], [1, 1], 1);
        let expected = conv2d(images.clone(), kernel, None, options);
        let expected = expected.flatten::<3>(2, 3).swap_dims(1, 2);
        assert!(difference(embedding.forward(images), expected) < 1e-5);
    }

    #[test]
    fn each_kind_of_stem_gives_the_same_tokens_and_trains() {
        for (stem_cell, stem) in [
            (1, vec![]),
            (1, vec![5]),
            (1, vec![5, 7, 4]),
            (2, vec![5]),
            (4, vec![6]),
            (8, vec![]),
        ] {
            let config = PatchEmbeddingConfig::new(16, 8, 6)
                .with_stem_cell(stem_cell)
                .with_stem(stem);
            let embedding = config.init(&device());
            let output = embedding.forward(values([2, 3, 16, 16], 1, &device()));
            assert_eq!(output.dims(), [2, config.patches(), 6]);
            assert_gradients_reach_everything(&embedding, output);
        }
    }

    #[test]
    fn a_patch_sees_its_own_pixels_alone_without_a_stem() {
        let embedding = PatchEmbeddingConfig::new(8, 4, 6).init(&device());
        let images = values([1, 3, 8, 8], 1, &device());
        // Within the upper right patch, the second token.
        let changed = images
            .clone()
            .slice_assign([0..1, 0..3, 1..3, 5..7], values([1, 3, 2, 2], 2, &device()));
        let [a, b] = [images, changed].map(|images| embedding.forward(images));
        for token in 0..4 {
            let moved = difference(a.clone().narrow(1, token, 1), b.clone().narrow(1, token, 1));
            assert_eq!(moved > 1e-3, token == 1, "token {token} moved by {moved}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_name_the_field() {
        let good = PatchEmbeddingConfig::new(16, 8, 6);
        assert_eq!(good.check(), Ok(()));
        for (config, field) in [
            (PatchEmbeddingConfig::new(16, 5, 6), "patch_size"),
            (PatchEmbeddingConfig::new(16, 0, 6), "patch_size"),
            (PatchEmbeddingConfig::new(0, 8, 6), "patch_size"),
            (good.clone().with_stem(vec![4; 4]), "stem"),
            (good.clone().with_stem(vec![4, 0]), "stem"),
            (good.clone().with_stem(vec![4; 70]), "stem"),
            (good.with_stem_cell(3), "stem"),
        ] {
            assert_eq!(config.check().unwrap_err().field, field, "{config:?}");
        }
    }
}
