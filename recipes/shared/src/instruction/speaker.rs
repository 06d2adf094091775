//! A model with its voice: questions in, answers out.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use crucible_datasets::instruction::{Rendered, Turn};
use crucible_datasets::{AugmentConfig, DataError, ImageProcessor, ImageSource};
use crucible_kernels::among_threads;
use crucible_training::Error;
use crucible_transformer::{
    Generated, GenerationConfig, GenerationError, KeyValueCache, Prompted, generate,
};

use super::batch::Gallery;
use super::model::Converses;
use super::rows::{Member, Rows};
use super::voice::Voice;

/// What is asked: turns that end with the user's, and the pictures that they show.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The turns.
    pub turns: Vec<Turn>,
    /// The pictures, in the order of their marks.
    pub images: Vec<ImageSource>,
}

/// A model that answers in words, whatever it is made of.
pub trait Answers {
    /// Whether it sees pictures.
    fn sees(&self) -> bool;

    /// Answers, each to its question alone, all generated together. `on_text` is told of new text as it comes; see
    /// [`generate`].
    ///
    /// # Errors
    ///
    /// What is wrong with a question, a picture or the options.
    fn answer(
        &self,
        asked: &[Asked],
        config: &GenerationConfig,
        on_text: &mut OnText<'_>,
    ) -> Result<Vec<Generated>, Error>;

    /// Goes on from texts as they are, without a chat template.
    ///
    /// # Errors
    ///
    /// What is wrong with a text or the options.
    fn go_on(
        &self,
        texts: &[String],
        config: &GenerationConfig,
        on_text: &mut OnText<'_>,
    ) -> Result<Vec<Generated>, Error>;
}

/// Told of each new text of each answer; [`ControlFlow::Break`] ends them all.
pub type OnText<'a> = dyn FnMut(usize, &str) -> ControlFlow<()> + Send + 'a;

/// A model that answers.
pub struct Speaker<M> {
    /// The model.
    pub model: M,
    /// Its tokenizer and template.
    pub voice: Voice,
    /// Prepares pictures; none for a model of text.
    pub images: Option<Arc<ImageProcessor>>,
    /// Where it computes.
    pub device: Device,
}

impl<M> Speaker<M> {
    /// One that does not see.
    pub fn of_text(model: M, voice: Voice, device: &Device) -> Self {
        Self {
            model,
            voice,
            images: None,
            device: device.clone(),
        }
    }
}

impl<M: Converses> Answers for Speaker<M> {
    fn sees(&self) -> bool {
        self.images.is_some()
    }

    fn answer(
        &self,
        asked: &[Asked],
        config: &GenerationConfig,
        on_text: &mut OnText<'_>,
    ) -> Result<Vec<Generated>, Error> {
        let mut gallery = Gallery::default();
        let mut prompts = Vec::with_capacity(asked.len());
        for asked in asked {
            let rendered = self.prompt(asked)?;
            let numbers = asked.images.iter().map(|source| {
                let add = |pixels: &mut Vec<f32>| match &self.images {
                    Some(images) => images.append(source, &AugmentConfig::default(), None, pixels),
                    None => Ok(()),
                };
                gallery.number(source, add)
            });
            let shown: Result<Vec<usize>, DataError> = numbers.collect();
            let shown = shown.map_err(Error::data)?;
            prompts.push(Member { rendered, shown });
        }
        let config = self.voice.generation(config);
        self.generated(&prompts, gallery, &config, on_text)
    }

    fn go_on(
        &self,
        texts: &[String],
        config: &GenerationConfig,
        on_text: &mut OnText<'_>,
    ) -> Result<Vec<Generated>, Error> {
        let prompts = texts.iter().map(|text| {
            let rendered = self.voice.plain(text)?;
            let shown = Vec::new();
            Ok(Member { rendered, shown })
        });
        let prompts: Vec<Member> = prompts.collect::<Result<_, Error>>()?;
        self.generated(&prompts, Gallery::default(), config, on_text)
    }
}

impl<M: Converses> Speaker<M> {
    fn generated(
        &self,
        prompts: &[Member],
        gallery: Gallery,
        config: &GenerationConfig,
        on_text: &mut OnText<'_>,
    ) -> Result<Vec<Generated>, Error> {
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let usage = |error: GenerationError| Error::Usage(error.to_string());
        config.check().map_err(|error| usage(error.into()))?;
        let max_length = self.model.language().max_length();
        for (prompt, length) in prompts
            .iter()
            .map(|member| member.rendered.ids.len())
            .enumerate()
        {
            if length >= max_length {
                return Err(usage(GenerationError::Prompt {
                    prompt,
                    length,
                    max_length,
                }));
            }
        }
        among_threads(&self.device, || {
            let prompted = self.prompted(prompts, gallery);
            let decode = |tokens: &[u32]| self.voice.decode(tokens);
            let language = self.model.language();
            generate(
                language,
                prompted,
                config,
                &self.voice.stops,
                &decode,
                on_text,
            )
        })
        .map_err(usage)
    }

    fn prompt(&self, asked: &Asked) -> Result<Rendered, Error> {
        let rendered = self.voice.renderer.prompt(&asked.turns);
        let rendered = rendered.map_err(|error| Error::Usage(error.to_string()))?;
        match rendered.images.len() == asked.images.len() {
            true => Ok(rendered),
            false => Err(Error::Usage(format!(
                "{} pictures are shown in the conversation, {} are given",
                rendered.images.len(),
                asked.images.len()
            ))),
        }
    }

    /// Takes in the prompts, padded on the left to the longest.
    fn prompted(&self, prompts: &[Member], gallery: Gallery) -> Prompted<KeyValueCache> {
        let longest = prompts
            .iter()
            .map(|member| member.rendered.ids.len())
            .max()
            .unwrap_or(0);
        let mut rows = Rows::new(prompts.len(), longest);
        let mut padding = Vec::with_capacity(prompts.len());
        for (row, member) in prompts.iter().enumerate() {
            let before = longest - member.rendered.ids.len();
            rows.put([row, before], member, 0..member.rendered.ids.len());
            padding.push((0..longest).map(|place| place < before).collect());
        }
        let (ids, sources) = rows.upload(&self.device);
        let keys = prompts.iter().map(|member| gallery.key(&member.shown));
        let keys: Vec<u64> = keys.collect();
        let seen = self.images.as_ref().filter(|_| gallery.len() > 0);
        let seen: Option<Tensor<3>> = seen.and_then(|images| {
            let images = images.upload(gallery.pixels, &self.device);
            self.model.see(images)
        });
        let words = self.model.language().embed(ids);
        let x = match seen {
            Some(seen) => crucible_fusion::splice(words, seen, sources),
            None => words,
        };
        let prompts = prompts
            .iter()
            .map(|member| member.rendered.ids.clone())
            .collect();
        Prompted {
            keys,
            ..self.model.language().take_in(x, &padding, prompts)
        }
    }
}
