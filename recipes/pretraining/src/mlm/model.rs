//! A text encoder with a head that guesses tokens.

use burn::module::Module;
use burn::tensor::Device;
use crucible_datasets::{Tokenizer, TokenizerConfig};
use crucible_objectives::language::{at_positions, masked_language};
use crucible_shared::TextTower;
use crucible_training::{ClassificationOutput, Error, steps};
use crucible_transformer::{
    Activation, AttentionPattern, EncoderConfig, LanguageHead, NormPlacement, TextEncoderConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::collate::MaskedBatch;
use crate::hidden::Hidden;

/// A text encoder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TextTowerConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Layers.
    pub layers: usize,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh or relu.
    pub activation: Activation,
    /// Normalise before (pre) or after (post) each sub-layer; BERT has post.
    pub norm: NormPlacement,
    /// Which tokens each token sees: all (full), or for long sequences its neighbours (window, Longformer), sums over
    /// the sequence (linear, Linformer), or those of like direction (lsh, Reformer).
    pub attention: AttentionPattern,
}

impl TextTowerConfig {
    fn stack(&self) -> EncoderConfig {
        EncoderConfig::new(self.d_model, self.heads, self.d_ff, self.layers)
            .with_dropout(self.dropout)
            .with_activation(self.activation)
            .with_norm(self.norm)
            .with_attention(self.attention)
    }

    /// Whether the sizes fit together, and sequences of up to `max_length` tokens.
    pub fn check(&self, max_length: usize) -> Result<(), Error> {
        let sizes = self.stack().check();
        let sizes = sizes.and_then(|()| self.attention.check_length(max_length));
        sizes.map_err(|error| Error::Usage(error.to_string()))
    }

    /// A model with fresh weights.
    pub fn init(
        &self,
        config: &TokenizerConfig,
        tokenizer: &Tokenizer,
        device: &Device,
    ) -> LanguageModel {
        let vocabulary = tokenizer.vocabulary_size();
        let stack = self.stack();
        let (activation, epsilon) = (stack.activation, stack.norm_epsilon);
        let text = TextEncoderConfig::new(vocabulary, config.max_length, stack);
        LanguageModel {
            encoder: TextTower::new(&text, device),
            head: LanguageHead::new(self.d_model, vocabulary, activation, epsilon, device),
        }
    }
}

/// The encoder and its head.
#[derive(Module, Debug)]
pub struct LanguageModel {
    encoder: TextTower,
    head: LanguageHead,
}

impl LanguageModel {
    /// Only hidden positions are decoded.
    fn guess(&self, batch: MaskedBatch) -> ClassificationOutput {
        let MaskedBatch { hidden, ids } = batch;
        let Hidden {
            texts,
            positions,
            targets,
        } = hidden;
        let text = &self.encoder.text;
        let states = text.forward(texts.ids, None, Some(texts.padding)).tokens;
        let states = at_positions(states, positions);
        let logits = self.head.forward(states, text.embeddings.word.weight.val());
        ClassificationOutput {
            loss: masked_language(logits.clone(), targets.clone()),
            logits,
            targets,
            ids,
        }
    }
}

steps!(LanguageModel, MaskedBatch, ClassificationOutput, guess);
