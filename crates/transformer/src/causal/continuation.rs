//! A causal model one token at a time.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::cache::KeyValueCache;
use super::model::{CausalLm, Places, bools};
use crate::AttentionMask;

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

/// One token of each sequence.
pub(crate) fn column(tokens: &[u32], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(values, [tokens.len(), 1]), device)
}
