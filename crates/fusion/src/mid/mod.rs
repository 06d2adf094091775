//! Mid fusion: two streams meet in the upper layers.

mod co_attention;

pub use co_attention::{CoAttention, CoAttentionConfig};
