//! Batches: what samples become on a device.

use std::collections::HashMap;
use std::sync::Arc;

use burn::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AugmentConfig, DataError, Draw, ImageProcessor, ImageSource, LabelledImage, Question,
    Tokenizer, VqaSample,
};

/// A sample on its way into a batch.
#[derive(Clone, Debug)]
pub struct Drawn<S> {
    /// The sample.
    pub sample: S,
    /// What keys its augmentation; none in evaluation, where nothing is augmented.
    pub draw: Option<Draw>,
}

/// Turns samples into a batch, in two steps. Worker threads do the first, the thread that trains does the second:
/// tensors are made where they are used, since some backends keep a stream and a memory pool for each thread.
pub trait Collate: Send + Sync + 'static {
    /// What the dataset holds.
    type Sample: Send + 'static;
    /// The batch in host memory.
    type Host: Send + 'static;
    /// The batch on a device.
    type Batch: Send + 'static;

    /// Decodes, augments, tokenises: everything that takes time.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a sample.
    fn collate(&self, drawn: Vec<Drawn<Self::Sample>>) -> Result<Self::Host, DataError>;

    /// Moves the batch to the device.
    fn upload(&self, host: Self::Host, device: &Device) -> Self::Batch;
}

/// Leaves one modality out, for baselines: a model that scores as well without it does not use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blank {
    /// Nothing is left out.
    #[default]
    None,
    /// Every image is zero after normalisation: question-only baseline.
    Image,
    /// Every question is the empty text: image-only baseline.
    Question,
}

/// Images with all their questions.
#[derive(Clone, Debug)]
pub struct VqaBatch {
    /// Normalised images, [images, 3, height, width].
    pub images: Tensor<4>,
    /// Which image a question is about, [questions].
    pub image_of: Tensor<1, Int>,
    /// Distinct question texts, [texts, length]; texts <= questions.
    pub tokens: Tensor<2, Int>,
    /// True where `tokens` is padding, [texts, length].
    pub padding: Tensor<2, Bool>,
    /// Which text a question has, [questions].
    pub text_of: Tensor<1, Int>,
    /// Index of the right answer, [questions].
    pub answers: Tensor<1, Int>,
    /// The questions' ids.
    pub ids: Vec<String>,
}

/// A [`VqaBatch`] in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct VqaHost {
    images: Vec<f32>,
    image_of: Vec<i32>,
    tokens: Vec<i32>,
    padding: Vec<bool>,
    text_of: Vec<i32>,
    answers: Vec<i32>,
    ids: Vec<String>,
    /// Images, height and width, texts, length.
    shape: [usize; 4],
}

/// Makes [`VqaBatch`]es.
pub struct VqaCollate {
    images: Arc<ImageProcessor>,
    augment: AugmentConfig,
    tokenizer: Arc<Tokenizer>,
    answers: HashMap<String, i32>,
    blank: Blank,
}

impl VqaCollate {
    /// A collate for questions whose answers are among `answers`: a question's target is its answer's index there.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `augment` does not make sense.
    pub fn new(
        images: Arc<ImageProcessor>,
        augment: AugmentConfig,
        tokenizer: Arc<Tokenizer>,
        answers: &[String],
        blank: Blank,
    ) -> Result<Self, DataError> {
        augment.check()?;
        let answers = answers.iter().cloned().zip(0..).collect();
        Ok(Self {
            images,
            augment,
            tokenizer,
            answers,
            blank,
        })
    }
}

impl VqaCollate {
    /// One question about one image, without an answer: the batch's only target is 0 and means nothing.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the image cannot be decoded or the question not tokenised.
    pub fn ask(
        &self,
        image: ImageSource,
        question: &str,
        device: &Device,
    ) -> Result<VqaBatch, DataError> {
        let question = Question {
            id: "question".into(),
            text: question.into(),
            answer: String::new(),
        };
        let sample = VqaSample {
            id: image.name(),
            image,
            questions: vec![question],
        };
        let drawn = vec![Drawn { sample, draw: None }];
        let host = self.prepare(drawn, |_| Ok(0))?;
        Ok(self.upload(host, device))
    }

    /// The index of the right answer.
    fn target(&self, question: &Question) -> Result<i32, DataError> {
        let known = self.answers.get(&question.answer).copied();
        known.ok_or_else(|| DataError::UnknownAnswer {
            id: question.id.clone(),
            answer: question.answer.clone(),
            known: self.answers.len(),
        })
    }

    fn prepare(
        &self,
        drawn: Vec<Drawn<VqaSample>>,
        target: impl Fn(&Question) -> Result<i32, DataError>,
    ) -> Result<VqaHost, DataError> {
        let size = self.images.size();
        let mut host = VqaHost {
            images: Vec::with_capacity(drawn.len() * 3 * size * size),
            image_of: Vec::new(),
            tokens: Vec::new(),
            padding: Vec::new(),
            text_of: Vec::new(),
            answers: Vec::new(),
            ids: Vec::new(),
            shape: [drawn.len(), size, 0, 0],
        };
        let mut texts: Vec<Vec<u32>> = Vec::new();
        let mut known: HashMap<String, i32> = HashMap::new();
        for (number, Drawn { sample, draw }) in (0..).zip(drawn) {
            if self.blank == Blank::Image {
                host.images.resize(host.images.len() + 3 * size * size, 0.0);
            } else {
                append_image(
                    &self.images,
                    &self.augment,
                    &sample.image,
                    draw,
                    &mut host.images,
                )?;
            }
            for question in sample.questions {
                host.answers.push(target(&question)?);
                let text = match self.blank {
                    Blank::Question => String::new(),
                    Blank::None | Blank::Image => question.text,
                };
                let text = match known.get(&text) {
                    Some(&text) => text,
                    None => {
                        texts.push(self.tokenizer.encode(&text)?);
                        known.insert(text, texts.len() as i32 - 1);
                        texts.len() as i32 - 1
                    }
                };
                host.image_of.push(number);
                host.text_of.push(text);
                host.ids.push(question.id);
            }
        }
        let length = texts.iter().map(Vec::len).max().unwrap_or(0);
        for text in &texts {
            let missing = length - text.len();
            host.tokens.extend(text.iter().map(|&id| id as i32));
            host.tokens
                .resize(host.tokens.len() + missing, self.tokenizer.padding() as i32);
            host.padding.resize(host.padding.len() + text.len(), false);
            host.padding.resize(host.padding.len() + missing, true);
        }
        host.shape[2..].copy_from_slice(&[texts.len(), length]);
        Ok(host)
    }
}

impl Collate for VqaCollate {
    type Sample = VqaSample;
    type Host = VqaHost;
    type Batch = VqaBatch;

    fn collate(&self, drawn: Vec<Drawn<VqaSample>>) -> Result<VqaHost, DataError> {
        self.prepare(drawn, |question| self.target(question))
    }

    fn upload(&self, host: VqaHost, device: &Device) -> VqaBatch {
        let [images, size, texts, length] = host.shape;
        VqaBatch {
            images: Tensor::from_data(
                TensorData::new(host.images, [images, 3, size, size]),
                device,
            ),
            image_of: indices(host.image_of, device),
            tokens: Tensor::from_data(TensorData::new(host.tokens, [texts, length]), device),
            padding: Tensor::from_data(TensorData::new(host.padding, [texts, length]), device),
            text_of: indices(host.text_of, device),
            answers: indices(host.answers, device),
            ids: host.ids,
        }
    }
}

/// Images with their classes.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Normalised images, [images, 3, height, width].
    pub images: Tensor<4>,
    /// Index of the class, [images].
    pub labels: Tensor<1, Int>,
    /// The images' ids.
    pub ids: Vec<String>,
}

/// An [`ImageBatch`] in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageHost {
    images: Vec<f32>,
    labels: Vec<i32>,
    ids: Vec<String>,
}

/// Makes [`ImageBatch`]es.
pub struct ImageCollate {
    images: Arc<ImageProcessor>,
    augment: AugmentConfig,
}

impl ImageCollate {
    /// A collate for labelled images.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `augment` does not make sense.
    pub fn new(images: Arc<ImageProcessor>, augment: AugmentConfig) -> Result<Self, DataError> {
        augment.check()?;
        Ok(Self { images, augment })
    }
}

impl Collate for ImageCollate {
    type Sample = LabelledImage;
    type Host = ImageHost;
    type Batch = ImageBatch;

    fn collate(&self, drawn: Vec<Drawn<LabelledImage>>) -> Result<ImageHost, DataError> {
        let size = self.images.size();
        let mut host = ImageHost {
            images: Vec::with_capacity(drawn.len() * 3 * size * size),
            labels: Vec::with_capacity(drawn.len()),
            ids: Vec::with_capacity(drawn.len()),
        };
        for Drawn { sample, draw } in drawn {
            append_image(
                &self.images,
                &self.augment,
                &sample.image,
                draw,
                &mut host.images,
            )?;
            host.labels.push(sample.label as i32);
            host.ids.push(sample.id);
        }
        Ok(host)
    }

    fn upload(&self, host: ImageHost, device: &Device) -> ImageBatch {
        let shape = [host.ids.len(), 3, self.images.size(), self.images.size()];
        ImageBatch {
            images: Tensor::from_data(TensorData::new(host.images, shape), device),
            labels: indices(host.labels, device),
            ids: host.ids,
        }
    }
}

/// Appends one image, [3, height, width], augmented if it was drawn for training.
fn append_image(
    images: &ImageProcessor,
    augment: &AugmentConfig,
    source: &ImageSource,
    draw: Option<Draw>,
    out: &mut Vec<f32>,
) -> Result<(), DataError> {
    let image = images.resized(source)?;
    match draw {
        Some(draw) => images.normalise(&augment.apply(&image, draw), out),
        None => images.normalise(&image, out),
    }
    Ok(())
}

fn indices(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
