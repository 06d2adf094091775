// A model has one pooler, whose kinds differ in size; the derived code repeats the enum, where no attribute reaches.
#![allow(clippy::large_enum_variant)]

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    ConfigError, Encoded, Encoder, EncoderConfig, LayerNorm, Pooler, Pooling, PositionKind,
    Positions, embedding_initializer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resize::resize_grid;
use crate::{AttentionPooling, PatchEmbedding, PatchEmbeddingConfig};

/// Which [`VitPooler`] a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VitPoolerKind {
    /// A [`Pooler`] over what is pooled (ViT and DeiT as published by Hugging Face).
    Tanh,
    /// An [`AttentionPooling`] over all tokens (SigLIP).
    Attention,
}

/// What makes the one vector of an image, beyond [`Pooling`].
#[derive(Module, Debug)]
pub enum VitPooler {
    /// Over what is pooled.
    Tanh(Pooler),
    /// In place of pooling.
    Attention(AttentionPooling),
}

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
    /// What makes the one vector of an image, beyond `pooling`.
    pub pooler: Option<VitPoolerKind>,
    /// A second trained token after `[CLS]`, which learns from a teacher (DeiT, Touvron et al. 2021).
    #[config(default = false)]
    pub distillation_token: bool,
    /// A trained vector that stood for hidden patches when the model was made (DINOv2, Oquab et al. 2024).
    #[config(default = false)]
    pub mask_token: bool,
    /// Whether the projection of patches has a bias; that of CLIP has none.
    #[config(default = true)]
    pub patch_bias: bool,
    /// A LayerNorm before the first block (CLIP).
    #[config(default = false)]
    pub embedding_norm: bool,
}

/// Vision Transformer (Dosovitskiy et al. 2021).
#[derive(Module, Debug)]
pub struct Vit {
    /// Images to tokens.
    pub patch_embedding: PatchEmbedding,
    /// `[1, 1, d_model]`; only with [`Pooling::Cls`].
    pub class_token: Option<Param<Tensor<3>>>,
    /// `[1, 1, d_model]`.
    pub distillation_token: Option<Param<Tensor<3>>>,
    /// `[1, 1, d_model]`; no part of what the model gives, but of what is published of it.
    pub mask_token: Option<Param<Tensor<3>>>,
    /// Learned, one per token, `[CLS]` included.
    pub position: Positions,
    /// Over the tokens before the first block.
    pub embedding_norm: Option<LayerNorm>,
    dropout: Dropout,
    /// The transformer.
    pub encoder: Encoder,
    /// What makes the one vector of an image, beyond pooling.
    pub pooler: Option<VitPooler>,
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
            .with_bias(self.patch_bias)
    }

    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.patch_embedding().check()?;
        self.encoder.check()?;
        let class_token = self.pooling == Pooling::Cls;
        ConfigError::unless(
            class_token || !self.distillation_token,
            "distillation_token",
            || "needs a [CLS] token before it".into(),
        )?;
        self.encoder.attention.check_length(self.tokens())
    }

    /// Length of the token sequence, `[CLS]` included.
    pub fn tokens(&self) -> usize {
        let before = [self.pooling == Pooling::Cls, self.distillation_token];
        self.patch_embedding().patches() + before.map(usize::from).into_iter().sum::<usize>()
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> Vit {
        let EncoderConfig {
            d_model,
            norm_epsilon,
            ..
        } = self.encoder;
        let token = || embedding_initializer().init([1, 1, d_model], device);
        let pooler = |kind| match kind {
            VitPoolerKind::Tanh => VitPooler::Tanh(Pooler::new(d_model, device)),
            VitPoolerKind::Attention => {
                VitPooler::Attention(AttentionPooling::new(&self.encoder, device))
            }
        };
        Vit {
            patch_embedding: self.patch_embedding().init(device),
            class_token: (self.pooling == Pooling::Cls).then(token),
            distillation_token: self.distillation_token.then(token),
            mask_token: self.mask_token.then(token),
            position: PositionKind::Learned.init(self.tokens(), d_model, device),
            embedding_norm: (self.embedding_norm)
                .then(|| LayerNorm::new(d_model, norm_epsilon, device)),
            dropout: DropoutConfig::new(self.encoder.dropout).init(),
            encoder: self.encoder.init(device),
            pooler: self.pooler.map(pooler),
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
        self.forward_prompted(images, None)
    }

    /// As [`forward`](Self::forward), with vectors of a prompt between `[CLS]` and the patches, which the output leaves
    /// out (VPT, Jia et al. 2022). See [`Encoder::forward_prompted`].
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward); `prompt`: `[layers, batch or 1, tokens, d_model]`
    pub fn forward_prompted(&self, images: Tensor<4>, prompt: Option<Tensor<4>>) -> Encoded {
        let tokens = self.embed(images);
        let tokens = match prompt {
            Some(prompt) => {
                (self.encoder).forward_prompted(tokens, None, prompt, self.before_patches())
            }
            None => self.encoder.forward(tokens, None),
        };
        let pooled = |tokens| self.pooling.forward(tokens, None);
        Encoded {
            pooled: match &self.pooler {
                None => pooled(tokens.clone()),
                Some(VitPooler::Tanh(pooler)) => pooler.forward(pooled(tokens.clone())),
                Some(VitPooler::Attention(pooling)) => pooling.forward(tokens.clone()),
            },
            tokens,
            mask: None,
        }
    }

    /// How much of the attention goes to the vectors of a prompt, layer by layer: that of `[CLS]`, or, without it, of all
    /// patches. None where a pattern other than full attention weighs.
    ///
    /// # Shapes
    /// - as [`forward_prompted`](Self::forward_prompted); output: `[batch, layers]`, between 0 and 1
    pub fn attention_to_prompt(&self, images: Tensor<4>, prompt: Tensor<4>) -> Option<Tensor<2>> {
        let (tokens, after) = (self.embed(images), self.before_patches());
        let shares = (self.encoder).attention_to_prompt(tokens, None, prompt, after)?;
        let asking = |share: Tensor<2>| match self.class_token {
            Some(_) => share.narrow(1, 0, 1),
            None => share.mean_dim(1),
        };
        Some(Tensor::cat(shares.into_iter().map(asking).collect(), 1))
    }

    /// What enters the first block and what leaves each, before the norm that follows the last.
    ///
    /// # Shapes
    /// - `images`: as [`forward`](Self::forward); outputs: `[batch, tokens, d_model]`
    pub fn hidden_states(&self, images: Tensor<4>) -> Vec<Tensor<3>> {
        self.encoder.hidden_states(self.embed(images), None)
    }

    /// The same model for square images of another size, with so many patches a side: the positions of patches are
    /// interpolated (Dosovitskiy et al. 2021, section 3.2).
    pub fn resized(mut self, patches: usize) -> Self {
        let before = self.before_patches();
        self.position = match self.position {
            Positions::Learned(table) => Positions::Learned(table.map(|table| {
                let [rows, _] = table.dims();
                let old = rows - before;
                let grid = table.clone().narrow(0, before, old);
                let grid = resize_grid(grid, old.isqrt(), patches);
                match before {
                    // There are no empty tensors to be put before it.
                    0 => grid,
                    _ => Tensor::cat(vec![table.narrow(0, 0, before), grid], 0),
                }
            })),
            fixed @ Positions::Sinusoidal(_) => fixed,
        };
        self
    }

    /// How many tokens stand before the patches.
    pub fn before_patches(&self) -> usize {
        let before = [&self.class_token, &self.distillation_token];
        before.into_iter().flatten().count()
    }

    /// The input of the transformer, which single-stream models use by itself.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, image_size, image_size]`
    /// - output: `[batch, tokens, d_model]`
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embedding.forward(images);
        let [batch, _, d_model] = patches.dims();
        let before = [&self.class_token, &self.distillation_token];
        let before = before.into_iter().flatten();
        let mut tokens: Vec<_> = before
            .map(|token| token.val().expand([batch, 1, d_model]))
            .collect();
        let tokens = match tokens.is_empty() {
            true => patches,
            false => {
                tokens.push(patches);
                Tensor::cat(tokens, 1)
            }
        };
        let tokens = self.position.forward(tokens);
        let tokens = match &self.embedding_norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        self.dropout.forward(tokens)
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
    fn published_variants_train_everything_they_read() {
        let plain = || config(Pooling::Cls);
        for (config, tokens) in [
            (plain().with_pooler(Some(VitPoolerKind::Tanh)), 5),
            (plain().with_distillation_token(true), 6),
            (plain().with_embedding_norm(true).with_patch_bias(false), 5),
            (
                config(Pooling::Mean).with_pooler(Some(VitPoolerKind::Attention)),
                4,
            ),
        ] {
            assert_eq!(config.tokens(), tokens);
            let model = config.init(&device());
            assert_eq!(
                model.patch_embedding.projection.bias.is_some(),
                config.patch_bias
            );
            let encoded = model.forward(values([3, 3, 16, 16], 1, &device()));
            assert_eq!(encoded.tokens.dims(), [3, tokens, 8]);
            assert_gradients_reach_everything(&model, encoded.pooled);
        }
        let wrong = config(Pooling::Mean).with_distillation_token(true);
        assert_eq!(wrong.check().unwrap_err().field, "distillation_token");
    }

    #[test]
    fn larger_images_see_the_same_class_token_and_interpolated_patches() {
        let model = config(Pooling::Cls).with_distillation_token(true);
        let model = model.init(&device());
        let table = |model: &Vit| match &model.position {
            Positions::Learned(table) => table.val(),
            Positions::Sinusoidal(_) => panic!("positions are learnt"),
        };
        let (old, larger) = (table(&model), model.resized(3));
        let new = table(&larger);
        assert_eq!(new.dims(), [11, 8]);
        assert_eq!(
            difference(new.clone().narrow(0, 0, 2), old.clone().narrow(0, 0, 2)),
            0.0
        );
        // Four corners and one centre, which is their mean.
        let mean = old.narrow(0, 2, 4).mean_dim(0);
        assert!(difference(new.narrow(0, 6, 1), mean) < 1e-6);
        let encoded = larger.forward(values([2, 3, 24, 24], 1, &device()));
        assert_eq!(encoded.tokens.dims(), [2, 11, 8]);
    }

    #[test]
    fn a_prompt_changes_what_is_pooled_and_is_left_out() {
        for (pooling, tokens) in [(Pooling::Cls, 5), (Pooling::Mean, 4)] {
            let model = config(pooling).init(&device());
            let images = values([2, 3, 16, 16], 1, &device());
            let prompt: Tensor<4> = values([2, 1, 3, 8], 2, &device());
            let prompted = model.forward_prompted(images.clone(), Some(prompt.clone()));
            assert_eq!(prompted.tokens.dims(), [2, tokens, 8]);
            let expected = model.encoder.forward_prompted(
                model.embed(images.clone()),
                None,
                prompt.clone(),
                tokens - 4,
            );
            assert_eq!(difference(prompted.tokens, expected), 0.0);
            let shares = model.attention_to_prompt(images.clone(), prompt.clone());
            let of_tokens = (model.encoder).attention_to_prompt(
                model.embed(images.clone()),
                None,
                prompt,
                tokens - 4,
            );
            let asking = |share: Tensor<2>| match pooling {
                Pooling::Cls => share.narrow(1, 0, 1),
                _ => share.mean_dim(1),
            };
            let expected = of_tokens.unwrap().into_iter().map(asking).collect();
            assert_eq!(difference(shares.unwrap(), Tensor::cat(expected, 1)), 0.0);
            let plain = model.forward(images);
            assert!(difference(prompted.pooled, plain.pooled) > 1e-3);
        }
    }

    #[test]
    fn images_do_not_mix() {
        let model = config(Pooling::Cls).init(&device());
        let images = values([2, 3, 16, 16], 1, &device());
        let alone = model.forward(images.clone().narrow(0, 1, 1)).pooled;
        assert!(difference(model.forward(images).pooled.narrow(0, 1, 1), alone) < 1e-5);
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
