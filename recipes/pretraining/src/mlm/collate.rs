//! Passages with hidden tokens.

use burn::tensor::{Device, Int, Tensor};
use crucible_datasets::{Collate, DataError, Drawn, MASK, Tokenizer, Tokens, TokensHost, indices};
use crucible_objectives::masking::{TokenMasking, Vocabulary, mask_tokens};

/// Texts in which tokens are to be guessed.
#[derive(Clone, Debug)]
pub struct MaskedBatch {
    /// The texts as the model sees them.
    pub texts: Tokens,
    /// Where it has to guess: row times length plus column, `[hidden]`.
    pub positions: Tensor<1, Int>,
    /// What was there, `[hidden]`.
    pub targets: Tensor<1, Int>,
    /// The passages' numbers.
    pub ids: Vec<String>,
}

/// A [`MaskedBatch`] in host memory.
pub struct MaskedHost {
    texts: TokensHost,
    positions: Vec<i32>,
    targets: Vec<i32>,
    ids: Vec<String>,
}

/// Makes [`MaskedBatch`]es: other tokens are hidden at each draw, in evaluation always the same.
pub struct MaskedCollate {
    tokenizer: Tokenizer,
    masking: TokenMasking,
    vocabulary: Vocabulary,
}

impl MaskedCollate {
    pub fn new(tokenizer: Tokenizer, masking: TokenMasking) -> Result<Self, DataError> {
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
}

impl Collate for MaskedCollate {
    type Sample = String;
    type Host = MaskedHost;
    type Batch = MaskedBatch;

    fn collate(&self, drawn: Vec<Drawn<String>>) -> Result<MaskedHost, DataError> {
        let mut masked = Vec::with_capacity(drawn.len());
        let mut ids = Vec::with_capacity(drawn.len());
        for drawn in drawn {
            let pieces = self.tokenizer.pieces(&drawn.sample)?;
            masked.push(mask_tokens(
                &pieces.ids,
                &pieces.words,
                &self.masking,
                &self.vocabulary,
                &mut drawn.masking(),
            ));
            ids.push(drawn.index.to_string());
        }
        let texts: Vec<Vec<u32>> = masked
            .iter_mut()
            .map(|text| std::mem::take(&mut text.ids))
            .collect();
        let texts = TokensHost::pad(&texts, self.tokenizer.padding());
        let rows = masked.iter().enumerate();
        let positions = rows.flat_map(|(row, text)| {
            let start = row * texts.length();
            text.positions
                .iter()
                .map(move |column| (start + column) as i32)
        });
        let positions = positions.collect();
        let targets = masked.iter().flat_map(|text| &text.targets);
        Ok(MaskedHost {
            positions,
            targets: targets.map(|&target| target as i32).collect(),
            texts,
            ids,
        })
    }

    fn upload(&self, host: MaskedHost, device: &Device) -> MaskedBatch {
        MaskedBatch {
            texts: host.texts.upload(device),
            positions: indices(host.positions, device),
            targets: indices(host.targets, device),
            ids: host.ids,
        }
    }
}
