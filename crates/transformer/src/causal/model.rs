use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::block::CausalBlock;
use super::cache::KeyValueCache;
use super::config::{CausalLmConfig, CausalPositions};
use super::lora::{LoraConfig, Projection};
use super::rotary::{RotaryConfig, ids};
use crate::{AttentionMask, Norm, PositionKind, Positions, embedding_initializer};

/// A decoder-only language model.
#[derive(Module, Debug)]
pub struct CausalLm {
    /// `[vocabulary, d_model]`.
    pub word: Embedding,
    /// `[max_length, d_model]`, unless positions turn queries and keys.
    pub position: Option<Positions>,
    /// First to last.
    pub blocks: Vec<CausalBlock>,
    /// After the last block.
    pub norm: Norm,
    /// `d_model` to `vocabulary`; none where words are told by the matrix they are read by.
    pub head: Option<Projection>,
    dropout: Dropout,
    #[module(skip)]
    rotary: Option<RotaryConfig>,
    d_head: usize,
    max_length: usize,
}

/// Where the tokens of some sequences stand, and what each may see.
#[derive(Clone, Debug)]
pub struct Places {
    /// One row for each sequence, all of one length.
    pub positions: Vec<Vec<u32>>,
    /// What is hidden from each.
    pub mask: AttentionMask,
}

impl CausalLmConfig {
    /// A model with fresh weights.
    ///
    /// # Panics
    /// When [`check`](Self::check) fails.
    pub fn init(&self, device: &Device) -> CausalLm {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
        let word = EmbeddingConfig::new(self.vocabulary, self.d_model)
            .with_initializer(embedding_initializer());
        let (learned, rotary) = match &self.positions {
            CausalPositions::Learned => (true, None),
            CausalPositions::Rotary(rotary) => (false, Some(*rotary)),
        };
        let position = || PositionKind::Learned.init(self.max_length, self.d_model, device);
        CausalLm {
            word: word.init(device),
            position: learned.then(position),
            blocks: (0..self.layers)
                .map(|_| CausalBlock::new(self, device))
                .collect(),
            norm: self.norm.init(self.d_model, self.norm_epsilon, device),
            head: (!self.tied)
                .then(|| Projection::new(self.d_model, self.vocabulary, false, device)),
            dropout: DropoutConfig::new(self.dropout).init(),
            rotary,
            d_head: self.head_width(),
            max_length: self.max_length,
        }
    }
}

impl Places {
    /// Of sequences of equal length without padding.
    pub fn whole(sequences: usize, length: usize) -> Self {
        Self {
            positions: vec![(0..length as u32).collect(); sequences],
            mask: AttentionMask::causal(),
        }
    }

    /// Of sequences with padding before, after or between: positions count the tokens alone.
    ///
    /// # Shapes
    /// - `padding`: one row for each sequence, `true` = padding
    pub fn padded(padding: &[Vec<bool>], device: &Device) -> Self {
        let positions = padding.iter().map(|row| {
            let mut next = 0;
            row.iter()
                .map(|&padding| {
                    let position = next;
                    next += u32::from(!padding);
                    position
                })
                .collect()
        });
        let mask = AttentionMask::padding(bools(padding, device));
        Self {
            positions: positions.collect(),
            mask: AttentionMask::causal().or(mask),
        }
    }
}

/// Rows of `true` and `false` as a tensor.
pub(crate) fn bools(rows: &[Vec<bool>], device: &Device) -> Tensor<2, Bool> {
    let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
    let values: Vec<bool> = rows.iter().flatten().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl CausalLm {
    /// The longest sequence, in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// # Shapes
    /// - from `[sequences, length]` to `[sequences, length, d_model]`
    pub fn embed(&self, words: Tensor<2, Int>) -> Tensor<3> {
        self.word.forward(words)
    }

    /// States from which the next tokens are told.
    ///
    /// # Shapes
    /// - `x`, of [`embed`](Self::embed), pictures in their places: `[sequences, length, d_model]`
    /// - output: the same
    pub fn forward(&self, x: Tensor<3>, places: &Places) -> Tensor<3> {
        self.through(x, places, None, &mut |_| ())
    }

    /// What goes into each block, first to last, and what [`forward`](Self::forward) gives.
    ///
    /// # Shapes
    /// - `x` and outputs: `[sequences, length, d_model]`
    pub fn hidden_states(&self, x: Tensor<3>, places: &Places) -> Vec<Tensor<3>> {
        let mut states = Vec::new();
        let last = self.through(x, places, None, &mut |x| states.push(x.clone()));
        states.push(last);
        states
    }

    /// As [`forward`](Self::forward), after the tokens of a cache, which these join.
    pub(super) fn through(
        &self,
        x: Tensor<3>,
        places: &Places,
        mut cache: Option<&mut KeyValueCache>,
        each: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let device = x.device().inner();
        let x = match &self.position {
            Some(position) => x + position.at(ids(&places.positions, &device)),
            None => x,
        };
        let rotary = self.rotary.as_ref();
        let rotation =
            rotary.map(|rotary| rotary.rotation(&places.positions, self.d_head, &device));
        let mut x = self.dropout.forward(x);
        for (layer, block) in self.blocks.iter().enumerate() {
            each(&x);
            let cache = cache.as_mut().and_then(|cache| cache.layers.get_mut(layer));
            x = block.forward(x, rotation.as_ref(), &places.mask, cache);
        }
        self.norm.forward(x)
    }

    /// Scores of each token to be the next.
    ///
    /// # Shapes
    /// - from states `[..., d_model]` to `[..., vocabulary]`
    pub fn logits<const D: usize>(&self, states: Tensor<D>) -> Tensor<D> {
        match &self.head {
            Some(head) => head.forward(states),
            None => {
                let words = self.word.weight.val().transpose();
                crucible_kernels::linear(states, words, None, None)
            }
        }
    }

    /// The same model, frozen but for a fresh adapter beside each projection of its blocks.
    pub fn with_lora(self, config: &LoraConfig) -> Self {
        self.no_grad()
            .projections(|projection| projection.with_lora(config))
    }

    /// The same model with its adapters added to its weights.
    pub fn merged(self) -> Self {
        self.projections(Projection::merged)
    }

    fn projections(mut self, change: impl Fn(Projection) -> Projection) -> Self {
        let block = |mut block: CausalBlock| {
            let attention = &mut block.attention;
            attention.query = change(attention.query.clone());
            attention.key = change(attention.key.clone());
            attention.value = change(attention.value.clone());
            attention.output = change(attention.output.clone());
            block.feed_forward.projections(&change);
            block
        };
        self.blocks = self.blocks.into_iter().map(block).collect();
        self
    }
}
