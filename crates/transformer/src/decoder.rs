use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use schemars::JsonSchema;

use crate::{AttentionMask, CrossBlock, CrossBlockConfig, EncoderConfig, LayerNorm};

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
        let causal = AttentionMask::causal();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::TensorData;

    fn decoder() -> Decoder {
        DecoderConfig::new(EncoderConfig::new(8, 2, 12, 2))
            .with_d_context(6)
            .init(&device())
    }

    #[test]
    fn has_the_shape_of_its_input_and_trains_everything() {
        let decoder = decoder();
        let (x, context) = (
            values([2, 5, 8], 1, &device()),
            values([2, 3, 6], 2, &device()),
        );
        let output = decoder.forward(x, None, context, None);
        assert_eq!(output.dims(), [2, 5, 8]);
        assert_gradients_reach_everything(&decoder, output);
    }

    #[test]
    fn future_changes_leave_the_past_unchanged() {
        let decoder = decoder();
        let x = values([2, 5, 8], 1, &device());
        let changed = x
            .clone()
            .slice_assign([0..2, 4..5, 0..8], values([2, 1, 8], 3, &device()));
        let [a, b] = [x, changed].map(|x| {
            decoder
                .forward(x, None, values([2, 3, 6], 2, &device()), None)
                .narrow(1, 0, 4)
        });
        assert_eq!(difference(a, b), 0.0);
    }

    #[test]
    fn padding_is_ignored_in_the_sequence_and_in_the_context() {
        let decoder = decoder();
        // Padded on the left, where the causal mask alone would let it through.
        let padding =
            Tensor::<2, Bool>::from_data(TensorData::from([[true, false, false]; 2]), &device());
        let x = values([2, 3, 8], 1, &device());
        let context = values([2, 3, 6], 2, &device());
        let output = |x, context| {
            decoder
                .forward(x, Some(padding.clone()), context, Some(padding.clone()))
                .narrow(1, 1, 2)
        };
        let expected = output(x.clone(), context.clone());
        let changed = x
            .clone()
            .slice_assign([0..2, 0..1, 0..8], values([2, 1, 8], 3, &device()));
        assert_eq!(
            difference(output(changed, context.clone()), expected.clone()),
            0.0
        );
        let changed = context.slice_assign([0..2, 0..1, 0..6], values([2, 1, 6], 4, &device()));
        assert_eq!(difference(output(x, changed), expected), 0.0);
    }
}
