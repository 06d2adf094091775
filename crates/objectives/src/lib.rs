//! Self-supervised objectives: what to hide, and what it costs to guess wrong.
//!
//! Losses are pure functions of tensors; masks are drawn on the host by a generator that the caller keys, so that a
//! step can be repeated. Every function names its source, and `tests/objectives.rs` of the workspace holds losses and
//! gradients against PyTorch.
//!
//! | module | objectives |
//! |---|---|
//! | [`masking`] | which words, spans and patches are hidden |
//! | [`language`] | MLM, CLM, PrefixLM, PLM, and pairs of sentences (NSP, SOP) |
//! | [`pixels`] | MVM: masked patches as pixels |
//! | [`rotation`] | which way up an image is |
//! | [`contrastive`] | ITC (symmetric InfoNCE) and SigLIP |
//! | [`chunked`] | their exact gradient over a large batch, a chunk at a time |
//! | [`matching`] | ITM with hard negatives |
//! | [`information`] | bounds of mutual information: InfoNCE, NWJ, DV, MINE |
//! | [`alignment`] | what means the same is pulled together, and kept from collapsing |
//! | [`joint`] | several losses as one |

#![warn(missing_docs)]

pub mod alignment;
pub mod chunked;
pub mod contrastive;
pub mod information;
pub mod joint;
pub mod language;
pub mod masking;
pub mod matching;
pub mod pixels;
pub mod rotation;
#[cfg(test)]
mod testing;

pub use chunked::chunked;
pub use contrastive::{info_nce, info_nce_of, normalise, siglip, siglip_of};
pub use joint::{uncertainty, weighted};
