use burn::module::Module;
use burn::tensor::Tensor;
use crucible_transformer::{CausalBlock, CausalLm, Encoder, Positions, TextEncoder};
use crucible_vision::Vit;

/// What a prompt must know of the model that it stands before.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Width of its tokens.
    pub d_model: usize,
    /// Number of its blocks.
    pub layers: usize,
    /// `kv_heads * d_head`, where it takes keys and values before its own: in causal models.
    pub d_keys: Option<usize>,
    /// `[vocabulary, d_model]`, where it reads words.
    pub words: Option<Tensor<2>>,
    /// Most tokens of a prompt that leave room for the longest input, or in a causal model for a word; none where any
    /// number does.
    pub room: Option<usize>,
}

/// A model that a prompt can stand before.
pub trait Backbone: Module {
    /// Its sizes.
    fn sizes(&self) -> Sizes;
}

impl Backbone for CausalLm {
    fn sizes(&self) -> Sizes {
        let words = self.word.weight.val();
        let keys = |block: &CausalBlock| {
            let [_, d_keys] = block.attention.key.linear.weight.dims();
            d_keys
        };
        Sizes {
            d_model: words.dims()[1],
            layers: self.blocks.len(),
            d_keys: self.blocks.first().map(keys),
            words: Some(words),
            room: Some(self.max_length().saturating_sub(1)),
        }
    }
}

impl Backbone for TextEncoder {
    fn sizes(&self) -> Sizes {
        let words = self.embeddings.word.weight.val();
        Sizes {
            d_model: words.dims()[1],
            layers: self.encoder.blocks.len(),
            d_keys: None,
            words: Some(words),
            room: room(&self.encoder, self.embeddings.max_length()),
        }
    }
}

impl Backbone for Vit {
    fn sizes(&self) -> Sizes {
        let [_, d_model] = match &self.position {
            Positions::Learned(table) => table.dims(),
            Positions::Sinusoidal(table) => table.dims(),
        };
        Sizes {
            d_model,
            layers: self.encoder.blocks.len(),
            d_keys: None,
            words: None,
            room: room(&self.encoder, self.position.positions()),
        }
    }
}

/// What inputs of that length leave of the longest sequence that an encoder takes, where it has one.
fn room(encoder: &Encoder, length: usize) -> Option<usize> {
    let longest = encoder.max_length()?;
    Some(longest.saturating_sub(length))
}
