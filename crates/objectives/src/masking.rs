//! Which words and patches are hidden. Drawn on the host: `random` is keyed by the caller, so that a sample is hidden
//! in the same way whenever its step is repeated.

mod patches;
mod tokens;

pub use patches::{Blocks, PatchMasking, mask_patches};
pub use tokens::{MaskedTokens, TokenMasking, Unit, Vocabulary, mask_tokens};
