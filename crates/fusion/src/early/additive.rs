use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, Encoder, EncoderConfig, Pooling, linear, project};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`Additive`].
#[derive(Config, Debug, JsonSchema)]
pub struct AdditiveConfig {
    /// Layers of the encoder.
    pub layers: usize,
    /// How the patches become one vector.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Early summation (Xu et al. 2023, "Multimodal learning with transformers"): the text's pooled embedding,
/// projected, is added to every patch, and one encoder reads the sum. The order of the words is lost.
#[derive(Module, Debug)]
pub struct Additive {
    /// Of the text: `d_model` to `d_model`.
    pub projection: Linear,
    /// Over the patches.
    pub encoder: Encoder,
    #[module(skip)]
    pooling: Pooling,
}

impl StrategyConfig for AdditiveConfig {
    type Strategy = Additive;
    const LAYER: Sublayers = Sublayers::new(1, 1);

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> Additive {
        Additive {
            projection: linear(block.d_model, block.d_model, device),
            encoder: EncoderConfig::stack(block, self.layers).init(device),
            pooling: self.pooling,
        }
    }
}

impl Strategy for Additive {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.tokens(modalities).0.pool(self.pooling)
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (_, text) = modalities.clone().pooled_pairs();
        let (mut image, words) = modalities.token_pairs();
        let text = project(&self.projection, text).unsqueeze_dim::<3>(1);
        image.values = self
            .encoder
            .forward(image.values + text, image.padding.clone());
        (image, words)
    }
}
