//! Pretraining: one file per recipe.

mod contrastive;
mod mlm;
mod mvm;
mod vlp;

mod embedding;
mod hidden;
mod retrieval;
mod vocabulary;

pub use contrastive::{Contrastive, ContrastiveConfig};
pub use mlm::{Mlm, MlmConfig};
pub use mvm::{Mvm, MvmConfig};
pub use vlp::{Vlp, VlpConfig};
