//! Late fusion: two pooled vectors meet at the output, or two decisions.

mod average;
mod concatenation;
mod factorized_bilinear;
mod gated_sum;
mod logit_average;
mod low_rank;
mod mutan;
mod product_of_experts;
mod tensor_fusion;
mod weighted_sum;

pub use average::*;
pub use concatenation::*;
pub use factorized_bilinear::*;
pub use gated_sum::*;
pub use logit_average::*;
pub use low_rank::*;
pub use mutan::*;
pub use product_of_experts::*;
pub use tensor_fusion::*;
pub use weighted_sum::*;
