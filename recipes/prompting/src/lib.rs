//! Prompt learning: one file per recipe. The models that prompts stand before stay as they are.

mod text;
mod vision;
mod words;

pub use text::{Text, TextConfig, export};
pub use vision::{Vision, VisionConfig};
