//! Pretraining: one file per recipe.

mod contrastive;
mod mlm;
mod mvm;
mod rotation;
mod vlp;

mod embedding;
mod hidden;
mod retrieval;
mod search;
mod vocabulary;

pub use contrastive::{Contrastive, ContrastiveConfig};
pub use mlm::{Mlm, MlmConfig};
pub use mvm::{Mvm, MvmConfig};
pub use rotation::Rotation;
pub use vlp::{Vlp, VlpConfig};
