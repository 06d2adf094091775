//! Late fusion: two pooled vectors meet at the output.

mod concatenation;
mod gated_sum;
mod weighted_sum;

pub use concatenation::{Concatenation, ConcatenationConfig};
pub use gated_sum::{GatedSum, GatedSumConfig};
pub use weighted_sum::{WeightedSum, WeightedSumConfig};
