//! Instruction tuning: language models that answer, with pictures ([`Visual`]) and without ([`Text`]).

#![warn(missing_docs)]

mod published;
mod speaking;
mod text;
mod visual;

pub use speaking::{evaluate, export, open, published};
pub use text::{Text, TextConfig};
pub use visual::{Visual, VisualConfig};
