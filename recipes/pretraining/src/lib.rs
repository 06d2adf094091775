//! Pretraining: one file per recipe.

mod contrastive;

pub use contrastive::{Contrastive, ContrastiveConfig};
