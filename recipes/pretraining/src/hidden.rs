//! Texts in which tokens are hidden.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use crucible_datasets::{DataError, MASK, Tokenizer, Tokens, TokensHost, indices};
use crucible_objectives::masking::{MaskedTokens, TokenMasking, Vocabulary, mask_tokens};
use rand::Rng;

/// Texts in which tokens are to be guessed.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// The texts as the model sees them.
    pub texts: Tokens,
    /// Where it has to guess: row times length plus column, `[hidden]`.
    pub positions: Tensor<1, Int>,
    /// What was there, `[hidden]`.
    pub targets: Tensor<1, Int>,
}

/// [`Hidden`] in host memory.
pub struct HiddenHost {
    texts: TokensHost,
    positions: Vec<i32>,
    targets: Vec<i32>,
}

/// Hides tokens.
pub struct Hider {
    tokenizer: Arc<Tokenizer>,
    masking: TokenMasking,
    vocabulary: Vocabulary,
}

impl Hider {
    pub fn new(tokenizer: Arc<Tokenizer>, masking: TokenMasking) -> Result<Self, DataError> {
        let mask = tokenizer.id(MASK).or_else(|| tokenizer.id("<mask>"));
        let mask = mask.ok_or_else(|| DataError::Tokenizer {
            tokenizer: "tokenizer".into(),
            reason: "it has no mask token".into(),
            remedy: "add a token [MASK] or <mask>",
        })?;
        let hidden = masking.keep + masking.replace;
        if hidden > 1.0 || masking.rate <= 0.0 {
            return Err(DataError::Setting {
                setting: "masking",
                value: format!("rate {}, keep + replace {hidden}", masking.rate),
                reason: "expected a rate above 0, and shares that are at most 1 together".into(),
            });
        }
        let vocabulary = Vocabulary {
            mask,
            ordinary: 0..tokenizer.vocabulary_size() as u32,
        };
        Ok(Self {
            tokenizer,
            masking,
            vocabulary,
        })
    }

    /// A text with hidden tokens.
    pub fn hide(&self, text: &str, random: &mut impl Rng) -> Result<MaskedTokens, DataError> {
        let pieces = self.tokenizer.pieces(text)?;
        let (masking, vocabulary) = (&self.masking, &self.vocabulary);
        Ok(mask_tokens(
            &pieces.ids,
            &pieces.words,
            masking,
            vocabulary,
            random,
        ))
    }

    /// Texts of unlike lengths as one batch.
    pub fn pad(&self, mut masked: Vec<MaskedTokens>) -> HiddenHost {
        let texts: Vec<Vec<u32>> = masked
            .iter_mut()
            .map(|text| std::mem::take(&mut text.ids))
            .collect();
        let texts = TokensHost::pad(&texts, self.tokenizer.padding());
        let rows = masked.iter().enumerate();
        let positions = rows.flat_map(|(row, text)| {
            let start = row * texts.length();
            let columns = text.positions.iter();
            columns.map(move |column| (start + column) as i32)
        });
        let positions = positions.collect();
        let targets = masked.iter().flat_map(|text| &text.targets);
        HiddenHost {
            positions,
            targets: targets.map(|&target| target as i32).collect(),
            texts,
        }
    }
}

impl HiddenHost {
    pub fn upload(self, device: &Device) -> Hidden {
        Hidden {
            texts: self.texts.upload(device),
            positions: indices(self.positions, device),
            targets: indices(self.targets, device),
        }
    }
}
