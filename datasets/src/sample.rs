//! What datasets hold: samples, and their three splits as Burn datasets.

use std::sync::Arc;

use burn::data::dataset::{Dataset, InMemDataset};

use crate::{DataError, ImageSource, Split};

/// Random access to samples, shared by loaders. Any implementation of Burn's [`Dataset`] will do.
pub type Samples<S> = Arc<dyn Dataset<S>>;

/// Samples held in memory. (Images are decoded later, when a batch needs them.)
pub(crate) fn in_memory<S: Clone + Send + Sync + 'static>(samples: Vec<S>) -> Samples<S> {
    Arc::new(InMemDataset::new(samples))
}

/// A question about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Names it in predictions; unique in its dataset.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// The right answer.
    pub answer: String,
}

/// One image with all its questions: one sample group, so that the image is encoded once for all of them.
#[derive(Clone, Debug)]
pub struct VqaSample {
    /// The image's name within the dataset.
    pub id: String,
    /// The image.
    pub image: ImageSource,
    /// At least one.
    pub questions: Vec<Question>,
}

/// An image and its class.
#[derive(Clone, Debug)]
pub struct LabelledImage {
    /// The image's name within the dataset.
    pub id: String,
    /// The image.
    pub image: ImageSource,
    /// Index into [`ImageData::classes`].
    pub label: usize,
}

/// An image and what is said about it.
#[derive(Clone, Debug)]
pub struct CaptionSample {
    /// The image's name within the dataset.
    pub id: String,
    /// The image.
    pub image: ImageSource,
    /// At least one.
    pub captions: Vec<String>,
}

/// Visual question answering.
#[derive(Clone)]
pub struct VqaData {
    /// Catalogue name or path.
    pub name: String,
    /// Training split.
    pub train: Samples<VqaSample>,
    /// Validation split.
    pub valid: Samples<VqaSample>,
    /// Test split.
    pub test: Samples<VqaSample>,
    /// Every answer that occurs in any split; a model predicts an index into it.
    pub answers: Vec<String>,
    /// SHA-256 (hexadecimal) of what the samples were made from.
    pub digest: String,
}

/// Image classification.
#[derive(Clone)]
pub struct ImageData {
    /// Catalogue name or path.
    pub name: String,
    /// Training split.
    pub train: Samples<LabelledImage>,
    /// Validation split.
    pub valid: Samples<LabelledImage>,
    /// Test split.
    pub test: Samples<LabelledImage>,
    /// The classes' names.
    pub classes: Vec<String>,
    /// SHA-256 (hexadecimal) of what the samples were made from.
    pub digest: String,
}

/// Images with captions.
#[derive(Clone)]
pub struct CaptionData {
    /// Path.
    pub name: String,
    /// Training split.
    pub train: Samples<CaptionSample>,
    /// Validation split.
    pub valid: Samples<CaptionSample>,
    /// Test split.
    pub test: Samples<CaptionSample>,
    /// SHA-256 (hexadecimal) of what the samples were made from.
    pub digest: String,
}

/// Plain text, one sample a line.
#[derive(Clone)]
pub struct TextData {
    /// Path.
    pub name: String,
    /// Training split.
    pub train: Samples<String>,
    /// Validation split.
    pub valid: Samples<String>,
    /// Test split.
    pub test: Samples<String>,
    /// SHA-256 (hexadecimal) of what the samples were made from.
    pub digest: String,
}

impl VqaData {
    /// The texts of the training split's questions: what a vocabulary is trained on.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a sample.
    pub fn training_texts(&self) -> Result<Vec<String>, DataError> {
        let mut texts = Vec::new();
        for index in 0..self.train.len() {
            let sample = self.train.get(index).map_err(DataError::Dataset)?;
            texts.extend(sample.questions.into_iter().map(|question| question.text));
        }
        Ok(texts)
    }
}

macro_rules! split_accessor {
    ($($data:ty => $sample:ty),*) => {$(
        impl $data {
            /// The samples of one split.
            pub fn split(&self, split: Split) -> &Samples<$sample> {
                match split {
                    Split::Train => &self.train,
                    Split::Valid => &self.valid,
                    Split::Test => &self.test,
                }
            }
        }
    )*};
}

split_accessor!(VqaData => VqaSample, ImageData => LabelledImage, CaptionData => CaptionSample, TextData => String);
