//! Downstream tasks: one file per recipe.

mod captioning;
mod classification;
mod vqa;

pub use captioning::{Captioning, CaptioningConfig};
pub use classification::{Classification, ClassificationConfig};
pub use vqa::{Vqa, VqaConfig};
