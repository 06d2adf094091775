//! Pretraining: one file per recipe.

mod contrastive;
mod mlm;
mod mvm;

pub use contrastive::{Contrastive, ContrastiveConfig};
pub use mlm::{Mlm, MlmConfig};
pub use mvm::{Mvm, MvmConfig};
