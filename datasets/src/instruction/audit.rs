//! What would spoil a training without a word, looked for before its first step: a loss of 0 because nothing is
//! supervised, image tokens that no feature belongs to, pictures that are missing, answers that are cut, test data that
//! stands in the training split.

mod problem;
mod report;

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clean::hash;
use super::{Conversation, InstructionData, Renderer, Role};
use crate::{DataError, ImageSource, Split, parallel};

pub use self::problem::{At, Problem};
pub use self::report::{Refusal, Report, SplitFigures};

/// How many conversations are looked through at once.
const AT_ONCE: usize = 4096;

/// How thoroughly data is looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Of how many conversations of each split the pictures are decoded, evenly spread; 0: of all. Duplicates are
    /// looked for among these, and among conversations without pictures.
    pub images: usize,
}

/// Looks through all splits on all cores: renders every conversation, decodes its pictures, compares the splits.
/// `features` is how many features the model makes of a picture.
///
/// # Errors
///
/// [`DataError`] if a conversation cannot be fetched; what is wrong with those that can is in the [`Report`].
pub fn audit(
    data: &InstructionData,
    renderer: &Renderer,
    features: usize,
    config: &AuditConfig,
) -> Result<Report, DataError> {
    let mut audit = Audit {
        renderer,
        config,
        report: Report::default(),
        pictures: HashMap::new(),
        seen: HashMap::new(),
    };
    for split in Split::ALL {
        audit.look_through(data, split)?;
    }
    let shown: usize = audit.report.splits.iter().map(|split| split.pictures).sum();
    let tokens = renderer.tokens_per_image();
    if shown > 0 && tokens != features {
        audit.report.push(Problem::Features { tokens, features });
    }
    Ok(audit.report)
}

struct Audit<'a> {
    renderer: &'a Renderer,
    config: &'a AuditConfig,
    report: Report,
    /// What the pixels of each picture hash to, by its name; nothing for those that cannot be decoded.
    pictures: HashMap<String, Option<u64>>,
    /// The first conversation of each content.
    seen: HashMap<u64, (Split, At)>,
}

/// What is found of a conversation by itself.
#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    /// A hash of the rendered text.
    text: Option<u64>,
    tokens: usize,
    supervised: usize,
}

impl Audit<'_> {
    fn look_through(&mut self, data: &InstructionData, split: Split) -> Result<(), DataError> {
        let samples = data.split(split);
        let mut figures = SplitFigures {
            split,
            conversations: samples.len(),
            tokens: 0,
            supervised: 0,
            longest: 0,
            pictures: 0,
        };
        for start in (0..samples.len()).step_by(AT_ONCE) {
            let indices = start..samples.len().min(start + AT_ONCE);
            let read = indices
                .clone()
                .map(|i| samples.get(i).map_err(DataError::Dataset));
            let read = read.collect::<Result<Vec<Conversation>, _>>()?;
            let found = parallel::map(&read, |conversation| render(self.renderer, conversation));
            self.decode(indices.zip(&read), samples.len());
            for (conversation, found) in read.iter().zip(found) {
                figures.tokens += found.tokens;
                figures.supervised += found.supervised;
                figures.longest = figures.longest.max(found.tokens);
                figures.pictures += conversation.images.len();
                found
                    .problems
                    .into_iter()
                    .for_each(|problem| self.report.push(problem));
                self.compare(conversation, split, found.text);
            }
        }
        if figures.tokens > 0 && figures.supervised == 0 {
            self.report.push(Problem::AllUnsupervised { split });
        }
        self.report.splits.push(figures);
        Ok(())
    }

    /// Decodes the pictures that are new.
    fn decode<'c>(
        &mut self,
        conversations: impl Iterator<Item = (usize, &'c Conversation)>,
        of: usize,
    ) {
        let wanted = |index: usize| match self.config.images {
            0 => true,
            images => {
                let images = images.min(of);
                (index + 1) * images / of > index * images / of
            }
        };
        let mut new: Vec<(String, &ImageSource, &Conversation)> = Vec::new();
        let mut names = HashSet::new();
        for (_, conversation) in conversations.filter(|(index, _)| wanted(*index)) {
            for image in &conversation.images {
                let name = image.name();
                if !self.pictures.contains_key(&name) && names.insert(name.clone()) {
                    new.push((name, image, conversation));
                }
            }
        }
        let decoded = parallel::map(&new, |(_, image, _)| {
            let pixels = image.decode()?;
            Ok(hash(&(pixels.dimensions(), pixels.as_raw())))
        });
        for ((name, _, conversation), pixels) in new.into_iter().zip(decoded) {
            let at = At::of(conversation);
            let pixels = pixels.map_err(|error| self.report.push(Problem::Image { at, error }));
            self.pictures.insert(name, pixels.ok());
        }
    }

    /// Looks for the same conversation in another split.
    fn compare(&mut self, conversation: &Conversation, split: Split, text: Option<u64>) {
        let pixels = conversation.images.iter();
        let pixels = pixels.map(|image| self.pictures.get(&image.name()).copied().flatten());
        let (Some(text), Some(pixels)) = (text, pixels.collect::<Option<Vec<u64>>>()) else {
            return;
        };
        let content = hash(&(text, pixels));
        let at = At::of(conversation);
        match self.seen.get(&content) {
            None => {
                self.seen.insert(content, (split, at));
            }
            Some((of_split, of)) if *of_split != split => {
                let (of, of_split) = (of.clone(), *of_split);
                self.report.push(Problem::Duplicate {
                    at,
                    split,
                    of,
                    of_split,
                });
            }
            Some(_) => {}
        }
    }
}

/// What rendering a conversation tells.
fn render(renderer: &Renderer, conversation: &Conversation) -> Found {
    let at = || At::of(conversation);
    let turns = conversation.turns.iter().enumerate();
    let blank = turns.filter(|(_, t)| t.role == Role::Assistant && t.text.trim().is_empty());
    let mut found = Found {
        problems: blank
            .map(|(index, _)| Problem::BlankAnswer {
                at: at(),
                turn: index + 1,
            })
            .collect(),
        ..Found::default()
    };
    let rendered = renderer.layout(conversation).and_then(|layout| {
        let rendered = renderer.encode(&layout)?;
        let mismatch = renderer.mismatch(&layout, &rendered)?;
        Ok((layout, rendered, mismatch))
    });
    match rendered {
        Err(error) => found.problems.push(Problem::rendering(at(), error)),
        Ok((layout, rendered, mismatch)) => {
            found.text = Some(hash(&layout.text));
            found.tokens = rendered.ids.len();
            found.supervised = rendered.labels.iter().filter(|label| **label).count();
            if found.supervised == 0 {
                found.problems.push(Problem::Unsupervised { at: at() });
            }
            let mismatch = mismatch.map(|mismatch| Problem::Tokenization { at: at(), mismatch });
            found.problems.extend(mismatch);
        }
    }
    found
}

#[cfg(test)]
mod tests;
