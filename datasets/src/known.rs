//! Tasks whose answer is known: how much the image, the text and both together tell of the answer, and what the best
//! possible model scores. Each has two hidden bits. The image shows one, as a face or a flag; the question holds the
//! other, as the name of a food or of an animal; a table says how often the answer is yes.
//!
//! Pictures are emoji and, like the words, the same in every split: what is asked is what a model makes of two things that
//! it knows, and not whether it knows a new flag for one. Frequencies are exact in each split: the best score is reached
//! on the test split itself and not only in expectation.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::split::hex;
use crate::{Data, DataError, ImageSource, Question, VqaData, VqaSample, emoji};

mod information;

pub use information::Information;

/// Images of each split: train, valid, test.
const IMAGES: [usize; 3] = [1600, 100, 400];
/// Questions about each image.
const QUESTIONS: usize = 4;
/// Words by the bit they stand for.
const WORDS: [[&str; 8]; 2] = [
    [
        "apple", "bread", "cheese", "lemon", "melon", "onion", "pizza", "potato",
    ],
    [
        "bear", "cat", "dog", "fox", "horse", "lion", "rabbit", "wolf",
    ],
];

/// A task: how often the two bits go together, and how often the answer to each pair is yes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Its name in the catalogue.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// How often the question's bit is 1, by that of the image; either bit of the image is as frequent.
    pub text: [f64; 2],
    /// How often the answer is yes, by the bit of the image, then by that of the question.
    pub yes: [[f64; 2]; 2],
}

/// Every task.
pub const TASKS: [Task; 6] = [
    Task {
        name: "known-xor",
        about: "yes if image and word differ in kind: neither alone tells anything (synergy)",
        text: [0.5; 2],
        yes: [[0.0, 1.0], [1.0, 0.0]],
    },
    Task {
        name: "known-and",
        about: "yes if the image is a flag and the word an animal: each tells a part",
        text: [0.5; 2],
        yes: [[0.0, 0.0], [0.0, 1.0]],
    },
    Task {
        name: "known-copy-image",
        about: "yes if the image is a flag: the question tells nothing (unique)",
        text: [0.5; 2],
        yes: [[0.0, 0.0], [1.0, 1.0]],
    },
    Task {
        name: "known-copy-text",
        about: "yes if the word is an animal: the image tells nothing (unique)",
        text: [0.5; 2],
        yes: [[0.0, 1.0], [0.0, 1.0]],
    },
    Task {
        name: "known-redundant",
        about: "yes if the image is a flag, and the word is an animal whenever it is: either tells all (redundant)",
        text: [0.0, 1.0],
        yes: [[0.0, 0.0], [1.0, 1.0]],
    },
    Task {
        name: "known-mixture",
        about: "60% of the answers are those of known-xor, 25% those of known-copy-image, 15% those of known-copy-text",
        text: [0.5; 2],
        yes: [[0.0, 0.75], [0.85, 0.4]],
    },
];

impl Task {
    /// The task of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TASKS.iter().find(|task| task.name == name)
    }

    /// The data.
    pub(crate) fn open(&self) -> Result<VqaData, DataError> {
        let pictures = pictures()?;
        let mut digest = Sha256::new().chain_update(self.name);
        let mut splits = [const { Vec::new() }; 3];
        for (number, images) in IMAGES.into_iter().enumerate() {
            // Each split of each task has numbers of its own.
            let seed = Sha256::digest(format!("{} {number}", self.name));
            let mut random = ChaCha8Rng::from_seed(seed.into());
            splits[number] = self.samples(images, number, &pictures, &mut random);
            for question in splits[number].iter().flat_map(|sample| &sample.questions) {
                digest.update(
                    [&question.text, &question.answer, &question.id]
                        .map(|s| s.as_str())
                        .join("\n"),
                );
            }
        }
        let digest = hex(&digest.chain_update(emoji::digest(emoji::NAME)).finalize());
        let answers = ["no", "yes"].map(String::from).to_vec();
        Ok(Data::in_memory(self.name, splits, answers, digest))
    }

    fn samples(
        &self,
        images: usize,
        split: usize,
        pictures: &[Vec<ImageSource>; 2],
        random: &mut ChaCha8Rng,
    ) -> Vec<VqaSample> {
        let pairs: Vec<[usize; 2]> = self.pairs(images, random);
        let answers = self.answers(&pairs, random);
        let question = |place: usize| {
            let [_, text] = pairs[place];
            let word = WORDS[text][random.random_range(0..WORDS[text].len())];
            Question {
                id: format!("{}/{split}/{place}", self.name),
                text: format!("is it {word}?"),
                answer: if answers[place] { "yes" } else { "no" }.into(),
            }
        };
        let questions: Vec<Question> = (0..pairs.len()).map(question).collect();
        let groups = questions.chunks(QUESTIONS).enumerate();
        groups
            .map(|(number, questions)| {
                let shown = &pictures[number % 2];
                VqaSample {
                    id: format!("{}/{split}/{number}", self.name),
                    image: shown[number / 2 % shown.len()].clone(),
                    questions: questions.to_vec(),
                }
            })
            .collect()
    }

    /// The two bits of each question: those of the images alternate, those of the questions are as frequent as they
    /// should be.
    fn pairs(&self, images: usize, random: &mut ChaCha8Rng) -> Vec<[usize; 2]> {
        let mut of_text = self
            .text
            .map(|share| quota(share, images / 2 * QUESTIONS, random).into_iter());
        let places = (0..images * QUESTIONS).map(|place| place / QUESTIONS % 2);
        places
            .map(|image| [image, usize::from(of_text[image].next().unwrap_or(false))])
            .collect()
    }

    /// Whether the answer is yes, in each pair of bits as often as it should be.
    fn answers(&self, pairs: &[[usize; 2]], random: &mut ChaCha8Rng) -> Vec<bool> {
        let mut answers = vec![false; pairs.len()];
        for (image, row) in self.yes.iter().enumerate() {
            for (text, share) in row.iter().enumerate() {
                let cell = (0..pairs.len()).filter(|place| pairs[*place] == [image, text]);
                let cell: Vec<usize> = cell.collect();
                for (place, yes) in cell.iter().zip(quota(*share, cell.len(), random)) {
                    answers[*place] = yes;
                }
            }
        }
        answers
    }
}

/// So many flags, of which that share is true, in a random order.
fn quota(share: f64, count: usize, random: &mut ChaCha8Rng) -> Vec<bool> {
    let set = (share * count as f64).round() as usize;
    let mut flags: Vec<bool> = (0..count).map(|place| place < set).collect();
    flags.shuffle(random);
    flags
}

/// Faces and flags.
fn pictures() -> Result<[Vec<ImageSource>; 2], DataError> {
    let splits = emoji::splits(|row, image| {
        let kind = match row.group.as_str() {
            "smileys & emotion" if row.name.contains("face") => Some(0),
            "flags" => Some(1),
            _ => None,
        };
        (kind, image)
    })?;
    let mut kinds = [Vec::new(), Vec::new()];
    for (kind, image) in splits.into_iter().flatten() {
        if let Some(kind) = kind {
            kinds[kind].push(image);
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests;
