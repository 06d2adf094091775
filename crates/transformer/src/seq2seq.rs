//! Encoder-decoder language models with relative positions: T5 and Flan-T5 (Raffel et al. 2020).

mod attention;
mod block;
mod config;
mod continuation;
mod model;
mod relative;
mod stack;

pub use attention::RelativeAttention;
pub use block::Seq2SeqBlock;
pub use config::Seq2SeqConfig;
pub use continuation::Seq2SeqCache;
pub use model::Seq2Seq;
pub use relative::RelativePositions;
pub use stack::{EncoderMemory, Seq2SeqStack};

#[cfg(test)]
mod tests;
