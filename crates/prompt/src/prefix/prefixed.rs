use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use crucible_transformer::{
    CausalLm, ConfigError, Encoded, Generates, KeyValueCache, Prompted, TextEncoder,
};
use crucible_vision::Vit;

use super::{Backbone, Prefix};

/// A frozen model and the prompt that trains in front of it.
#[derive(Module, Debug)]
pub struct Prefixed<M: Module> {
    /// No parameter of it trains.
    pub backbone: M,
    /// All of it trains.
    pub prefix: Prefix,
}

impl<M: Backbone> Prefixed<M> {
    /// Freezes the model.
    ///
    /// # Errors
    /// When the prompt does not fit it.
    pub fn new(backbone: M, prefix: Prefix) -> Result<Self, ConfigError> {
        prefix.check(&backbone.sizes())?;
        Ok(Self {
            backbone: backbone.no_grad(),
            prefix,
        })
    }
}

impl Prefixed<CausalLm> {
    /// States from which the next tokens are told, after the prompt. The first [`places`](Prefix::places) are those of its
    /// own vectors, the last of which tells the first word.
    ///
    /// # Shapes
    /// - `x`, of [`CausalLm::embed`]: `[sequences, length, d_model]`
    /// - `padding`: as many rows of `length`, `true` = padding
    /// - output: `[sequences, places + length, d_model]`
    pub fn forward(&self, x: Tensor<3>, padding: &[Vec<bool>]) -> Tensor<3> {
        let (mut cache, x, padding) = self.prefix.before(&self.backbone, x, padding);
        self.backbone.extend(&mut cache, x, &padding)
    }

    /// As [`CausalLm::take_in`], after the prompt.
    pub fn take_in(
        &self,
        x: Tensor<3>,
        padding: &[Vec<bool>],
        prompts: Vec<Vec<u32>>,
    ) -> Prompted<KeyValueCache> {
        let (cache, x, padding) = self.prefix.before(&self.backbone, x, padding);
        self.backbone.take_in_after(cache, x, &padding, prompts)
    }

    /// As [`CausalLm::prompt`], after the prompt that was trained.
    pub fn prompt(&self, prompts: &[Vec<u32>]) -> Prompted<KeyValueCache> {
        let (x, padding) = self.backbone.lined_up(prompts);
        self.take_in(x, &padding, prompts.to_vec())
    }
}

impl Generates for Prefixed<CausalLm> {
    type Cache = KeyValueCache;

    fn max_length(&self) -> usize {
        let max_length = self.backbone.max_length();
        max_length.saturating_sub(self.prefix.tokens())
    }

    fn step(&self, cache: &mut KeyValueCache, tokens: &[u32]) -> Vec<Vec<f32>> {
        self.backbone.step(cache, tokens)
    }

    fn select(&self, cache: &mut KeyValueCache, sequences: &[usize]) {
        cache.select(sequences);
    }
}

impl Prefixed<TextEncoder> {
    /// As [`TextEncoder::forward`], with the prompt before the words.
    ///
    /// # Shapes
    /// - as there: the output has nothing of the prompt
    pub fn forward(
        &self,
        ids: Tensor<2, Int>,
        types: Option<Tensor<2, Int>>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Encoded {
        let prompt = self.prefix.vectors().map(shared);
        self.backbone.forward_prompted(ids, types, padding, prompt)
    }
}

impl Prefixed<Vit> {
    /// As [`Vit::forward`], with the prompt between `[CLS]` and the patches.
    ///
    /// # Shapes
    /// - as there: the output has nothing of the prompt
    pub fn forward(&self, images: Tensor<4>) -> Encoded {
        self.backbone
            .forward_prompted(images, self.prefix.vectors().map(shared))
    }
}

/// The same for every sequence.
///
/// # Shapes
/// - from `[layers, tokens, d_model]` to `[layers, 1, tokens, d_model]`
pub(crate) fn shared(vectors: Tensor<3>) -> Tensor<4> {
    vectors.unsqueeze_dim(1)
}
