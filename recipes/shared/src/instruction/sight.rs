//! The image tower of a model that speaks.

use crucible_training::Error;
use crucible_transformer::{Activation, EncoderConfig, Pooling};
use crucible_vision::VitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A vision transformer; `--init` with a run of `contrastive`, `vqa` or `classification` of the same sizes gives it weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SightConfig {
    /// Whether it trains.
    pub train: bool,
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Layers.
    pub layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// The stem starts from cells of so many pixels; 1 for single pixels.
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    pub stem: Vec<usize>,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh, relu, quick-gelu or silu.
    pub activation: Activation,
}

impl SightConfig {
    /// For images of 64 pixels, which become 16 tokens.
    pub fn small(d_model: usize) -> Self {
        Self {
            train: true,
            d_model,
            heads: 4,
            d_ff: 2 * d_model,
            layers: 2,
            patch_size: 16,
            stem_cell: 4,
            stem: vec![d_model / 2, d_model],
            dropout: 0.0,
            activation: Activation::Relu,
        }
    }

    /// ViT-S/16.
    pub fn vit_small() -> Self {
        Self {
            train: true,
            d_model: 384,
            heads: 6,
            d_ff: 1536,
            layers: 12,
            patch_size: 16,
            stem_cell: 1,
            stem: Vec::new(),
            dropout: 0.1,
            activation: Activation::Gelu,
        }
    }

    /// The tower for images of that many pixels a side.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when sizes do not fit together.
    pub fn tower(&self, image_size: usize) -> Result<VitConfig, Error> {
        let stack = EncoderConfig::new(self.d_model, self.heads, self.d_ff, self.layers)
            .with_dropout(self.dropout)
            .with_activation(self.activation);
        let tower = VitConfig::new(image_size, self.patch_size, stack)
            .with_stem_cell(self.stem_cell)
            .with_stem(self.stem.clone())
            .with_pooling(Pooling::Max);
        let usage = |error: crucible_transformer::ConfigError| Error::Usage(error.to_string());
        tower.check().map_err(usage)?;
        Ok(tower)
    }
}
