//! A causal model one token at a time.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::cache::KeyValueCache;
use super::model::CausalLm;
use crate::{Generates, Prompted};

impl CausalLm {
    /// Takes in the beginnings of some sequences: a cache of them, and the scores of the token that comes next.
    ///
    /// Beginnings of different length are padded on the left, so that all end at the same place; the padding is hidden
    /// and takes no position, so that each sequence goes on as it would alone.
    ///
    /// # Shapes
    /// - `x`, of [`embed`](Self::embed), pictures in their places: `[sequences, length, d_model]`
    /// - `padding`: as many rows of `length`, `true` = padding; the last of each must be a token
    /// - output: `[sequences, vocabulary]`
    pub fn begin(&self, x: Tensor<3>, padding: &[Vec<bool>]) -> (KeyValueCache, Tensor<2>) {
        let mut cache = self.cache(padding.len());
        let states = self.extend(&mut cache, x, padding);
        (cache, self.last(states))
    }

    /// A cache without a token.
    pub fn cache(&self, sequences: usize) -> KeyValueCache {
        KeyValueCache::new(self.blocks.len(), sequences)
    }

    /// As [`forward`](Self::forward), for tokens that follow those of a cache, which they join. Padding, wherever it
    /// stands, is hidden and takes no position.
    ///
    /// # Shapes
    /// - `x`, of [`embed`](Self::embed), and output: `[sequences, length, d_model]`
    /// - `padding`: as many rows of `length`, `true` = padding
    pub fn extend(
        &self,
        cache: &mut KeyValueCache,
        x: Tensor<3>,
        padding: &[Vec<bool>],
    ) -> Tensor<3> {
        let places = cache.places(padding, &x.device());
        self.through(x, &places, Some(cache), &mut |_| ())
    }

    /// Prompts of words alone, of any lengths, padded on the left: their words, and which places are padding.
    ///
    /// # Shapes
    /// - output: `[sequences, longest, d_model]`, and as many rows of `longest`
    pub fn lined_up(&self, prompts: &[Vec<u32>]) -> (Tensor<3>, Vec<Vec<bool>>) {
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let before = |prompt: &Vec<u32>| longest - prompt.len();
        let padding = prompts.iter().map(|prompt| {
            let padded = std::iter::repeat_n(true, before(prompt));
            padded.chain(prompt.iter().map(|_| false)).collect()
        });
        let ids = prompts.iter().flat_map(|prompt| {
            let padded = std::iter::repeat_n(0, before(prompt));
            padded.chain(prompt.iter().map(|&id| id as i32))
        });
        let ids = TensorData::new(ids.collect::<Vec<i32>>(), [prompts.len(), longest]);
        let x = self.embed(Tensor::from_data(ids, &self.word.weight.val().device()));
        (x, padding.collect())
    }

    /// Takes in prompts of words alone, of any lengths.
    pub fn prompt(&self, prompts: &[Vec<u32>]) -> Prompted<KeyValueCache> {
        let (x, padding) = self.lined_up(prompts);
        self.take_in(x, &padding, prompts.to_vec())
    }

    /// As [`begin`](Self::begin), ready for [`generate`](crate::generate): `prompts` are the tokens without padding.
    pub fn take_in(
        &self,
        x: Tensor<3>,
        padding: &[Vec<bool>],
        prompts: Vec<Vec<u32>>,
    ) -> Prompted<KeyValueCache> {
        self.take_in_after(self.cache(padding.len()), x, padding, prompts)
    }

    /// As [`take_in`](Self::take_in), after the tokens of a cache, which are none of the `prompts`.
    pub fn take_in_after(
        &self,
        mut cache: KeyValueCache,
        x: Tensor<3>,
        padding: &[Vec<bool>],
        prompts: Vec<Vec<u32>>,
    ) -> Prompted<KeyValueCache> {
        let states = self.extend(&mut cache, x, padding);
        Prompted {
            cache,
            scores: table(self.last(states)),
            prompts,
            keys: Vec::new(),
        }
    }

    /// Takes in one more token of each sequence, and gives the scores of the one after it.
    ///
    /// # Shapes
    /// - output: `[sequences, vocabulary]`
    pub fn advance(&self, cache: &mut KeyValueCache, tokens: &[u32]) -> Tensor<2> {
        let device = self.word.weight.val().device();
        let x = self.embed(column(tokens, &device));
        let states = self.extend(cache, x, &vec![vec![false]; tokens.len()]);
        self.last(states)
    }

    /// Scores after the last token of each sequence.
    fn last(&self, states: Tensor<3>) -> Tensor<2> {
        let [_, length, _] = states.dims();
        let last = states.narrow(1, length - 1, 1).squeeze_dim::<2>(1);
        self.logits(last)
    }
}

/// Scores as rows of numbers.
pub(crate) fn table(scores: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = scores.dims();
    let values: Vec<f32> = scores.into_data().iter().collect();
    values.chunks(width.max(1)).map(<[f32]>::to_vec).collect()
}

impl Generates for CausalLm {
    type Cache = KeyValueCache;

    fn max_length(&self) -> usize {
        CausalLm::max_length(self)
    }

    fn step(&self, cache: &mut KeyValueCache, tokens: &[u32]) -> Vec<Vec<f32>> {
        table(self.advance(cache, tokens))
    }

    fn select(&self, cache: &mut KeyValueCache, sequences: &[usize]) {
        cache.select(sequences);
    }
}

/// One token of each sequence.
pub(crate) fn column(tokens: &[u32], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(values, [tokens.len(), 1]), device)
}
