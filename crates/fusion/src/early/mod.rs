//! Early fusion: the modalities meet at the input.

mod additive;
mod joint;
mod modality_dropout;

pub use additive::*;
pub use joint::*;
pub use modality_dropout::*;
