//! Continuous prompts: vectors that train in front of a model that does not.
//!
//! | file | one idea |
//! |---|---|
//! | `backbone` | what a prompt must know of the model that it stands before |
//! | `soft` | vectors at the input: prompt tuning |
//! | `encoder` | the same, made by a network from inner vectors: P-tuning |
//! | `keys` | keys and values at every layer: prefix tuning |
//! | `deep` | vectors in the first layers of an encoder: VPT |
//! | `config` | the four as one enum pair |
//! | `prefixed` | a frozen model with its prompt |
//!
//! What a network makes in training is fixed afterwards: [`Prefix::fixed`] gives the plain numbers that it amounts to, and
//! these are all that is exported.

mod backbone;
mod config;
mod deep;
mod encoder;
mod keys;
mod prefixed;
mod soft;

pub use backbone::{Backbone, Sizes};
pub use config::{Prefix, PrefixConfig};
pub use deep::{DeepPrompt, DeepPromptConfig};
pub use encoder::{PTuning, PTuningConfig, PromptEncoder};
pub use keys::{PrefixTuning, PrefixTuningConfig, Reparameterisation};
pub use prefixed::Prefixed;
pub(crate) use prefixed::shared;
pub use soft::{SoftPrompt, SoftPromptConfig, SoftPromptInit};

#[cfg(test)]
mod tests;
