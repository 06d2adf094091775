//! Fusion of vision and language: early, mid and late, as one exchangeable part of a model.
//!
//! A *strategy* takes two encoded modalities and the pairs in which they belong together, and gives one
//! vector for each pair. Each is one file, holding its config, module, forward pass and tests:
//!
//! | family | where the modalities meet |
//! |---|---|
//! | [`early`] | at the input: one encoder over patch and word tokens |
//! | [`mid`] | in the upper layers: two streams joined by cross-attention and the like |
//! | [`late`] | at the output: two pooled vectors, or two decisions |
//!
//! [`STRATEGIES`] lists them all. To add one: write its file, name it in the `mod.rs` beside it and in the list in
//! `strategy.rs`. [`FusionEncoder`] joins a strategy with its two towers; in a [`DualEncoder`] they never meet. A
//! [`VisionLanguage`] model reads pictures between its words, by way of a [`Connector`].

pub mod early;
pub mod late;
pub mod mid;

mod connector;
mod dual_encoder;
mod encoder;
mod modalities;
mod strategy;
mod vision_language;

pub use connector::{
    Connector, ConnectorConfig, MlpConnector, QueryConnector, QueryConnectorConfig,
    ResamplerConnector,
};
pub use dual_encoder::{DualEncoder, DualEncoderConfig, DualProjections, LARGEST_SCALE};
pub use early::*;
pub use encoder::{FusionEncoder, FusionEncoderConfig, FusionInput};
pub use late::*;
pub use mid::*;
pub use modalities::{Missing, Modalities, Tokens};
pub use strategy::{
    Described, Family, Fusion, FusionConfig, Head, STRATEGIES, Strategy, StrategyConfig, Sublayers,
};

pub use vision_language::{Features, VisionLanguage, VisionLanguageConfig, splice};

#[cfg(test)]
mod fixture;
#[cfg(test)]
#[path = "../../transformer/src/testing.rs"]
mod testing;
