use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::model::{Places, bools};
use crate::AttentionMask;

/// Keys and values of the tokens so far, of every layer.
#[derive(Clone, Debug)]
pub struct KeyValueCache {
    /// First layer to last.
    pub(super) layers: Vec<LayerCache>,
    /// The position of the token that comes next, of each sequence.
    pub(super) next: Vec<u32>,
    /// `[sequences, tokens]`, `true` = padding; none where no sequence has any.
    pub(super) padding: Option<Tensor<2, Bool>>,
}

/// Keys and values of one layer, `[sequences, tokens, kv_heads * d_head]`; none before the first token.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    pair: Option<(Tensor<3>, Tensor<3>)>,
}

impl LayerCache {
    /// Appends to what is there and gives all.
    pub(crate) fn extend(&mut self, key: Tensor<3>, value: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let pair = match self.pair.take() {
            Some((keys, values)) => (
                Tensor::cat(vec![keys, key], 1),
                Tensor::cat(vec![values, value], 1),
            ),
            None => (key, value),
        };
        self.pair = Some(pair.clone());
        pair
    }

    /// Keeps those sequences, in that order.
    pub(crate) fn select(&mut self, rows: &Tensor<1, Int>) {
        let pair = self.pair.take();
        self.pair = pair.map(|pair| kept(pair, rows));
    }
}

/// Those sequences of keys and values, in that order.
pub(crate) fn kept(
    (keys, values): (Tensor<3>, Tensor<3>),
    rows: &Tensor<1, Int>,
) -> (Tensor<3>, Tensor<3>) {
    (keys.select(0, rows.clone()), values.select(0, rows.clone()))
}

/// Numbers of sequences as a tensor.
pub(crate) fn rows(sequences: &[usize], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = sequences.iter().map(|&row| row as i32).collect();
    Tensor::from_data(TensorData::new(rows, [sequences.len()]), device)
}

impl KeyValueCache {
    /// Of as many layers, without a token.
    pub(super) fn new(layers: usize, sequences: usize) -> Self {
        Self {
            layers: vec![LayerCache::default(); layers],
            next: vec![0; sequences],
            padding: None,
        }
    }

    /// Of keys and values that no tokens gave: a prefix that is trained (Li and Liang 2021). It takes the first
    /// positions, all tokens see it, and gradients reach it.
    ///
    /// # Shapes
    /// - keys and values of each layer, first to last: `[sequences, tokens, kv_heads * d_head]`
    pub fn of(layers: Vec<(Tensor<3>, Tensor<3>)>) -> Self {
        let [sequences, tokens, _] = layers.first().map_or([0; 3], |(keys, _)| keys.dims());
        let layer = |pair| LayerCache { pair: Some(pair) };
        Self {
            layers: layers.into_iter().map(layer).collect(),
            next: vec![tokens as u32; sequences],
            padding: None,
        }
    }

    /// Makes room for tokens that follow: where they stand, and what each may see.
    ///
    /// # Shapes
    /// - `padding`: as many rows as sequences, of one length, `true` = padding, which takes no position
    pub(super) fn places(&mut self, padding: &[Vec<bool>], device: &Device) -> Places {
        let positions = self.next.iter_mut().zip(padding).map(|(next, row)| {
            let places = row.iter().map(|&padding| {
                let position = *next;
                *next += u32::from(!padding);
                position
            });
            places.collect()
        });
        let positions = positions.collect();
        let padded = padding.iter().flatten().any(|&padding| padding);
        if padded || self.padding.is_some() {
            let before = self.padding.take().or_else(|| self.seen());
            let all = before.into_iter().chain([bools(padding, device)]);
            self.padding = Some(Tensor::cat(all.collect(), 1));
        }
        let causal = AttentionMask::causal();
        let mask = match &self.padding {
            Some(padding) => causal.or(AttentionMask::padding(padding.clone())),
            None => causal,
        };
        Places { positions, mask }
    }

    /// `false` for each token so far, `[sequences, tokens]`; none before the first.
    fn seen(&self) -> Option<Tensor<2, Bool>> {
        let (keys, _) = self.layers.first()?.pair.as_ref()?;
        let [sequences, tokens, _] = keys.dims();
        Some(bools(&vec![vec![false; tokens]; sequences], &keys.device()))
    }

    /// How many sequences it is of.
    pub fn sequences(&self) -> usize {
        self.next.len()
    }

    /// Keeps those sequences, in that order.
    pub fn select(&mut self, sequences: &[usize]) {
        let unchanged = sequences.iter().copied().eq(0..self.next.len());
        if unchanged {
            return;
        }
        let Some((keys, _)) = self.layers.iter().find_map(|layer| layer.pair.as_ref()) else {
            return;
        };
        let rows = rows(sequences, &keys.device());
        for layer in &mut self.layers {
            layer.select(&rows);
        }
        let padding = self.padding.take();
        self.padding = padding.map(|padding| padding.int().select(0, rows).greater_elem(0));
        self.next = sequences.iter().map(|&row| self.next[row]).collect();
    }
}
