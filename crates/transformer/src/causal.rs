//! Decoder-only language models: GPT-2 and the Llama family, with adapters and a cache of keys and values.

mod attention;
mod block;
mod cache;
mod config;
mod continuation;
mod lora;
mod model;
mod rotary;

pub use attention::GroupedQueryAttention;
pub use block::{CausalBlock, CausalFeedForward};
pub use cache::{KeyValueCache, LayerCache};
pub(crate) use cache::{kept, rows};
pub use config::{CausalLmConfig, CausalPositions, QkvBias};
pub(crate) use continuation::{column, table};
pub use lora::{LoraConfig, LowRank, Projection};
pub(crate) use model::bools;
pub use model::{CausalLm, Places};
pub use rotary::{RopeScaling, RotaryConfig, Rotation};

#[cfg(test)]
mod tests;
