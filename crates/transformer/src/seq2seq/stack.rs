use std::ops::Range;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Bool, Device, Int, Tensor};

use super::block::Seq2SeqBlock;
use super::config::Seq2SeqConfig;
use super::relative::RelativePositions;
use crate::causal::kept;
use crate::{LayerCache, RmsNorm};

/// What is added to a score that does not count; finite in every float type.
const HIDDEN: f64 = -1e4;

/// An encoder or a decoder.
#[derive(Module, Debug)]
pub struct Seq2SeqStack {
    /// Of the self-attention of all blocks. Checkpoints have it in the first one.
    pub relative: RelativePositions,
    /// First to last.
    pub blocks: Vec<Seq2SeqBlock>,
    /// After the last block.
    pub norm: RmsNorm,
    dropout: Dropout,
}

/// What a decoder reads of some sequences: keys and values of each of its blocks, made once from what the encoder gave.
#[derive(Clone, Debug)]
pub struct EncoderMemory {
    /// First block to last, `[sequences, tokens, heads * d_head]`.
    pairs: Vec<(Tensor<3>, Tensor<3>)>,
    /// Hides padding, `[sequences, 1, 1, tokens]`.
    bias: Option<Tensor<4>>,
}

impl EncoderMemory {
    pub(super) fn device(&self) -> Option<Device> {
        self.pairs.first().map(|(keys, _)| keys.device())
    }

    /// Keeps those sequences, in that order.
    pub(super) fn select(&mut self, rows: &Tensor<1, Int>) {
        for pair in &mut self.pairs {
            *pair = kept(pair.clone(), rows);
        }
        let bias = self.bias.take();
        self.bias = bias.map(|bias| bias.select(0, rows.clone()));
    }
}

impl Seq2SeqStack {
    pub(super) fn new(config: &Seq2SeqConfig, decoder: bool, device: &Device) -> Self {
        let layers = match decoder {
            true => config.blocks_of_decoder(),
            false => config.layers,
        };
        Self {
            relative: RelativePositions::new(config, !decoder, device),
            blocks: (0..layers)
                .map(|_| Seq2SeqBlock::new(config, decoder, device))
                .collect(),
            norm: RmsNorm::new(config.d_model, config.norm_epsilon, device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    /// What an encoder adds to the scores of self-attention.
    ///
    /// # Shapes
    /// - `padding`: `[sequences, length]`; output: `[sequences or 1, heads, length, length]`
    pub(super) fn both_ways(&self, length: usize, padding: Option<Tensor<4>>) -> Tensor<4> {
        let bias = self.relative.forward(0..length, length);
        match padding {
            Some(padding) => bias + padding,
            None => bias,
        }
    }

    /// What a decoder adds to the scores of these tokens, which come after those before them.
    ///
    /// # Shapes
    /// - output: `[1, heads, tokens, tokens.end]`
    pub(super) fn backwards(&self, tokens: Range<usize>) -> Tensor<4> {
        let (queries, keys) = (tokens.len(), tokens.end);
        let past = tokens.start as i64;
        let bias = self.relative.forward(tokens, keys);
        if queries == 1 {
            return bias;
        }
        let future = Tensor::<2, Bool>::tril_mask([queries, keys], past, &bias.device().inner());
        let shape = bias.dims();
        bias.mask_fill(future.unsqueeze::<4>().expand(shape), HIDDEN)
    }

    /// What a decoder reads of sequences that an encoder gave.
    ///
    /// # Shapes
    /// - `encoded`: `[sequences, tokens, d_model]`
    pub(super) fn read(&self, encoded: &Tensor<3>, bias: Option<Tensor<4>>) -> EncoderMemory {
        let cross = self.blocks.iter().filter_map(|block| block.cross.as_ref());
        EncoderMemory {
            pairs: cross.map(|cross| cross.pair(encoded.clone())).collect(),
            bias,
        }
    }

    /// # Shapes
    /// - `x` and output: `[sequences, length, d_model]`
    pub(super) fn through(
        &self,
        x: Tensor<3>,
        bias: &Tensor<4>,
        memory: Option<&EncoderMemory>,
        mut cache: Option<&mut [LayerCache]>,
        each: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let mut x = self.dropout.forward(x);
        for (layer, block) in self.blocks.iter().enumerate() {
            each(&x);
            let read = memory.and_then(|memory| {
                let pair = memory.pairs.get(layer)?;
                Some((pair, memory.bias.as_ref()))
            });
            let cache = cache.as_mut().and_then(|cache| cache.get_mut(layer));
            x = block.forward(x, bias, read, cache);
        }
        self.dropout.forward(self.norm.forward(x))
    }
}

/// Padding as what is added to the scores of its keys.
///
/// # Shapes
/// - from `[sequences, keys]` to `[sequences, 1, 1, keys]`
pub(super) fn hiding(padding: Tensor<2, Bool>) -> Tensor<4> {
    let [sequences, keys] = padding.dims();
    (padding.float() * HIDDEN).reshape([sequences, 1, 1, keys])
}
