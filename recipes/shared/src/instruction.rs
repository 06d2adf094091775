//! Conversations for causal language models, with and without pictures: batches, models, answers, scores.

mod audited;
mod batch;
mod cleaned;
mod model;
mod rows;
mod score;
mod seeing;
mod sight;
mod speaker;
mod voice;

pub use audited::audited;
pub use batch::{InstructionBatch, InstructionCollate};
pub use cleaned::{cleaned, cleaned_for, thrown_away};
pub use model::{Converses, TextModel, VisualModel};
pub use score::ScoreConfig;
pub use seeing::Seeing;
pub use sight::SightConfig;
pub use speaker::{Answers, Asked, OnText, Speaker};
pub use voice::{ChatConfig, Voice};

#[cfg(test)]
mod tests;
