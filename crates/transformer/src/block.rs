use std::ops::Range;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Activation, AttentionMask, AttentionPattern, FeedForward, FeedForwardConfig, LayerNorm,
    MultiHeadAttention, MultiHeadAttentionConfig,
};

/// Where a block normalises (Xiong et al. 2020).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlacement {
    /// `x + f(norm(x))`: trains without a long warmup (ViT, GPT-2).
    #[default]
    Pre,
    /// `norm(x + f(x))`: the original order (Vaswani et al. 2017, BERT).
    Post,
}

/// Configuration of a [`Block`].
#[derive(Config, Debug, JsonSchema)]
pub struct BlockConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Number of attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of the feed-forward network.
    pub d_ff: usize,
    /// Dropout on attention weights, hidden units and each residual branch.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Non-linearity of the feed-forward network.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Normalise before or after each sub-layer.
    #[config(default = "NormPlacement::Pre")]
    pub norm: NormPlacement,
    /// Added to the variance in each LayerNorm.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// Which keys each query of self-attention is compared with.
    #[config(default = "AttentionPattern::Full")]
    pub attention: AttentionPattern,
    /// The activation opens a gate for a second projection (Shazeer 2020).
    #[config(default = false)]
    pub gated: bool,
    /// Each residual branch is scaled channel by channel, by trained numbers that start at this (LayerScale, Touvron et
    /// al. 2021); 0 for no scale.
    #[config(default = 0.0)]
    pub layer_scale: f64,
}

/// Configuration of a [`CrossBlock`].
#[derive(Config, Debug, JsonSchema)]
pub struct CrossBlockConfig {
    /// The block without its cross-attention.
    pub block: BlockConfig,
    /// Width of the sequence that is attended to; 0 means `d_model`.
    #[config(default = 0)]
    pub d_context: usize,
}

/// A sub-layer's residual connection with its norm and dropout, for blocks of other sub-layers than those here.
#[derive(Module, Debug)]
pub struct Residual {
    norm: LayerNorm,
    /// `[d_model]`, of the branch.
    scale: Option<Param<Tensor<1>>>,
    dropout: Dropout,
    #[module(skip)]
    placement: NormPlacement,
}

impl Residual {
    /// A connection with fresh weights.
    pub fn new(config: &BlockConfig, device: &Device) -> Self {
        let value = config.layer_scale;
        let scale = || Initializer::Constant { value }.init([config.d_model], device);
        Self {
            scale: (value != 0.0).then(scale),
            norm: LayerNorm::new(config.d_model, config.norm_epsilon, device),
            dropout: DropoutConfig::new(config.dropout).init(),
            placement: config.norm,
        }
    }

    /// What the layer reads of a sequence.
    fn read(&self, x: Tensor<3>) -> Tensor<3> {
        match self.placement {
            NormPlacement::Pre => self.norm.forward(x),
            NormPlacement::Post => x,
        }
    }

    /// `x + layer(norm(x))`, or `norm(x + layer(x))` when post-norm.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`
    pub fn forward(&self, x: Tensor<3>, layer: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        match self.placement {
            NormPlacement::Pre => {
                let branch = layer(self.norm.forward(x.clone()));
                x + self.dropout.forward(self.scaled(branch))
            }
            NormPlacement::Post => {
                let branch = layer(x.clone());
                self.norm
                    .forward(x + self.dropout.forward(self.scaled(branch)))
            }
        }
    }

    fn scaled(&self, branch: Tensor<3>) -> Tensor<3> {
        match &self.scale {
            Some(scale) => branch * scale.val().unsqueeze(),
            None => branch,
        }
    }
}

/// Self-attention, then a feed-forward network.
#[derive(Module, Debug)]
pub struct Block {
    attention: MultiHeadAttention,
    attention_residual: Residual,
    feed_forward: FeedForward,
    feed_forward_residual: Residual,
}

impl BlockConfig {
    /// A block with fresh weights.
    pub fn init(&self, device: &Device) -> Block {
        Block {
            attention: self.self_attention().init(device),
            attention_residual: Residual::new(self, device),
            feed_forward: self.feed_forward().init(device),
            feed_forward_residual: Residual::new(self, device),
        }
    }

    fn self_attention(&self) -> MultiHeadAttentionConfig {
        self.cross_attention(0).with_pattern(self.attention)
    }

    /// Attention of the block's tokens to others of that width; 0 means `d_model`.
    pub fn cross_attention(&self, d_context: usize) -> MultiHeadAttentionConfig {
        MultiHeadAttentionConfig::new(self.d_model, self.heads)
            .with_d_context(d_context)
            .with_dropout(self.dropout)
    }

    /// The block's feed-forward network.
    pub fn feed_forward(&self) -> FeedForwardConfig {
        FeedForwardConfig::new(self.d_model, self.d_ff)
            .with_activation(self.activation)
            .with_dropout(self.dropout)
            .with_gated(self.gated)
    }
}

impl Block {
    /// The longest sequence, where its attention was made for one.
    pub(crate) fn max_length(&self) -> Option<usize> {
        self.attention.max_length()
    }

    /// One layer of two streams, content and query: both have the layer's weights and attend to the content.
    ///
    /// # Shapes
    /// - the streams and output: `[batch, length, d_model]` each
    pub(crate) fn two_streams(
        &self,
        [content, query]: [Tensor<3>; 2],
        [of_content, of_query]: &[AttentionMask; 2],
    ) -> [Tensor<3>; 2] {
        let read = self.attention_residual.read(content.clone());
        let query = self.attention_residual.forward(query, |query| {
            self.attention.forward(query, read, Some(of_query))
        });
        let query = self
            .feed_forward_residual
            .forward(query, |x| self.feed_forward.forward(x));
        [self.forward(content, Some(of_content)), query]
    }

    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`
    pub fn forward(&self, x: Tensor<3>, mask: Option<&AttentionMask>) -> Tensor<3> {
        let x = self
            .attention_residual
            .forward(x, |x| self.attention.forward(x.clone(), x, mask));
        self.feed_forward_residual
            .forward(x, |x| self.feed_forward.forward(x))
    }

    /// As [`MultiHeadAttention::share`], of what enters the block.
    pub(crate) fn attention_share(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        places: Range<usize>,
    ) -> Option<Tensor<2>> {
        let x = self.attention_residual.read(x);
        self.attention.share(x, mask, places)
    }
}

/// Self-attention, cross-attention to a context, then a feed-forward network: the block of a decoder
/// (with a causal mask) and of a co-attention encoder (without).
#[derive(Module, Debug)]
pub struct CrossBlock {
    attention: MultiHeadAttention,
    attention_residual: Residual,
    cross_attention: MultiHeadAttention,
    cross_attention_residual: Residual,
    feed_forward: FeedForward,
    feed_forward_residual: Residual,
}

impl CrossBlockConfig {
    /// A block with fresh weights.
    pub fn init(&self, device: &Device) -> CrossBlock {
        let block = &self.block;
        CrossBlock {
            attention: block.self_attention().init(device),
            attention_residual: Residual::new(block, device),
            cross_attention: block.cross_attention(self.d_context).init(device),
            cross_attention_residual: Residual::new(block, device),
            feed_forward: block.feed_forward().init(device),
            feed_forward_residual: Residual::new(block, device),
        }
    }
}

impl CrossBlock {
    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`; `mask` covers its self-attention
    /// - `context`: `[batch, keys, d_context]`; `context_mask` covers the cross-attention
    pub fn forward(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        context: Tensor<3>,
        context_mask: Option<&AttentionMask>,
    ) -> Tensor<3> {
        let x = self
            .attention_residual
            .forward(x, |x| self.attention.forward(x.clone(), x, mask));
        let x = self.cross_attention_residual.forward(x, |x| {
            self.cross_attention.forward(x, context, context_mask)
        });
        self.feed_forward_residual
            .forward(x, |x| self.feed_forward.forward(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    #[test]
    fn keeps_the_shape_and_trains_everything() {
        for norm in [NormPlacement::Pre, NormPlacement::Post] {
            let config = BlockConfig::new(8, 2, 12).with_norm(norm);
            let x = values([2, 5, 8], 1, &device());
            let block = config.init(&device());
            let output = block.forward(x.clone(), None);
            assert_eq!(output.dims(), [2, 5, 8]);
            assert_gradients_reach_everything(&block, output);

            let block = CrossBlockConfig::new(config)
                .with_d_context(6)
                .init(&device());
            let output = block.forward(x, None, values([2, 3, 6], 2, &device()), None);
            assert_eq!(output.dims(), [2, 5, 8]);
            assert_gradients_reach_everything(&block, output);
        }
    }

    #[test]
    fn post_norm_ends_normalised_and_pre_norm_does_not() {
        let x = values([2, 5, 8], 1, &device()) * 10.0;
        let spread = |norm| {
            let block = BlockConfig::new(8, 2, 12).with_norm(norm).init(&device());
            block
                .forward(x.clone(), None)
                .var_bias(2)
                .mean()
                .into_scalar::<f32>()
        };
        assert!((spread(NormPlacement::Post) - 1.0).abs() < 1e-3);
        assert!(spread(NormPlacement::Pre) > 10.0);
    }

    #[test]
    fn dropout_acts_on_the_branches_alone() {
        // All but nothing survives in the branches; the residual stream stays what it was.
        let config = BlockConfig::new(8, 2, 12).with_dropout(1.0 - 1e-12);
        let mut block = config.init(&device());
        // With the biases at zero, dropout inside the branches would empty them by itself.
        for layer in [&mut block.attention.output, &mut block.feed_forward.outer] {
            layer.bias = layer.bias.take().map(|bias| bias.map(|bias| bias + 1.0));
        }
        let x = values([2, 5, 8], 1, &device());
        assert_eq!(difference(block.forward(x.clone(), None), x), 0.0);
    }
}
