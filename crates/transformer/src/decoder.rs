use burn::config::Config;
use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::{Bool, Device, Tensor};
use schemars::JsonSchema;

use crate::{AttentionMask, CrossBlock, CrossBlockConfig, EncoderConfig};

/// Configuration of a [`Decoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct DecoderConfig {
    /// The stack without its cross-attention.
    pub stack: EncoderConfig,
    /// Width of the sequence that is attended to; 0 means `d_model`.
    #[config(default = 0)]
    pub d_context: usize,
}

/// A stack of [`CrossBlock`]s with causal self-attention; pre-norm stacks end with a LayerNorm.
#[derive(Module, Debug)]
pub struct Decoder {
    /// The blocks, first to last.
    pub blocks: Vec<CrossBlock>,
    /// After the last block, when pre-norm.
    pub norm: Option<LayerNorm>,
}

impl DecoderConfig {
    /// A decoder with fresh weights.
    pub fn init(&self, device: &Device) -> Decoder {
        let block = CrossBlockConfig::new(self.stack.block()).with_d_context(self.d_context);
        Decoder {
            blocks: (0..self.stack.layers).map(|_| block.init(device)).collect(),
            norm: self.stack.final_norm(device),
        }
    }
}

impl Decoder {
    /// Each position sees itself, the positions before it, and the whole context.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`; `padding`: `[batch, length]`, `true` = padding
    /// - `context`: `[batch, keys, d_context]`; `context_padding`: `[batch, keys]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        context: Tensor<3>,
        context_padding: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [_, length, _] = x.dims();
        let causal = AttentionMask::causal(length, &x.device());
        let mask = match padding {
            Some(padding) => causal.or(AttentionMask::padding(padding)),
            None => causal,
        };
        let context_mask = context_padding.map(AttentionMask::padding);
        let x = self.blocks.iter().fold(x, |x, block| {
            block.forward(x, Some(&mask), context.clone(), context_mask.as_ref())
        });
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}
