//! An encoder-decoder one token at a time.

use burn::tensor::Tensor;

use super::model::Seq2Seq;
use super::stack::EncoderMemory;
use crate::causal::{bools, column, rows, table};
use crate::{Generates, LayerCache, Prompted};

/// What a decoder keeps of some sequences: keys and values of its own tokens so far, and of the encoder's.
#[derive(Clone, Debug)]
pub struct Seq2SeqCache {
    memory: EncoderMemory,
    /// First block to last.
    layers: Vec<LayerCache>,
    sequences: usize,
    /// Tokens so far, as many of each sequence.
    tokens: usize,
}

impl Seq2SeqCache {
    /// How many sequences it is of.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Keeps those sequences, in that order.
    pub fn select(&mut self, sequences: &[usize]) {
        let unchanged = sequences.iter().copied().eq(0..self.sequences);
        let Some(device) = self.memory.device().filter(|_| !unchanged) else {
            return;
        };
        let rows = rows(sequences, &device);
        self.memory.select(&rows);
        for layer in &mut self.layers {
            layer.select(&rows);
        }
        self.sequences = sequences.len();
    }
}

impl Seq2Seq {
    /// Reads some sequences and begins to write: a cache, and the scores of the first token of each answer.
    ///
    /// Sequences of different length are padded; on which side does not matter.
    ///
    /// # Shapes
    /// - `x`, of [`embed`](Self::embed): `[sequences, length, d_model]`
    /// - `padding`: as many rows of `length`, `true` = padding
    /// - output: `[sequences, vocabulary]`
    pub fn begin(&self, x: Tensor<3>, padding: &[Vec<bool>]) -> (Seq2SeqCache, Tensor<2>) {
        let device = x.device();
        let padded = padding.iter().flatten().any(|&padding| padding);
        let hidden = padded.then(|| bools(padding, &device));
        let sequences = padding.len();
        let mut cache = Seq2SeqCache {
            memory: self.encode(x, hidden),
            layers: vec![LayerCache::default(); self.decoder.blocks.len()],
            sequences,
            tokens: 0,
        };
        let scores = self.advance(&mut cache, &vec![self.decoder_start; sequences]);
        (cache, scores)
    }

    /// Takes in one more token of each answer, and gives the scores of the one after it.
    ///
    /// # Shapes
    /// - output: `[sequences, vocabulary]`
    pub fn advance(&self, cache: &mut Seq2SeqCache, tokens: &[u32]) -> Tensor<2> {
        let x = self.embed(column(tokens, &self.word.weight.val().device()));
        let bias = self.decoder.backwards(cache.tokens..cache.tokens + 1);
        cache.tokens += 1;
        let (memory, layers) = (Some(&cache.memory), Some(cache.layers.as_mut_slice()));
        let states = self.decoder.through(x, &bias, memory, layers, &mut |_| ());
        self.logits(states.squeeze_dim::<2>(1))
    }

    /// As [`begin`](Self::begin), ready for [`generate`](crate::generate): what an answer goes on from is the token that
    /// begins all of them.
    pub fn take_in(&self, x: Tensor<3>, padding: &[Vec<bool>]) -> Prompted<Seq2SeqCache> {
        let (cache, scores) = self.begin(x, padding);
        Prompted {
            cache,
            scores: table(scores),
            prompts: vec![vec![self.decoder_start]; padding.len()],
            keys: Vec::new(),
        }
    }
}

impl Generates for Seq2Seq {
    type Cache = Seq2SeqCache;

    fn max_length(&self) -> usize {
        Seq2Seq::max_length(self)
    }

    fn step(&self, cache: &mut Seq2SeqCache, tokens: &[u32]) -> Vec<Vec<f32>> {
        table(self.advance(cache, tokens))
    }

    fn select(&self, cache: &mut Seq2SeqCache, sequences: &[usize]) {
        cache.select(sequences);
    }
}
