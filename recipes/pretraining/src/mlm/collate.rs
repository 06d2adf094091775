//! Passages with hidden tokens.

use std::sync::Arc;

use burn::tensor::Device;
use crucible_datasets::{Collate, DataError, Drawn, Tokenizer};
use crucible_objectives::masking::TokenMasking;

use crate::hidden::{Hidden, HiddenHost, Hider};

/// Passages in which tokens are to be guessed.
#[derive(Clone, Debug)]
pub struct MaskedBatch {
    /// The passages.
    pub hidden: Hidden,
    /// Their numbers.
    pub ids: Vec<String>,
}

/// Makes [`MaskedBatch`]es: other tokens are hidden at each draw, in evaluation always the same.
pub struct MaskedCollate(Hider);

impl MaskedCollate {
    pub fn new(tokenizer: Tokenizer, masking: TokenMasking) -> Result<Self, DataError> {
        Hider::new(Arc::new(tokenizer), masking).map(Self)
    }
}

impl Collate for MaskedCollate {
    type Sample = String;
    type Host = (HiddenHost, Vec<String>);
    type Batch = MaskedBatch;

    fn collate(&self, drawn: Vec<Drawn<String>>) -> Result<Self::Host, DataError> {
        let mask = |drawn: &Drawn<String>| self.0.hide(&drawn.sample, &mut drawn.masking());
        let masked = drawn.iter().map(mask).collect::<Result<_, _>>()?;
        let ids = drawn.iter().map(|drawn| drawn.index.to_string());
        Ok((self.0.pad(masked), ids.collect()))
    }

    fn upload(&self, (hidden, ids): Self::Host, device: &Device) -> MaskedBatch {
        let hidden = hidden.upload(device);
        MaskedBatch { hidden, ids }
    }
}
