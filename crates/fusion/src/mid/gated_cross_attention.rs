use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    Block, BlockConfig, EncoderConfig, FeedForward, LayerNorm, MultiHeadAttention, Pooling,
};
use schemars::JsonSchema;

use super::{PerceiverResampler, PerceiverResamplerConfig};
use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`GatedCrossAttention`].
#[derive(Config, Debug, JsonSchema)]
pub struct GatedCrossAttentionConfig {
    /// Layers of the resampler, and as many of the text.
    pub layers: usize,
    /// Tokens that the image is resampled to.
    #[config(default = 16)]
    pub latents: usize,
    /// Gates at the start, before their tanh. Flamingo has 0, which leaves a pretrained language model as it is; fresh
    /// layers have nothing to keep and start half open.
    #[config(default = 0.5)]
    pub gate: f64,
    /// How the words become one vector.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Gated cross-attention (Flamingo, Alayrac et al. 2022, figure 4): the image is resampled to a few
/// tokens; before each layer of the text the words attend to them and pass a feed-forward network, both added through
/// gates `tanh(alpha)`. The layers are those of the other strategies: their words see both ways, their networks have the
/// activation of the block.
#[derive(Module, Debug)]
pub struct GatedCrossAttention {
    /// Of the image.
    pub resampler: PerceiverResampler,
    /// First to last.
    pub layers: Vec<GatedLayer>,
    /// After the last layer, when pre-norm.
    pub norm: Option<LayerNorm>,
    #[module(skip)]
    pooling: Pooling,
}

/// What is added to the words through gates, then a layer of the text's own.
#[derive(Module, Debug)]
pub struct GatedLayer {
    /// Before the attention.
    pub attention_norm: LayerNorm,
    /// Words to latents.
    pub attention: MultiHeadAttention,
    /// Gate of the attention, `[1]`.
    pub attention_gate: Param<Tensor<1>>,
    /// Before the network.
    pub feed_forward_norm: LayerNorm,
    /// Of the words.
    pub feed_forward: FeedForward,
    /// Gate of the network, `[1]`.
    pub feed_forward_gate: Param<Tensor<1>>,
    /// The layer of the text.
    pub block: Block,
}

impl StrategyConfig for GatedCrossAttentionConfig {
    type Strategy = GatedCrossAttention;
    const LAYER: Sublayers = Sublayers::new(3, 3);

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> GatedCrossAttention {
        let norm = || LayerNorm::new(block.d_model, block.norm_epsilon, device);
        let gate = || Initializer::Constant { value: self.gate }.init([1], device);
        let layer = || GatedLayer {
            attention_norm: norm(),
            attention: block.cross_attention(0).init(device),
            attention_gate: gate(),
            feed_forward_norm: norm(),
            feed_forward: block.feed_forward().init(device),
            feed_forward_gate: gate(),
            block: block.init(device),
        };
        let resampler = PerceiverResamplerConfig::new(self.layers, self.latents);
        GatedCrossAttention {
            resampler: resampler.init(block, device),
            layers: (0..self.layers).map(|_| layer()).collect(),
            norm: EncoderConfig::stack(block, self.layers).final_norm(device),
            pooling: self.pooling,
        }
    }
}

impl Strategy for GatedCrossAttention {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.tokens(modalities).1.pool(self.pooling)
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (image, mut text) = modalities.token_pairs();
        let mask = text.mask();
        let media = self
            .resampler
            .forward(image.values.clone(), image.padding.clone());
        let open = |gate: &Param<Tensor<1>>| gate.val().tanh().reshape([1, 1, 1]);
        for layer in &self.layers {
            let x = text.values;
            let read = layer.attention_norm.forward(x.clone());
            let read = layer.attention.forward(read, media.clone(), None);
            let x = x + read * open(&layer.attention_gate);
            let network = layer.feed_forward_norm.forward(x.clone());
            let network = layer.feed_forward.forward(network);
            let x = x + network * open(&layer.feed_forward_gate);
            text.values = layer.block.forward(x, mask.as_ref());
        }
        if let Some(norm) = &self.norm {
            text.values = norm.forward(text.values);
        }
        (image, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::testing::difference;

    #[test]
    fn a_closed_gate_lets_nothing_through() {
        let (block, device) = (fixture::block(), Device::flex());
        let modalities = fixture::modalities(&block, &device);
        let mut other = modalities.clone();
        other.image.tokens = other.image.tokens * -2.0;
        for (gate, open) in [(0.0, false), (0.5, true)] {
            let fusion = GatedCrossAttentionConfig::new(1).with_gate(gate);
            let fusion = fusion.init(&block, &device);
            let [a, b] = [&modalities, &other].map(|m| fusion.forward(m.clone()));
            assert_eq!(difference(a, b) > 1e-4, open, "{gate}");
        }
    }
}
