use crucible_transformer::{Activation, EncoderConfig, Pooling, TextEncoderConfig};
use crucible_vision::VitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Image and text towers of one width.
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

impl TowersConfig {
    /// The image tower for images of that many pixels a side.
    pub fn vision(&self, image_size: usize) -> VitConfig {
        VitConfig::new(image_size, self.patch_size, self.stack(self.image_layers))
            .with_stem_cell(self.stem_cell)
            .with_stem(self.stem.clone())
            .with_pooling(self.pooling)
    }

    /// The text tower for a vocabulary of that size and texts of that many tokens.
    pub fn text(&self, vocabulary: usize, max_length: usize) -> TextEncoderConfig {
        TextEncoderConfig::new(vocabulary, max_length, self.stack(self.text_layers))
            .with_pooling(self.pooling)
    }

    fn stack(&self, layers: usize) -> EncoderConfig {
        EncoderConfig::new(self.d_model, self.heads, self.d_ff, layers)
            .with_dropout(self.dropout)
            .with_activation(self.activation)
    }
}
