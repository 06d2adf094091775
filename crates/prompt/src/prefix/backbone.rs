use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use crucible_transformer::{CausalBlock, CausalLm, Encoder, Positions, TextEncoder};
use crucible_vision::Vit;
use sha2::{Digest, Sha256};

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

/// What identifies a model's weights: the SHA-256 of the paths, shapes and numbers of all its parameters, in hexadecimal.
/// Whether it trains, which Burn has as booleans among them, makes no difference.
pub fn digest<M: Module>(model: &M) -> String {
    let mut digesting = Digesting::default();
    model.visit(&mut digesting);
    let digest = digesting.digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
struct Digesting {
    path: Vec<String>,
    digest: Sha256,
}

impl ModuleVisitor for Digesting {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let head = format!("{} {:?}\n", self.path.join("."), param.dims());
        self.digest.update(head.as_bytes());
        // As wide as any float of a model, so that nothing is rounded away.
        let values = param.val().into_data();
        let values = values.iter::<f32>().map(f32::to_le_bytes);
        values.for_each(|value| self.digest.update(value));
    }
}
