//! Prompt learning: one file per recipe. The models that prompts stand before stay as they are.

mod vision;

pub use vision::{Vision, VisionConfig};
