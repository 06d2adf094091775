use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use crucible_transformer::{
    ConfigError, Encoder, EncoderConfig, Pooling, PositionKind, Positions, embedding_initializer,
    linear, project,
};
use schemars::JsonSchema;

use crate::{Vit, VitConfig};

/// Configuration of a [`MaskedAutoencoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct MaskedAutoencoderConfig {
    /// The encoder, of plain patches: a stem would show some of what is hidden.
    pub vision: VitConfig,
    /// The decoder, narrower and shallower.
    pub decoder: EncoderConfig,
}

/// A masked autoencoder (He et al. 2022, section 3): the encoder sees only the patches that are not hidden, a light
/// decoder puts a mask token in place of each hidden one and guesses its pixels.
#[derive(Module, Debug)]
pub struct MaskedAutoencoder {
    /// The encoder.
    pub vision: Vit,
    /// From its width to the decoder's.
    pub bridge: Linear,
    /// Stands for what is hidden, `[1, 1, d_decoder]`.
    pub mask_token: Param<Tensor<3>>,
    /// Of the decoder, one for each patch.
    pub position: Positions,
    /// The decoder.
    pub decoder: Encoder,
    /// From its width to the pixels of a patch.
    pub pixels: Linear,
}

/// Which patches are seen.
#[derive(Clone, Debug)]
pub struct Visible {
    /// The patches that are seen, in ascending order, as rows of all images: image times patches plus patch,
    /// `[images * seen]`.
    pub seen: Tensor<1, Int>,
    /// For each patch of each image its place in the sequence of what was seen followed by one mask token, as rows of all
    /// images: image times (seen + 1) plus place, `[images * patches]`.
    pub places: Tensor<1, Int>,
}

impl MaskedAutoencoderConfig {
    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.vision.check()?;
        self.decoder.check()?;
        ConfigError::unless(self.vision.stem.is_empty(), "stem", || {
            "must be empty: a convolution over the borders of patches shows what is hidden".into()
        })?;
        ConfigError::unless(self.vision.pooling != Pooling::Cls, "pooling", || {
            "must be mean or max: without a task a [CLS] token learns nothing".into()
        })
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> MaskedAutoencoder {
        let vision = &self.vision;
        let (d_model, d_decoder) = (vision.encoder.d_model, self.decoder.d_model);
        let values = vision.patch_size.pow(2) * vision.channels;
        MaskedAutoencoder {
            vision: vision.init(device),
            bridge: linear(d_model, d_decoder, device),
            mask_token: embedding_initializer().init([1, 1, d_decoder], device),
            position: PositionKind::Learned.init(vision.tokens(), d_decoder, device),
            decoder: self.decoder.init(device),
            pixels: linear(d_decoder, values, device),
        }
    }
}

impl MaskedAutoencoder {
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, patches, patch * patch * channels]`, of the patches that were seen too
    pub fn forward(&self, images: Tensor<4>, visible: Visible) -> Tensor<3> {
        let tokens = self.vision.embed(images);
        let [batch, patches, _] = tokens.dims();
        let seen = rows(tokens, visible.seen, batch);
        let seen = project(&self.bridge, self.vision.encoder.forward(seen, None));
        let [_, _, width] = seen.dims();
        let mask = self.mask_token.val().expand([batch, 1, width]);
        let all = rows(Tensor::cat(vec![seen, mask], 1), visible.places, batch);
        debug_assert_eq!(all.dims(), [batch, patches, width]);
        let decoded = self.decoder.forward(self.position.forward(all), None);
        project(&self.pixels, decoded)
    }
}

/// The rows of all sequences that are named, as many of each.
///
/// # Shapes
/// - from `[batch, length, d]` to `[batch, chosen / batch, d]`
fn rows(x: Tensor<3>, chosen: Tensor<1, Int>, batch: usize) -> Tensor<3> {
    let [_, length, width] = x.dims();
    let [count] = chosen.dims();
    let flat = x.reshape([batch * length, width]).select(0, chosen);
    flat.reshape([batch, count / batch, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    fn model() -> MaskedAutoencoder {
        let vision =
            VitConfig::new(8, 4, EncoderConfig::new(8, 2, 12, 1)).with_pooling(Pooling::Mean);
        let config = MaskedAutoencoderConfig::new(vision, EncoderConfig::new(6, 2, 8, 1));
        assert_eq!(config.check(), Ok(()));
        config.init(&device())
    }

    /// Of two images with four patches each: the first and last are seen, then the second and third.
    fn visible() -> Visible {
        Visible {
            seen: Tensor::from_ints([0, 3, 4 + 1, 4 + 2], &device()),
            places: Tensor::from_ints([0, 2, 2, 1, 3 + 2, 3, 3 + 1, 3 + 2], &device()),
        }
    }

    #[test]
    fn every_patch_is_guessed_and_everything_trains() {
        let model = model();
        let guessed = model.forward(values([2, 3, 8, 8], 1, &device()), visible());
        assert_eq!(guessed.dims(), [2, 4, 48]);
        assert_gradients_reach_everything(&model, guessed);
    }

    #[test]
    fn what_is_hidden_changes_nothing_and_what_is_seen_does() {
        let model = model();
        let images = values([2, 3, 8, 8], 1, &device());
        let guess = |images| model.forward(images, visible());
        let other = values([1, 3, 4, 4], 2, &device());
        // The upper right patch of the first image is hidden, the upper left one is not.
        let hidden = images
            .clone()
            .slice_assign([0..1, 0..3, 0..4, 4..8], other.clone());
        let seen = images.clone().slice_assign([0..1, 0..3, 0..4, 0..4], other);
        let before = guess(images);
        assert_eq!(difference(guess(hidden), before.clone()), 0.0);
        assert!(difference(guess(seen), before) > 1e-3);
    }

    #[test]
    fn a_stem_and_a_class_token_are_refused() {
        let vision = VitConfig::new(8, 4, EncoderConfig::new(8, 2, 12, 1));
        let decoder = EncoderConfig::new(6, 2, 8, 1);
        let field = |vision| {
            MaskedAutoencoderConfig::new(vision, decoder.clone())
                .check()
                .unwrap_err()
                .field
        };
        assert_eq!(field(vision.clone()), "pooling");
        assert_eq!(
            field(vision.with_pooling(Pooling::Mean).with_stem(vec![4])),
            "stem"
        );
    }
}
