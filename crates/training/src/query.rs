//! Looking for images and texts with a model that has a vector for each.

use std::path::PathBuf;

use serde::Serialize;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Words.
    Text(String),
    /// An image file.
    Image(PathBuf),
}

/// What is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// The images of a dataset.
    Images,
    /// Its captions.
    Texts,
}

/// Something that was looked through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Match {
    /// Cosine to what was looked for.
    pub similarity: f64,
    /// The image's name within the dataset; of a text, the first image that has it.
    pub image: String,
    /// Its first caption, or the text that was found; empty where there is none.
    pub caption: String,
}
