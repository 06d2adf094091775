//! A causal model one token at a time.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::cache::KeyValueCache;
use super::model::{CausalLm, Places, bools};
use crate::{AttentionMask, Generates, Prompted};

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
        let device = x.device();
        let mut cache = KeyValueCache::new(self.blocks.len(), padding.len());
        let padded = padding.iter().flatten().any(|&padding| padding);
        let places = match padded {
            true => Places::padded(padding, &device),
            false => Places::whole(padding.len(), padding.first().map_or(0, Vec::len)),
        };
        cache.padding = padded.then(|| bools(padding, &device));
        let tokens = |row: &Vec<bool>| row.iter().filter(|&&padding| !padding).count() as u32;
        cache.next = padding.iter().map(tokens).collect();
        let states = self.through(x, &places, Some(&mut cache), &mut |_| ());
        (cache, self.last(states))
    }

    /// Takes in prompts of words alone, of any lengths.
    pub fn prompt(&self, prompts: &[Vec<u32>]) -> Prompted<KeyValueCache> {
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let before = |prompt: &Vec<u32>| longest - prompt.len();
        let padding = prompts.iter().map(|prompt| {
            let padded = std::iter::repeat_n(true, before(prompt));
            padded.chain(prompt.iter().map(|_| false)).collect()
        });
        let padding: Vec<Vec<bool>> = padding.collect();
        let ids = prompts.iter().flat_map(|prompt| {
            let padded = std::iter::repeat_n(0, before(prompt));
            padded.chain(prompt.iter().map(|&id| id as i32))
        });
        let ids = TensorData::new(ids.collect::<Vec<i32>>(), [prompts.len(), longest]);
        let x = self.embed(Tensor::from_data(ids, &self.word.weight.val().device()));
        self.take_in(x, &padding, prompts.to_vec())
    }

    /// As [`begin`](Self::begin), ready for [`generate`](crate::generate): `prompts` are the tokens without padding.
    pub fn take_in(
        &self,
        x: Tensor<3>,
        padding: &[Vec<bool>],
        prompts: Vec<Vec<u32>>,
    ) -> Prompted<KeyValueCache> {
        let (cache, scores) = self.begin(x, padding);
        Prompted {
            cache,
            scores: table(scores),
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
        let none = tokens.len();
        // One query after all keys sees them all: nothing but padding is hidden.
        let padding = cache.padding.take().map(|padding| {
            let seen = Tensor::<2>::zeros([none, 1], &padding.device()).greater_elem(1.0);
            Tensor::cat(vec![padding, seen], 1)
        });
        let mask = match padding.clone() {
            Some(padding) => AttentionMask::padding(padding),
            None => AttentionMask::causal(),
        };
        cache.padding = padding;
        let positions = cache.next.iter().map(|&next| vec![next]).collect();
        cache.next.iter_mut().for_each(|next| *next += 1);
        let places = Places { positions, mask };
        let states = self.through(x, &places, Some(cache), &mut |_| ());
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
