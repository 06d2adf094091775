use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};

use super::attention::RelativeAttention;
use super::config::Seq2SeqConfig;
use crate::{CausalFeedForward, LayerCache, Projection, RmsNorm};

/// Self-attention, in a decoder attention to the encoder, then a feed-forward network, each after a norm and around a
/// residual connection.
#[derive(Module, Debug)]
pub struct Seq2SeqBlock {
    /// Before self-attention.
    pub attention_norm: RmsNorm,
    /// Self-attention.
    pub attention: RelativeAttention,
    /// Before attention to the encoder.
    pub cross_norm: Option<RmsNorm>,
    /// Attention to the encoder.
    pub cross: Option<RelativeAttention>,
    /// Before the network.
    pub feed_forward_norm: RmsNorm,
    /// The network, without biases.
    pub feed_forward: CausalFeedForward,
    dropout: Dropout,
}

/// What a block of a decoder reads of the encoder: keys, values, and what is added to their scores.
pub(super) type Read<'a> = (&'a (Tensor<3>, Tensor<3>), Option<&'a Tensor<4>>);

impl Seq2SeqBlock {
    pub(super) fn new(config: &Seq2SeqConfig, decoder: bool, device: &Device) -> Self {
        let (d_model, d_ff) = (config.d_model, config.d_ff);
        let norm = || RmsNorm::new(d_model, config.norm_epsilon, device);
        let dropout = || DropoutConfig::new(config.dropout).init();
        let projection = |d_input, d_output| Projection::new(d_input, d_output, false, device);
        Self {
            attention_norm: norm(),
            attention: RelativeAttention::new(config, device),
            cross_norm: decoder.then(norm),
            cross: decoder.then(|| RelativeAttention::new(config, device)),
            feed_forward_norm: norm(),
            feed_forward: CausalFeedForward {
                gate: config.gated.then(|| projection(d_model, d_ff)),
                inner: projection(d_model, d_ff),
                outer: projection(d_ff, d_model),
                activation: config.activation,
                dropout: dropout(),
            },
            dropout: dropout(),
        }
    }

    /// # Shapes
    /// - `x` and output: `[sequences, length, d_model]`
    /// - `bias` of the scores of self-attention: `[sequences or 1, heads, length, keys]`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        bias: &Tensor<4>,
        read: Option<Read<'_>>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let normed = self.attention_norm.forward(x.clone());
        let (key, value) = self.attention.pair(normed.clone());
        let pair = match cache {
            Some(cache) => cache.extend(key, value),
            None => (key, value),
        };
        let branch = self.attention.forward(normed, pair, Some(bias));
        let mut x = x + self.dropout.forward(branch);
        if let (Some(norm), Some(cross), Some((pair, bias))) = (&self.cross_norm, &self.cross, read)
        {
            let branch = cross.forward(norm.forward(x.clone()), pair.clone(), bias);
            x = x + self.dropout.forward(branch);
        }
        let normed = self.feed_forward_norm.forward(x.clone());
        x + self.dropout.forward(self.feed_forward.forward(normed))
    }

    pub(super) fn projections(&mut self, change: &impl Fn(Projection) -> Projection) {
        self.attention.projections(change);
        if let Some(cross) = &mut self.cross {
            cross.projections(change);
        }
        self.feed_forward.projections(change);
    }
}
