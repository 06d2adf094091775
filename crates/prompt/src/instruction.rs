//! An encoder of instructions: from a wording to one vector, and from that to the vectors that a frozen model reads.

// A model has one reader, whose kinds differ in size; the derived code repeats the enum, where no attribute reaches.
#![allow(clippy::large_enum_variant)]

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, Lstm, LstmConfig};
use burn::tensor::{Bool, Device, Int, Tensor};
use crucible_transformer::{
    ConfigError, EncoderConfig, LayerNorm, Pooling, TextEncoder, TextEncoderConfig, linear, project,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What reads the words of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReaderKind {
    /// The mean of trained word vectors, through a linear layer: the order of the words is lost.
    Embedding,
    /// The mean of the states of an LSTM.
    Lstm,
    /// The mean of what two blocks of a transformer make of the words.
    Transformer,
}

/// Configuration of an [`InstructionEncoder`].
#[derive(Config, Debug, JsonSchema)]
pub struct InstructionConfig {
    /// Vectors that stand in place of the words.
    pub tokens: usize,
    /// What reads the words: embedding, lstm or transformer.
    #[config(default = "ReaderKind::Embedding")]
    pub encoder: ReaderKind,
    /// Width of its word vectors and of the vector of an instruction.
    #[config(default = 64)]
    pub width: usize,
}

/// A small encoder of instructions.
///
/// All that the frozen model is told of an instruction goes through one vector of fixed length, so that its direction
/// means everything: where two wordings have the same direction, they are answered alike.
#[derive(Module, Debug)]
pub struct InstructionEncoder {
    /// Reads the words.
    pub reader: Reader,
    /// Gives the vector of an instruction its length.
    pub norm: LayerNorm,
    /// From that vector to all vectors of the prompt: `width` to `tokens * d_model`.
    pub vectors: Linear,
}

/// See [`ReaderKind`].
#[derive(Module, Debug)]
pub enum Reader {
    /// See [`ReaderKind::Embedding`].
    Embedding(MeanOfWords),
    /// See [`ReaderKind::Lstm`].
    Lstm(States),
    /// See [`ReaderKind::Transformer`].
    Transformer(TextEncoder),
}

/// Word vectors and a linear layer over their mean.
#[derive(Module, Debug)]
pub struct MeanOfWords {
    /// `[vocabulary, width]`.
    pub word: Embedding,
    /// `width` to `width`.
    pub linear: Linear,
}

/// Word vectors and an LSTM over them.
#[derive(Module, Debug)]
pub struct States {
    /// `[vocabulary, width]`.
    pub word: Embedding,
    /// `width` to `width`.
    pub lstm: Lstm,
}

/// Heads of a transformer's attention.
const HEADS: usize = 4;

impl InstructionConfig {
    /// Whether the sizes make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        ConfigError::unless(self.tokens > 0, "tokens", || "must be at least 1".into())?;
        let divides = match self.encoder {
            ReaderKind::Transformer => HEADS,
            _ => 1,
        };
        let fits = self.width > 0 && self.width.is_multiple_of(divides);
        ConfigError::unless(fits, "width", || {
            format!("is {}, but must be a multiple of {divides}", self.width)
        })
    }

    /// An encoder with fresh weights for instructions of at most `max_length` tokens and a model of that width.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn init(
        &self,
        vocabulary: usize,
        max_length: usize,
        d_model: usize,
        device: &Device,
    ) -> Result<InstructionEncoder, ConfigError> {
        self.check()?;
        let width = self.width;
        // As wide as what a linear layer starts for: the mean of smaller ones would drown in its bias.
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let word = EmbeddingConfig::new(vocabulary, width).with_initializer(normal);
        let reader = match self.encoder {
            ReaderKind::Embedding => Reader::Embedding(MeanOfWords {
                word: word.init(device),
                linear: linear(width, width, device),
            }),
            ReaderKind::Lstm => Reader::Lstm(States {
                word: word.init(device),
                lstm: LstmConfig::new(width, width, true).init(device),
            }),
            ReaderKind::Transformer => {
                let encoder = EncoderConfig::new(width, HEADS, 2 * width, 2);
                let config = TextEncoderConfig::new(vocabulary, max_length, encoder);
                Reader::Transformer(config.with_pooling(Pooling::Mean).init(device))
            }
        };
        Ok(InstructionEncoder {
            reader,
            norm: LayerNorm::new(width, 1e-5, device),
            vectors: linear(width, self.tokens * d_model, device),
        })
    }
}

impl InstructionEncoder {
    /// One vector for each instruction.
    ///
    /// # Shapes
    /// - `ids` and `padding` (`true` = padding): `[texts, length]`; output: `[texts, width]`
    pub fn represent(&self, ids: Tensor<2, Int>, padding: Tensor<2, Bool>) -> Tensor<2> {
        let mean = |states| Pooling::Mean.forward(states, Some(&padding));
        self.norm.forward(match &self.reader {
            Reader::Embedding(read) => project(&read.linear, mean(read.word.forward(ids))),
            // Padding comes last, so that no state that counts has seen it.
            Reader::Lstm(read) => mean(read.lstm.forward(read.word.forward(ids), None).0),
            Reader::Transformer(read) => read.forward(ids, None, Some(padding.clone())).pooled,
        })
    }

    /// What stands in place of the words.
    ///
    /// # Shapes
    /// - `representations`: `[texts, width]`; output: `[texts, tokens, d_model]`
    pub fn prompt(&self, representations: Tensor<2>, d_model: usize) -> Tensor<3> {
        let [texts, _] = representations.dims();
        let vectors = project(&self.vectors, representations);
        let [_, wide] = vectors.dims();
        vectors.reshape([texts, wide / d_model, d_model])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference};
    use burn::tensor::TensorData;

    const KINDS: [ReaderKind; 3] = [
        ReaderKind::Embedding,
        ReaderKind::Lstm,
        ReaderKind::Transformer,
    ];

    fn texts(rows: [[i32; 4]; 2], padding: [[bool; 4]; 2]) -> (Tensor<2, Int>, Tensor<2, Bool>) {
        let padding = Tensor::from_data(TensorData::from(padding), &device());
        (
            Tensor::from_data(TensorData::from(rows), &device()),
            padding,
        )
    }

    #[test]
    fn every_encoder_trains_whole_and_sees_no_padding() {
        for encoder in KINDS {
            let config = InstructionConfig::new(3)
                .with_encoder(encoder)
                .with_width(8);
            let model = config.init(5, 4, 6, &device()).unwrap();
            let hidden = [[false; 4], [false, false, true, true]];
            let (ids, padding) = texts([[0, 1, 2, 3], [4, 1, 0, 0]], hidden);
            let found = model.represent(ids, padding);
            let (ids, padding) = texts([[0, 1, 2, 3], [4, 1, 2, 3]], hidden);
            let other = model.represent(ids, padding);
            assert!(difference(found.clone(), other) < 1e-5, "{encoder:?}");
            let prompt = model.prompt(found, 6);
            assert_eq!(prompt.dims(), [2, 3, 6], "{encoder:?}");
            assert_gradients_reach_everything(&model, prompt);
        }
    }

    #[test]
    fn sizes_that_make_no_sense_name_the_field() {
        let good = InstructionConfig::new(2).with_width(6);
        let wide = good.clone().with_encoder(ReaderKind::Transformer);
        for (config, field) in [
            (InstructionConfig::new(0), "tokens"),
            (good.clone().with_width(0), "width"),
            (wide, "width"),
        ] {
            assert_eq!(config.check().unwrap_err().field, field);
        }
        assert_eq!(good.check(), Ok(()));
    }
}
