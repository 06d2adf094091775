use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::tensor::{Bool, Device, Int, Tensor};
use schemars::JsonSchema;

use crate::{
    Encoded, Encoder, EncoderConfig, LayerNorm, Pooling, PositionKind, Positions,
    embedding_initializer,
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
}

/// A BERT-like encoder (Devlin et al. 2019): the sum of word, position and segment embeddings, LayerNorm,
/// dropout, then a bidirectional transformer.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// Embeddings and everything before the first block.
    pub embeddings: TextEmbeddings,
    /// The transformer.
    pub encoder: Encoder,
    #[module(skip)]
    pooling: Pooling,
}

/// The input layer of a [`TextEncoder`], which single-stream models use by itself.
#[derive(Module, Debug)]
pub struct TextEmbeddings {
    /// `[vocabulary, d_model]`.
    pub word: Embedding,
    /// `[max_length, d_model]`.
    pub position: Positions,
    /// `[token_types, d_model]`.
    pub token_type: Option<Embedding>,
    /// Over the sum.
    pub norm: LayerNorm,
    dropout: Dropout,
}

impl TextEncoderConfig {
    /// An encoder with fresh weights.
    pub fn init(&self, device: &Device) -> TextEncoder {
        TextEncoder {
            embeddings: self.init_embeddings(device),
            encoder: self.encoder.init(device),
            pooling: self.pooling,
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
        TextEmbeddings {
            word: embedding(self.vocabulary),
            position: self.positions.init(self.max_length, d_model, device),
            token_type: (self.token_types > 0).then(|| embedding(self.token_types)),
            norm: LayerNorm::new(d_model, norm_epsilon, device),
            dropout: DropoutConfig::new(dropout).init(),
        }
    }
}

impl TextEmbeddings {
    /// Tokens without a given type have type 0.
    ///
    /// # Shapes
    /// - `ids` and `types`: `[batch, length]`
    /// - output: `[batch, length, d_model]`
    pub fn forward(&self, ids: Tensor<2, Int>, types: Option<Tensor<2, Int>>) -> Tensor<3> {
        let types = types.unwrap_or_else(|| ids.zeros_like());
        let words = self.position.forward(self.word.forward(ids));
        let sum = match &self.token_type {
            Some(embedding) => words + embedding.forward(types),
            None => words,
        };
        self.dropout.forward(self.norm.forward(sum))
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
        let tokens = self.embeddings.forward(ids, types);
        let tokens = self.encoder.forward(tokens, padding.clone());
        let pooled = self.pooling.forward(tokens.clone(), padding.as_ref());
        Encoded {
            tokens,
            pooled,
            mask: padding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference};
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
            assert!(difference(a, alone) < 1e-6);
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
