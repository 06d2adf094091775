//! What recipes of several stages share. No recipe imports another; they meet here, and through checkpoints.

#![warn(missing_docs)]

mod backbone;
pub mod classifier;
pub mod instruction;
mod language;
mod learn;
mod origin;
mod prepared;
mod setting;
mod tokens;
mod towers;
mod vqa;

pub use backbone::{DualBackbone, Frozen, FusedBackbone, LanguageBackbone};
pub use language::{LanguageConfig, Tune, check_vocabulary};
pub use learn::{
    Rehearsal, data_name, final_split, image_collate, learn, learn_and_measure, learn_as_rehearsed,
    measure, size,
};
pub use origin::{Origin, located, report};
pub use setting::setting;
pub use tokens::{reopen_tokenizer, tokenizer};
pub use towers::{ImageTower, Layers, TextTower, TowersConfig};
pub use vqa::{ANSWERS, VqaModel, fusion_input};
