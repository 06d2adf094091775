use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};
use crucible_kernels::activate;

use super::attention::GroupedQueryAttention;
use super::cache::LayerCache;
use super::config::CausalLmConfig;
use super::lora::Projection;
use super::rotary::Rotation;
use crate::{Activation, AttentionMask, Norm};

/// Causal self-attention, then a feed-forward network, each after a norm and around a residual connection.
#[derive(Module, Debug)]
pub struct CausalBlock {
    /// Before attention.
    pub attention_norm: Norm,
    /// Attention.
    pub attention: GroupedQueryAttention,
    /// Before the network.
    pub feed_forward_norm: Norm,
    /// The network.
    pub feed_forward: CausalFeedForward,
    dropout: Dropout,
}

/// `outer(activation(inner(x)))`, or with a gate `outer(activation(gate(x)) * inner(x))` (Shazeer 2020).
#[derive(Module, Debug)]
pub struct CausalFeedForward {
    /// `d_model` to `d_ff`.
    pub gate: Option<Projection>,
    /// `d_model` to `d_ff`.
    pub inner: Projection,
    /// `d_ff` to `d_model`.
    pub outer: Projection,
    #[module(skip)]
    pub(crate) activation: Activation,
    /// Between the two, as T5 has it.
    pub(crate) dropout: Dropout,
}

impl CausalBlock {
    pub(super) fn new(config: &CausalLmConfig, device: &Device) -> Self {
        let (d_model, d_ff) = (config.d_model, config.d_ff);
        let norm = || config.norm.init(d_model, config.norm_epsilon, device);
        let projection =
            |d_input, d_output| Projection::new(d_input, d_output, !config.gated, device);
        Self {
            attention_norm: norm(),
            attention: GroupedQueryAttention::new(config, device),
            feed_forward_norm: norm(),
            feed_forward: CausalFeedForward {
                gate: config.gated.then(|| projection(d_model, d_ff)),
                inner: projection(d_model, d_ff),
                outer: projection(d_ff, d_model),
                activation: config.activation,
                dropout: DropoutConfig::new(0.0).init(),
            },
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    /// # Shapes
    /// - `x` and output: `[sequences, length, d_model]`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        rotation: Option<&Rotation>,
        mask: &AttentionMask,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let read = self.attention_norm.forward(x.clone());
        let branch = self.attention.forward(read, rotation, mask, cache);
        let x = x + self.dropout.forward(branch);
        let read = self.feed_forward_norm.forward(x.clone());
        x + self.dropout.forward(self.feed_forward.forward(read))
    }
}

impl CausalFeedForward {
    /// # Shapes
    /// - input and output: `[..., d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = match &self.gate {
            Some(gate) => {
                activate(gate.forward(x.clone()), self.activation) * self.inner.forward(x)
            }
            None => activate(self.inner.forward(x), self.activation),
        };
        self.outer.forward(self.dropout.forward(hidden))
    }

    pub(crate) fn projections(&mut self, change: &impl Fn(Projection) -> Projection) {
        self.gate = self.gate.take().map(change);
        for side in [&mut self.inner, &mut self.outer] {
            *side = change(side.clone());
        }
    }
}
