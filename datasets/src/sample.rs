//! What datasets hold: samples, and their three splits as Burn datasets.

use std::sync::Arc;

use burn::data::dataset::{Dataset, InMemDataset};

use crate::{DataError, ImageSource, Split};

/// Random access to samples, shared by loaders. Any implementation of Burn's [`Dataset`] will do.
pub type Samples<S> = Arc<dyn Dataset<S>>;

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
    /// Index into [`Data::labels`].
    pub label: usize,
}

/// A text and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledText {
    /// Names it in predictions; unique in its dataset.
    pub id: String,
    /// The text.
    pub text: String,
    /// Index into [`Data::labels`].
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

/// A dataset in its three splits.
#[derive(Clone)]
pub struct Data<S> {
    /// Catalogue name or path.
    pub name: String,
    /// Training split.
    pub train: Samples<S>,
    /// Validation split.
    pub valid: Samples<S>,
    /// Test split.
    pub test: Samples<S>,
    /// What a classifier predicts an index into: the classes' names, or every answer that occurs in any
    /// split. Empty where nothing is classified.
    pub labels: Vec<String>,
    /// SHA-256 (hexadecimal) of what the samples were made from; image files count by name and length.
    pub digest: String,
}

impl<S: Clone + Send + Sync + 'static> Data<S> {
    /// Samples held in memory: train, valid, test. (Images are decoded later, when a batch needs them.)
    pub(crate) fn in_memory(
        name: &str,
        splits: [Vec<S>; 3],
        labels: Vec<String>,
        digest: String,
    ) -> Self {
        let [train, valid, test] =
            splits.map(|samples| Arc::new(InMemDataset::new(samples)) as Samples<S>);
        Self {
            name: name.into(),
            train,
            valid,
            test,
            labels,
            digest,
        }
    }
}

impl<S> Data<S> {
    /// The samples of one split.
    pub fn split(&self, split: Split) -> &Samples<S> {
        match split {
            Split::Train => &self.train,
            Split::Valid => &self.valid,
            Split::Test => &self.test,
        }
    }

    /// The samples of one split that must have some.
    ///
    /// # Errors
    ///
    /// [`DataError::Empty`] if it has none.
    pub fn samples(&self, split: Split) -> Result<Samples<S>, DataError> {
        let samples = self.split(split);
        match samples.is_empty() {
            false => Ok(samples.clone()),
            true => Err(DataError::Empty {
                name: self.name.clone(),
                split: split.name(),
                remedy: "add samples to it, or give the data more, so that some fall to it",
            }),
        }
    }
}

/// Visual question answering.
pub type VqaData = Data<VqaSample>;
/// Image classification.
pub type ImageData = Data<LabelledImage>;
/// Images with captions.
pub type CaptionData = Data<CaptionSample>;
/// Texts with classes.
pub type LabelledTextData = Data<LabelledText>;
/// Plain text, one sample a line.
pub type TextData = Data<String>;

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

impl CaptionData {
    /// All captions of the training split: what a vocabulary is trained on.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a sample.
    pub fn training_texts(&self) -> Result<Vec<String>, DataError> {
        let mut texts = Vec::new();
        for index in 0..self.train.len() {
            let sample = self.train.get(index).map_err(DataError::Dataset)?;
            texts.extend(sample.captions);
        }
        Ok(texts)
    }
}
