//! Early fusion: the modalities meet at the input.

mod joint;

pub use joint::{Joint, JointConfig};
