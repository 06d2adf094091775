//! Downstream tasks: one file per recipe.

mod classification;
mod classifier;
mod vqa;

pub use classification::{Classification, ClassificationConfig};
pub use vqa::{Vqa, VqaConfig, VqaModel};
