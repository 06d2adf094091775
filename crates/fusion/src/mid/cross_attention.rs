use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    BlockConfig, CrossBlock, CrossBlockConfig, EncoderConfig, LayerNorm, Pooling,
};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`CrossAttention`].
#[derive(Config, Debug, JsonSchema)]
pub struct CrossAttentionConfig {
    /// Layers in which the words attend to the patches.
    pub layers: usize,
    /// How the words become one vector.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// One-way cross-attention, the multimodal encoder of ALBEF (Li et al. 2021, section 3.1): in each layer the words attend
/// to themselves, then to the patches, then pass a feed-forward network. The patches stay as their tower left them.
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// First to last.
    pub layers: Vec<CrossBlock>,
    /// After the last layer, when pre-norm.
    pub norm: Option<LayerNorm>,
    #[module(skip)]
    pooling: Pooling,
}

impl StrategyConfig for CrossAttentionConfig {
    type Strategy = CrossAttention;
    const LAYER: Sublayers = Sublayers::new(2, 1);

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> CrossAttention {
        let layer = CrossBlockConfig::new(block.clone());
        CrossAttention {
            layers: (0..self.layers).map(|_| layer.init(device)).collect(),
            norm: EncoderConfig::stack(block, self.layers).final_norm(device),
            pooling: self.pooling,
        }
    }
}

impl Strategy for CrossAttention {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.tokens(modalities).1.pool(self.pooling)
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (image, mut text) = modalities.token_pairs();
        let (seen, mask) = (image.mask(), text.mask());
        for layer in &self.layers {
            let patches = image.values.clone();
            text.values = layer.forward(text.values, mask.as_ref(), patches, seen.as_ref());
        }
        if let Some(norm) = &self.norm {
            text.values = norm.forward(text.values);
        }
        (image, text)
    }
}
