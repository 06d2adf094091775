use burn::tensor::{Bool, Int, Tensor, TensorData};

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
    pub(super) fn extend(&mut self, key: Tensor<3>, value: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
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

    /// How many sequences it is of.
    pub fn sequences(&self) -> usize {
        self.next.len()
    }

    /// Keeps those sequences, in that order.
    pub(super) fn select(&mut self, sequences: &[usize]) {
        let unchanged = sequences.iter().copied().eq(0..self.next.len());
        if unchanged {
            return;
        }
        let Some((keys, _)) = self.layers.iter().find_map(|layer| layer.pair.as_ref()) else {
            return;
        };
        let rows: Vec<i32> = sequences.iter().map(|&row| row as i32).collect();
        let rows = TensorData::new(rows, [sequences.len()]);
        let rows = Tensor::<1, Int>::from_data(rows, &keys.device());
        for layer in &mut self.layers {
            let kept = |tensor: Tensor<3>| tensor.select(0, rows.clone());
            let pair = layer.pair.take();
            layer.pair = pair.map(|(keys, values)| (kept(keys), kept(values)));
        }
        let padding = self.padding.take();
        self.padding = padding.map(|padding| padding.int().select(0, rows).greater_elem(0));
        self.next = sequences.iter().map(|&row| self.next[row]).collect();
    }
}
