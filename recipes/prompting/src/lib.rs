//! Prompt learning: one file per recipe. The models that prompts stand before stay as they are.

mod fused;
mod text;
mod vision;
mod words;

pub use fused::{Fused, FusedConfig};
pub use text::{Text, TextConfig, export};
pub use vision::{Vision, VisionConfig};
