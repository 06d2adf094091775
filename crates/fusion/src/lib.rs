//! Fusion of vision and language: early, mid and late, as one exchangeable part of a model.
//!
//! A *strategy* takes two encoded modalities and the pairs in which they belong together, and gives one
//! vector for each pair. Each is one file, holding its config, module, forward pass and tests:
//!
//! | family | where the modalities meet | strategies |
//! |---|---|---|
//! | [`early`] | at the input: one encoder over patch and word tokens | [`Joint`] |
//! | [`mid`] | in the upper layers: two streams joined by cross-attention | [`CoAttention`] |
//! | [`late`] | at the output: two pooled vectors | [`Concatenation`], [`WeightedSum`], [`GatedSum`] |
//!
//! To add one: write its file, then its arms in [`FusionConfig`] and [`Fusion`]; the compiler lists
//! those that are missing. [`FusionEncoder`] joins a strategy with its two towers; in a [`DualEncoder`] they never meet.

pub mod early;
pub mod late;
pub mod mid;

mod dual_encoder;
mod encoder;
mod modalities;
mod strategy;

pub use dual_encoder::{DualEncoder, DualEncoderConfig, LARGEST_SCALE};
pub use early::{Joint, JointConfig};
pub use encoder::{FusionEncoder, FusionEncoderConfig, FusionInput};
pub use late::{
    Concatenation, ConcatenationConfig, GatedSum, GatedSumConfig, WeightedSum, WeightedSumConfig,
};
pub use mid::{CoAttention, CoAttentionConfig};
pub use modalities::{Modalities, Tokens};
pub use strategy::{Fusion, FusionConfig};

#[cfg(test)]
mod fixture;
#[cfg(test)]
#[path = "../../transformer/src/testing.rs"]
mod testing;
