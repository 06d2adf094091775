use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Bool, Device, Int, Tensor};

use super::config::Seq2SeqConfig;
use super::stack::{EncoderMemory, Seq2SeqStack, hiding};
use crate::{LoraConfig, Projection};

/// An encoder-decoder language model (T5, Raffel et al. 2020; Flan-T5, Chung et al. 2022).
#[derive(Module, Debug)]
pub struct Seq2Seq {
    /// `[vocabulary, d_model]`, for both stacks.
    pub word: Embedding,
    /// Reads.
    pub encoder: Seq2SeqStack,
    /// Writes.
    pub decoder: Seq2SeqStack,
    /// `d_model` to `vocabulary`; none where words are told by the matrix they are read by.
    pub head: Option<Projection>,
    max_length: usize,
    pub(super) decoder_start: u32,
}

impl Seq2SeqConfig {
    /// A model with fresh weights.
    ///
    /// # Panics
    /// When [`check`](Self::check) fails.
    pub fn init(&self, device: &Device) -> Seq2Seq {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
        Seq2Seq {
            // Of deviation 1, as T5 starts: norms come before each branch, and the tied head is scaled.
            word: EmbeddingConfig::new(self.vocabulary, self.d_model).init(device),
            encoder: Seq2SeqStack::new(self, false, device),
            decoder: Seq2SeqStack::new(self, true, device),
            head: (!self.tied)
                .then(|| Projection::new(self.d_model, self.vocabulary, false, device)),
            max_length: self.max_length,
            decoder_start: self.decoder_start,
        }
    }
}

impl Seq2Seq {
    /// The longest sequence, in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// # Shapes
    /// - from `[sequences, length]` to `[sequences, length, d_model]`
    pub fn embed(&self, words: Tensor<2, Int>) -> Tensor<3> {
        self.word.forward(words)
    }

    /// What a decoder reads of some sequences.
    ///
    /// # Shapes
    /// - `x`, of [`embed`](Self::embed): `[sequences, tokens, d_model]`
    /// - `padding`: `[sequences, tokens]`, `true` = padding
    pub fn encode(&self, x: Tensor<3>, padding: Option<Tensor<2, Bool>>) -> EncoderMemory {
        self.encode_with(x, padding, &mut |_| ()).1
    }

    /// States from which the next tokens are told, each from those up to it.
    ///
    /// # Shapes
    /// - `x`, of [`embed`](Self::embed), and output: `[sequences, length, d_model]`
    pub fn decode(&self, x: Tensor<3>, memory: &EncoderMemory) -> Tensor<3> {
        self.decode_with(x, memory, &mut |_| ())
    }

    /// [`decode`](Self::decode) of what [`encode`](Self::encode) gives.
    ///
    /// # Shapes
    /// - `source`: `[sequences, tokens, d_model]`; `padding`: `[sequences, tokens]`, `true` = padding
    /// - `target` and output: `[sequences, length, d_model]`
    pub fn forward(
        &self,
        source: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        target: Tensor<3>,
    ) -> Tensor<3> {
        self.decode(target, &self.encode(source, padding))
    }

    /// Of encoder and decoder: what goes into each block, first to last, and what the stack gives. Inputs are those of
    /// [`forward`](Self::forward).
    pub fn hidden_states(
        &self,
        source: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        target: Tensor<3>,
    ) -> [Vec<Tensor<3>>; 2] {
        let (mut read, mut written) = (Vec::new(), Vec::new());
        let (last, memory) = self.encode_with(source, padding, &mut |x| read.push(x.clone()));
        read.push(last);
        let last = self.decode_with(target, &memory, &mut |x| written.push(x.clone()));
        written.push(last);
        [read, written]
    }

    fn encode_with(
        &self,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        each: &mut dyn FnMut(&Tensor<3>),
    ) -> (Tensor<3>, EncoderMemory) {
        let [_, length, _] = x.dims();
        let hiding = padding.map(hiding);
        let bias = self.encoder.both_ways(length, hiding.clone());
        let encoded = self.encoder.through(x, &bias, None, None, each);
        let memory = self.decoder.read(&encoded, hiding);
        (encoded, memory)
    }

    fn decode_with(
        &self,
        x: Tensor<3>,
        memory: &EncoderMemory,
        each: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let [_, length, _] = x.dims();
        let bias = self.decoder.backwards(0..length);
        self.decoder.through(x, &bias, Some(memory), None, each)
    }

    /// Scores of each token to be the next.
    ///
    /// # Shapes
    /// - from states `[..., d_model]` to `[..., vocabulary]`
    pub fn logits<const D: usize>(&self, states: Tensor<D>) -> Tensor<D> {
        match &self.head {
            Some(head) => head.forward(states),
            None => {
                let scale = (states.dims()[D - 1] as f64).powf(-0.5);
                let words = self.word.weight.val().transpose();
                crucible_kernels::linear(states * scale, words, None, None)
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
        for stack in [&mut self.encoder, &mut self.decoder] {
            for block in &mut stack.blocks {
                block.projections(&change);
            }
        }
        self
    }
}
