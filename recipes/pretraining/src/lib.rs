//! Pretraining: one file per recipe.

mod contrastive;
mod mlm;

pub use contrastive::{Contrastive, ContrastiveConfig};
pub use mlm::{Mlm, MlmConfig};
