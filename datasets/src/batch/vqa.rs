//! Questions about images.

use std::collections::HashMap;
use std::sync::Arc;

use burn::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Collate, Drawn, Tokens, TokensHost, indices};
use crate::{
    AugmentConfig, CorruptConfig, DataError, ImageProcessor, ImageSource, Question, Tokenizer,
    VqaSample,
};

/// Leaves one modality out, for baselines: a model that scores as well without it does not use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blank {
    /// Nothing is left out.
    #[default]
    None,
    /// No question has its image: question-only baseline.
    Image,
    /// No image has its question: image-only baseline.
    Question,
    /// Neither is there: what is left is how frequent the answers are.
    Both,
}

impl Blank {
    /// Whether images are left out.
    pub fn image(self) -> bool {
        matches!(self, Self::Image | Self::Both)
    }

    /// Whether questions are left out.
    pub fn question(self) -> bool {
        matches!(self, Self::Question | Self::Both)
    }
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
    /// What was left out of all of them; zeros and empty texts stand in its place.
    pub blank: Blank,
}

/// A [`VqaBatch`] in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct VqaHost {
    images: Vec<f32>,
    image_of: Vec<i32>,
    tokens: TokensHost,
    text_of: Vec<i32>,
    answers: Vec<i32>,
    ids: Vec<String>,
}

/// Makes [`VqaBatch`]es.
pub struct VqaCollate {
    images: Arc<ImageProcessor>,
    augment: AugmentConfig,
    tokenizer: Arc<Tokenizer>,
    answers: HashMap<String, i32>,
    blank: Blank,
    corrupt: CorruptConfig,
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
            corrupt: CorruptConfig::default(),
        })
    }

    /// The same with spoilt samples.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `corrupt` does not make sense.
    pub fn corrupted(self, corrupt: &CorruptConfig) -> Result<Self, DataError> {
        corrupt.check()?;
        Ok(Self {
            corrupt: corrupt.clone(),
            ..self
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
        let drawn = vec![Drawn {
            sample,
            index: 0,
            draw: None,
        }];
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
            tokens: TokensHost::default(),
            text_of: Vec::new(),
            answers: Vec::new(),
            ids: Vec::new(),
        };
        let mut texts: Vec<Vec<u32>> = Vec::new();
        let mut known: HashMap<String, i32> = HashMap::new();
        for (number, Drawn { sample, draw, .. }) in (0..).zip(drawn) {
            let start = host.images.len();
            if self.blank.image() {
                host.images.resize(host.images.len() + 3 * size * size, 0.0);
            } else {
                let image = &sample.image;
                self.images
                    .append(image, &self.augment, draw, &mut host.images)?;
                self.corrupt.image(&mut host.images[start..], &sample.id);
            }
            for question in sample.questions {
                host.answers.push(target(&question)?);
                let text = match self.blank.question() {
                    true => String::new(),
                    false => self.corrupt.text(question.text, &question.id),
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
        host.tokens = TokensHost::pad(&texts, self.tokenizer.padding());
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
        let Tokens { ids, padding } = host.tokens.upload(device);
        VqaBatch {
            images: self.images.upload(host.images, device),
            image_of: indices(host.image_of, device),
            tokens: ids,
            padding,
            text_of: indices(host.text_of, device),
            answers: indices(host.answers, device),
            ids: host.ids,
            blank: self.blank,
        }
    }
}
