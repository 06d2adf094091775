use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    ConfigError, Encoded, Encoder, EncoderConfig, Pooling, PositionKind, Positions,
    embedding_initializer,
};
use schemars::JsonSchema;

use crate::{PatchEmbedding, PatchEmbeddingConfig};

/// Configuration of a [`Vit`].
#[derive(Config, Debug, JsonSchema)]
pub struct VitConfig {
    /// Height and width of the images, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; must divide `image_size`.
    pub patch_size: usize,
    /// The transformer.
    pub encoder: EncoderConfig,
    /// Channels of the images.
    #[config(default = 3)]
    pub channels: usize,
    /// The stem starts from cells of so many pixels, folded into channels; 1 for single pixels.
    #[config(default = 1)]
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    #[config(default = "Vec::new()")]
    pub stem: Vec<usize>,
    /// A trained `[CLS]` token before the patches, or the mean over the patches.
    #[config(default = "Pooling::Cls")]
    pub pooling: Pooling,
}

/// Vision Transformer (Dosovitskiy et al. 2021).
#[derive(Module, Debug)]
pub struct Vit {
    /// Images to tokens.
    pub patch_embedding: PatchEmbedding,
    /// `[1, 1, d_model]`; only with [`Pooling::Cls`].
    pub class_token: Option<Param<Tensor<3>>>,
    /// Learned, one per token, `[CLS]` included.
    pub position: Positions,
    dropout: Dropout,
    /// The transformer.
    pub encoder: Encoder,
    #[module(skip)]
    pooling: Pooling,
}

impl VitConfig {
    /// ViT-Ti/16 for 224 pixels (Touvron et al. 2021): 5.5 M parameters.
    pub fn tiny() -> Self {
        Self::patch_16(192, 3)
    }

    /// ViT-S/16 for 224 pixels (Touvron et al. 2021): 21.7 M parameters.
    pub fn small() -> Self {
        Self::patch_16(384, 6)
    }

    /// ViT-B/16 for 224 pixels (Dosovitskiy et al. 2021): 85.8 M parameters.
    pub fn base() -> Self {
        Self::patch_16(768, 12)
    }

    fn patch_16(d_model: usize, heads: usize) -> Self {
        let encoder = EncoderConfig::new(d_model, heads, 4 * d_model, 12).with_norm_epsilon(1e-6);
        Self::new(224, 16, encoder)
    }

    /// The configuration of its input layer.
    pub fn patch_embedding(&self) -> PatchEmbeddingConfig {
        PatchEmbeddingConfig::new(self.image_size, self.patch_size, self.encoder.d_model)
            .with_channels(self.channels)
            .with_stem_cell(self.stem_cell)
            .with_stem(self.stem.clone())
            .with_activation(self.encoder.activation)
    }

    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.patch_embedding().check()?;
        self.encoder.check()?;
        self.encoder.attention.check_length(self.tokens())
    }

    /// Length of the token sequence, `[CLS]` included.
    pub fn tokens(&self) -> usize {
        self.patch_embedding().patches() + usize::from(self.pooling == Pooling::Cls)
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> Vit {
        let d_model = self.encoder.d_model;
        Vit {
            patch_embedding: self.patch_embedding().init(device),
            class_token: (self.pooling == Pooling::Cls)
                .then(|| embedding_initializer().init([1, 1, d_model], device)),
            position: PositionKind::Learned.init(self.tokens(), d_model, device),
            dropout: DropoutConfig::new(self.encoder.dropout).init(),
            encoder: self.encoder.init(device),
            pooling: self.pooling,
        }
    }
}

impl Vit {
    /// # Shapes
    /// - `images`: `[batch, channels, image_size, image_size]`
    /// - output: tokens `[batch, tokens, d_model]` (with `[CLS]`: it comes first), pooled
    ///   `[batch, d_model]`, no mask
    pub fn forward(&self, images: Tensor<4>) -> Encoded {
        let tokens = self.encoder.forward(self.embed(images), None);
        let pooled = self.pooling.forward(tokens.clone(), None);
        Encoded {
            tokens,
            pooled,
            mask: None,
        }
    }

    /// The input of the transformer, which single-stream models use by itself.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, image_size, image_size]`
    /// - output: `[batch, tokens, d_model]`
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embedding.forward(images);
        let tokens = match &self.class_token {
            Some(class_token) => {
                let [batch, _, d_model] = patches.dims();
                Tensor::cat(
                    vec![class_token.val().expand([batch, 1, d_model]), patches],
                    1,
                )
            }
            None => patches,
        };
        self.dropout.forward(self.position.forward(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    fn config(pooling: Pooling) -> VitConfig {
        VitConfig::new(16, 8, EncoderConfig::new(8, 2, 12, 2)).with_pooling(pooling)
    }

    #[test]
    fn shapes_are_as_documented_and_everything_trains() {
        for (pooling, tokens) in [(Pooling::Cls, 5), (Pooling::Mean, 4)] {
            let config = config(pooling);
            assert_eq!(config.tokens(), tokens);
            let model = config.init(&device());
            let encoded = model.forward(values([3, 3, 16, 16], 1, &device()));
            assert_eq!(encoded.tokens.dims(), [3, tokens, 8]);
            assert_eq!(encoded.pooled.dims(), [3, 8]);
            assert!(encoded.mask.is_none());
            assert_gradients_reach_everything(&model, encoded.pooled);
        }
    }

    #[test]
    fn images_do_not_mix() {
        let model = config(Pooling::Cls).init(&device());
        let images = values([2, 3, 16, 16], 1, &device());
        let alone = model.forward(images.clone().narrow(0, 1, 1)).pooled;
        assert!(difference(model.forward(images).pooled.narrow(0, 1, 1), alone) < 1e-6);
    }

    #[test]
    fn presets_have_the_published_number_of_parameters() {
        // As counted by timm, without the classification head.
        for (config, parameters) in [
            (VitConfig::tiny(), 5_524_416),
            (VitConfig::small(), 21_665_664),
            (VitConfig::base(), 85_798_656),
        ] {
            assert_eq!(config.init(&device()).num_params(), parameters);
        }
    }
}
