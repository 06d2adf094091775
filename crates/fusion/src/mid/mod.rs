//! Mid fusion: two streams meet in the upper layers.

mod bottleneck;
mod co_attention;
mod cross_attention;
mod film;
mod gated_cross_attention;
mod merged_attention;
mod perceiver_resampler;
mod q_former;

pub use bottleneck::*;
pub use co_attention::*;
pub use cross_attention::*;
pub use film::*;
pub use gated_cross_attention::*;
pub use merged_attention::*;
pub use perceiver_resampler::*;
pub use q_former::*;
