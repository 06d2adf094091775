use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor, activation};
use schemars::JsonSchema;

use crate::{AttentionMask, linear, project};

/// Configuration of [`MultiHeadAttention`].
#[derive(Config, Debug, JsonSchema)]
pub struct MultiHeadAttentionConfig {
    /// Width of the queries and of the output.
    pub d_model: usize,
    /// Number of heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the sequence that is attended to; 0 means `d_model`.
    #[config(default = 0)]
    pub d_context: usize,
    /// Chance that an attention weight is dropped in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2.2).
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    /// `d_model` to `d_model`.
    pub query: Linear,
    /// `d_context` to `d_model`.
    pub key: Linear,
    /// `d_context` to `d_model`.
    pub value: Linear,
    /// `d_model` to `d_model`, over the concatenated heads.
    pub output: Linear,
    dropout: Dropout,
    heads: usize,
}

impl MultiHeadAttentionConfig {
    /// A layer with fresh weights.
    ///
    /// # Panics
    /// When `heads` does not divide `d_model`.
    pub fn init(&self, device: &Device) -> MultiHeadAttention {
        assert!(
            self.heads > 0 && self.d_model.is_multiple_of(self.heads),
            "d_model ({}) must be a multiple of heads ({})",
            self.d_model,
            self.heads
        );
        let d_context = if self.d_context == 0 {
            self.d_model
        } else {
            self.d_context
        };
        MultiHeadAttention {
            query: linear(self.d_model, self.d_model, device),
            key: linear(d_context, self.d_model, device),
            value: linear(d_context, self.d_model, device),
            output: linear(self.d_model, self.d_model, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
        }
    }
}

impl MultiHeadAttention {
    /// Each position of `x` attends to `context`; self-attention passes the same sequence twice.
    ///
    /// # Shapes
    /// - `x`: `[batch, queries, d_model]`
    /// - `context`: `[batch, keys, d_context]`
    /// - output: `[batch, queries, d_model]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        context: Tensor<3>,
        mask: Option<&AttentionMask>,
    ) -> Tensor<3> {
        let [batch, queries, d_model] = x.dims();
        // The scale goes into the queries, the smallest tensor it can go into.
        let scale = ((d_model / self.heads) as f64).powf(-0.5);
        let query = self.split(project(&self.query, x) * scale);
        let key = self.split(project(&self.key, context.clone()));
        let value = self.split(project(&self.value, context));

        // [batch, heads, queries, keys]
        let scores = query.matmul(key.swap_dims(2, 3));
        let scores = match mask {
            Some(mask) => mask.apply(scores),
            None => scores,
        };
        let weights = self.dropout.forward(activation::softmax(scores, 3));
        let heads = weights.matmul(value).swap_dims(1, 2);
        project(&self.output, heads.reshape([batch, queries, d_model]))
    }

    /// # Shapes
    /// - from `[batch, length, d_model]` to `[batch, heads, length, d_model / heads]`
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, length, d_model] = x.dims();
        x.reshape([batch, length, self.heads, d_model / self.heads])
            .swap_dims(1, 2)
    }
}
