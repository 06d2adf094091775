use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::tensor::{Bool, Device, Int, Tensor};
use schemars::JsonSchema;

use crate::{
    AttentionMask, Encoded, Encoder, EncoderConfig, LayerNorm, Pooler, Pooling, PositionKind,
    Positions, TextEnd, embedding_initializer,
};

/// Configuration of a [`TextEncoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct TextEncoderConfig {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Longest sequence, in tokens.
    pub max_length: usize,
    /// The transformer.
    pub encoder: EncoderConfig,
    /// Number of segments (token types) a token can belong to; 0 for no segment embedding.
    #[config(default = 0)]
    pub token_types: usize,
    /// Learned or sinusoidal positions.
    #[config(default = "PositionKind::Learned")]
    pub positions: PositionKind,
    /// How the sequence becomes one vector.
    #[config(default = "Pooling::Cls")]
    pub pooling: Pooling,
    /// Where the sequence is read instead, if at its end (CLIP, SigLIP).
    pub end: Option<TextEnd>,
    /// What is pooled goes through a linear layer and tanh (BERT).
    #[config(default = false)]
    pub pooler: bool,
    /// A LayerNorm over the sum of the embeddings; CLIP and SigLIP have none.
    #[config(default = true)]
    pub embedding_norm: bool,
    /// Position of the first token: 2 in RoBERTa, whose table has as many rows more.
    #[config(default = 0)]
    pub first_position: usize,
    /// Each token sees only those before it and itself (CLIP).
    #[config(default = false)]
    pub causal: bool,
}

/// A BERT-like encoder (Devlin et al. 2019): the sum of word, position and segment embeddings, LayerNorm,
/// dropout, then a transformer, bidirectional or causal.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// Embeddings and everything before the first block.
    pub embeddings: TextEmbeddings,
    /// The transformer.
    pub encoder: Encoder,
    /// Over what is pooled.
    pub pooler: Option<Pooler>,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    end: Option<TextEnd>,
    causal: bool,
}

/// The input layer of a [`TextEncoder`], which single-stream models use by itself.
#[derive(Module, Debug)]
pub struct TextEmbeddings {
    /// `[vocabulary, d_model]`.
    pub word: Embedding,
    /// `[first_position + max_length, d_model]`.
    pub position: Positions,
    /// `[token_types, d_model]`.
    pub token_type: Option<Embedding>,
    /// Over the sum.
    pub norm: Option<LayerNorm>,
    dropout: Dropout,
    first_position: usize,
}

impl TextEncoderConfig {
    /// An encoder with fresh weights.
    pub fn init(&self, device: &Device) -> TextEncoder {
        TextEncoder {
            embeddings: self.init_embeddings(device),
            encoder: self.encoder.init(device),
            pooler: (self.pooler).then(|| Pooler::new(self.encoder.d_model, device)),
            pooling: self.pooling,
            end: self.end,
            causal: self.causal,
        }
    }

    /// The input layer alone, with fresh weights.
    pub fn init_embeddings(&self, device: &Device) -> TextEmbeddings {
        let EncoderConfig {
            d_model,
            dropout,
            norm_epsilon,
            ..
        } = self.encoder;
        let embedding = |rows| {
            EmbeddingConfig::new(rows, d_model)
                .with_initializer(embedding_initializer())
                .init(device)
        };
        let positions = self.first_position + self.max_length;
        TextEmbeddings {
            word: embedding(self.vocabulary),
            position: self.positions.init(positions, d_model, device),
            token_type: (self.token_types > 0).then(|| embedding(self.token_types)),
            norm: (self.embedding_norm).then(|| LayerNorm::new(d_model, norm_epsilon, device)),
            dropout: DropoutConfig::new(dropout).init(),
            first_position: self.first_position,
        }
    }
}

impl TextEmbeddings {
    /// The longest sequence of words.
    pub fn max_length(&self) -> usize {
        self.position
            .positions()
            .saturating_sub(self.first_position)
    }

    /// Tokens without a given type have type 0.
    ///
    /// # Shapes
    /// - `ids` and `types`: `[batch, length]`
    /// - output: `[batch, length, d_model]`
    pub fn forward(&self, ids: Tensor<2, Int>, types: Option<Tensor<2, Int>>) -> Tensor<3> {
        let types = types.unwrap_or_else(|| ids.zeros_like());
        let words = self.word.forward(ids);
        let words = self.position.forward_from(words, self.first_position);
        let sum = match &self.token_type {
            Some(embedding) => words + embedding.forward(types),
            None => words,
        };
        let sum = match &self.norm {
            Some(norm) => norm.forward(sum),
            None => sum,
        };
        self.dropout.forward(sum)
    }
}

impl TextEncoder {
    /// # Shapes
    /// - `ids`: `[batch, length]`; `types`: the same, or `None` for type 0 everywhere
    /// - `padding`: `[batch, length]`, `true` = padding
    /// - output: tokens `[batch, length, d_model]`, pooled `[batch, d_model]`, mask `[batch, length]`
    pub fn forward(
        &self,
        ids: Tensor<2, Int>,
        types: Option<Tensor<2, Int>>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Encoded {
        self.forward_prompted(ids, types, padding, None)
    }

    /// As [`forward`](Self::forward), with vectors of a prompt before the words: they take no positions, all words see
    /// them, and the output leaves them out. See [`Encoder::forward_prompted`]. Where attention is to windows, they are
    /// the first few that it is to everywhere, in place of the first words.
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward); `prompt`: `[layers, batch or 1, tokens, d_model]`
    pub fn forward_prompted(
        &self,
        ids: Tensor<2, Int>,
        types: Option<Tensor<2, Int>>,
        padding: Option<Tensor<2, Bool>>,
        prompt: Option<Tensor<4>>,
    ) -> Encoded {
        let mask = self.hidden(padding);
        let tokens = self.embeddings.forward(ids.clone(), types);
        let tokens = match prompt {
            Some(prompt) => {
                let [_, _, before, _] = prompt.dims();
                let padding = mask.clone().map(|padding| seen_before(padding, before));
                let attention = self.attention_mask(padding);
                (self.encoder).forward_prompted(tokens, attention.as_ref(), prompt, 0)
            }
            None => {
                let attention = self.attention_mask(mask.clone());
                self.encoder.forward_masked(tokens, attention.as_ref())
            }
        };
        let pooled = match self.end {
            Some(end) => end.forward(tokens.clone(), ids),
            None => self.pooling.forward(tokens.clone(), mask.as_ref()),
        };
        let pooled = match &self.pooler {
            Some(pooler) => pooler.forward(pooled),
            None => pooled,
        };
        Encoded {
            tokens,
            pooled,
            mask,
        }
    }

    /// What enters the first block and what leaves each, before the norm that follows the last.
    ///
    /// # Shapes
    /// - as [`forward`](Self::forward); outputs: `[batch, length, d_model]`
    pub fn hidden_states(
        &self,
        ids: Tensor<2, Int>,
        types: Option<Tensor<2, Int>>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Vec<Tensor<3>> {
        let attention = self.attention_mask(self.hidden(padding));
        let tokens = self.embeddings.forward(ids, types);
        self.encoder.hidden_states(tokens, attention.as_ref())
    }

    /// The padding that tokens do not see.
    fn hidden(&self, padding: Option<Tensor<2, Bool>>) -> Option<Tensor<2, Bool>> {
        padding.filter(|_| self.end != Some(TextEnd::LastPlace))
    }

    fn attention_mask(&self, padding: Option<Tensor<2, Bool>>) -> Option<AttentionMask> {
        let padding = padding.map(AttentionMask::padding);
        if !self.causal {
            return padding;
        }
        let causal = AttentionMask::causal();
        Some(match padding {
            Some(padding) => causal.or(padding),
            None => causal,
        })
    }
}

/// Padding of sequences that so many tokens stand before, none of them padding.
///
/// # Shapes
/// - from `[batch, length]` to `[batch, before + length]`
fn seen_before(padding: Tensor<2, Bool>, before: usize) -> Tensor<2, Bool> {
    let [batch, _] = padding.dims();
    let seen = Tensor::<2>::zeros([batch, before], &padding.device()).greater_elem(1.0);
    Tensor::cat(vec![seen, padding], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::TensorData;

    fn ids<const L: usize>(rows: [[i32; L]; 2]) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::from(rows), &device())
    }

    fn padding<const L: usize>(rows: [[bool; L]; 2]) -> Tensor<2, Bool> {
        Tensor::from_data(TensorData::from(rows), &device())
    }

    fn config() -> TextEncoderConfig {
        TextEncoderConfig::new(6, 4, EncoderConfig::new(8, 2, 12, 2)).with_token_types(2)
    }

    #[test]
    fn shapes_are_as_documented_and_everything_trains() {
        let encoder = config().init(&device());
        // Each id, each position and each type occurs, so that each embedding has a gradient.
        let (words, types) = (
            ids([[0, 1, 2, 3], [4, 5, 0, 0]]),
            ids([[0, 0, 1, 1], [0, 1, 0, 0]]),
        );
        let mask = padding([[false; 4], [false, false, true, true]]);
        let encoded = encoder.forward(words, Some(types), Some(mask.clone()));
        assert_eq!(encoded.tokens.dims(), [2, 4, 8]);
        assert_eq!(encoded.pooled.dims(), [2, 8]);
        encoded
            .mask
            .unwrap()
            .into_data()
            .assert_eq(&mask.into_data(), true);
        assert_gradients_reach_everything(&encoder, encoded.tokens);
    }

    #[test]
    fn padded_words_are_ignored_and_so_is_the_padding_itself() {
        for pooling in [Pooling::Cls, Pooling::Mean] {
            let encoder = config().with_pooling(pooling).init(&device());
            let mask = padding([[false, false, true, true]; 2]);
            let [a, b] = [[[1, 2, 0, 0]; 2], [[1, 2, 5, 3]; 2]]
                .map(|words| encoder.forward(ids(words), None, Some(mask.clone())).pooled);
            assert_eq!(difference(a.clone(), b), 0.0);
            let alone = encoder.forward(ids([[1, 2]; 2]), None, None).pooled;
            assert!(difference(a, alone) < 1e-5);
        }
    }

    #[test]
    fn a_prompt_is_seen_by_all_words_takes_no_position_and_is_left_out() {
        for causal in [false, true] {
            let encoder = config().with_causal(causal).init(&device());
            let mask = padding([[false, false, true, true]; 2]);
            let read =
                |words, mask, prompt| encoder.forward_prompted(ids(words), None, mask, prompt);
            let prompt = |seed| Some(values([1, 1, 3, 8], seed, &device()));
            let padded = [[1, 2, 0, 0]; 2];
            let encoded = read(padded, Some(mask.clone()), prompt(1));
            assert_eq!(encoded.tokens.dims(), [2, 4, 8]);
            let other = read([[1, 2, 5, 3]; 2], Some(mask.clone()), prompt(1));
            assert_eq!(difference(encoded.pooled.clone(), other.pooled), 0.0);
            let first = |encoded: Encoded| encoded.tokens.narrow(1, 0, 1);
            let other = read(padded, Some(mask), prompt(2));
            assert!(difference(first(encoded.clone()), first(other)) > 1e-3);
            let alone = encoder.forward_prompted(ids([[1, 2]; 2]), None, None, prompt(1));
            assert!(difference(encoded.pooled, alone.pooled) < 1e-5);
            let whole = encoder.embeddings.forward(ids([[1, 2]; 2]), None);
            let vectors = values([1, 3, 8], 1, &device()).expand([2, 3, 8]);
            let whole = Tensor::cat(vec![vectors, whole], 1);
            let attention = encoder.attention_mask(None);
            let whole = encoder.encoder.forward_masked(whole, attention.as_ref());
            assert!(difference(whole.narrow(1, 3, 2), alone.tokens) < 1e-6);
        }
    }

    #[test]
    fn a_causal_text_is_read_at_its_end_whatever_follows() {
        let config = config().with_causal(true).with_embedding_norm(false);
        let encoder = config.with_end(Some(TextEnd::HighestId)).init(&device());
        assert!(encoder.embeddings.norm.is_none());
        let pooled = |words| encoder.forward(ids(words), None, None).pooled;
        let [a, b] = [[[1, 5, 2, 3]; 2], [[1, 5, 4, 0]; 2]].map(pooled);
        assert_eq!(difference(a.clone(), b), 0.0);
        assert!(difference(a, pooled([[2, 5, 4, 0]; 2])) > 1e-3);
    }

    #[test]
    fn what_fills_a_text_up_to_its_last_place_is_read() {
        let config = config().with_end(Some(TextEnd::LastPlace));
        let encoder = config.with_pooler(true).init(&device());
        let words = ids([[1, 2, 0, 0]; 2]);
        let mask = padding([[false, false, true, true]; 2]);
        let [a, b] = [None, Some(mask)].map(|mask| encoder.forward(words.clone(), None, mask));
        assert!(b.mask.is_none());
        let pooler = encoder.pooler.as_ref().unwrap();
        let last = a.tokens.narrow(1, 3, 1).squeeze_dim(1);
        assert_eq!(difference(pooler.forward(last), b.pooled), 0.0);
    }

    #[test]
    fn positions_may_start_later_and_leave_as_many_tokens() {
        let encoder = config().with_first_position(2).init(&device());
        let Positions::Learned(table) = &encoder.embeddings.position else {
            panic!("positions are learnt");
        };
        assert_eq!(table.dims(), [6, 8]);
        let sum = |position| {
            let word = encoder.embeddings.word.forward(ids([[3]; 2]));
            let place = table.val().narrow(0, position, 1).unsqueeze::<3>();
            let segment = encoder.embeddings.token_type.as_ref().unwrap();
            let norm = encoder.embeddings.norm.as_ref().unwrap();
            norm.forward(word + place + segment.forward(ids([[0]; 2])))
        };
        let tokens = encoder.embeddings.forward(ids([[3, 3, 3, 3]; 2]), None);
        for place in 0..4 {
            let token = tokens.clone().narrow(1, place, 1);
            assert!(difference(token, sum(place + 2)) < 1e-6);
        }
    }

    #[test]
    fn a_missing_type_is_type_zero() {
        let encoder = config().init(&device());
        let words = ids([[1, 2, 3, 4]; 2]);
        let tokens = |types| encoder.forward(words.clone(), types, None).tokens;
        assert_eq!(
            difference(tokens(None), tokens(Some(ids([[0; 4]; 2])))),
            0.0
        );
        assert!(difference(tokens(None), tokens(Some(ids([[1; 4]; 2])))) > 1e-3);
    }
}
