//! What the splits of a dataset hold, compared: how long their texts are, and what stands in two of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use image::RgbImage;
use serde::Serialize;

use crate::Split;

/// How many words the texts of a split have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: usize,
    /// Half of the texts are no longer.
    pub median: usize,
    /// Of a hundred texts, 95 are no longer.
    pub p95: usize,
    /// The longest.
    pub max: usize,
}

/// How much of a split stands in the training split too, where a model may have learnt it by heart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Validation or test.
    pub split: Split,
    /// Images of the same pixels.
    pub images: Share,
    /// Texts of the same letters.
    pub texts: Share,
    /// Texts that belong to the same image.
    pub pairs: Share,
}

/// A part of a number of things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many.
    pub found: usize,
    /// Of how many.
    pub of: usize,
}

/// A split in hashes of 64 bits: two things that differ have the same by less than an accident.
#[derive(Default)]
pub(super) struct Contents {
    images: Vec<u64>,
    texts: Vec<u64>,
    pairs: Vec<u64>,
    /// How many texts have so many words.
    lengths: BTreeMap<usize, usize>,
}

pub(super) fn hash_of_pixels(image: &RgbImage) -> u64 {
    hash(&(image.dimensions(), image.as_raw()))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The words of a text, without what stands between them.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty())
}

impl Contents {
    /// Adds a sample: its image, if it has a sound one, and its texts.
    pub fn add(&mut self, image: Option<u64>, texts: &[&str]) {
        self.images.extend(image);
        for text in texts {
            *self.lengths.entry(words(text).count()).or_default() += 1;
            let text = hash(text);
            self.texts.push(text);
            self.pairs.extend(image.map(|image| hash(&(image, text))));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.texts.is_empty()
    }

    /// Of the texts, if there are any.
    pub fn lengths(&self) -> Option<Lengths> {
        let count = self.texts.len();
        // The shortest length that so many texts do not exceed.
        let of = |texts: usize| {
            let mut below = 0;
            self.lengths.iter().find_map(|(length, count)| {
                below += count;
                (below >= texts).then_some(*length)
            })
        };
        Some(Lengths {
            min: of(1)?,
            median: of(count.div_ceil(2))?,
            p95: of((count * 95).div_ceil(100))?,
            max: of(count)?,
        })
    }

    /// What this split shares with the training split, which must be sorted.
    pub fn duplicates(&self, split: Split, train: &Contents) -> Duplicates {
        let share = |own: &[u64], train: &[u64]| Share {
            found: own
                .iter()
                .filter(|hash| train.binary_search(hash).is_ok())
                .count(),
            of: own.len(),
        };
        Duplicates {
            split,
            images: share(&self.images, &train.images),
            texts: share(&self.texts, &train.texts),
            pairs: share(&self.pairs, &train.pairs),
        }
    }

    /// Makes ready for looking up.
    pub fn sort(&mut self) {
        let parts = [&mut self.images, &mut self.texts, &mut self.pairs];
        parts.into_iter().for_each(|part| part.sort_unstable());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(samples: &[(u64, &str)]) -> Contents {
        let mut contents = Contents::default();
        for (image, text) in samples {
            contents.add(Some(*image), &[text]);
        }
        contents.sort();
        contents
    }

    #[test]
    fn lengths_are_ranks() {
        let texts: Vec<String> = (1..=100).map(|words| "word ".repeat(words)).collect();
        let mut contents = Contents::default();
        for text in &texts {
            contents.add(None, &[text]);
        }
        let [min, median, p95, max] = [1, 50, 95, 100];
        let expected = Lengths {
            min,
            median,
            p95,
            max,
        };
        assert_eq!(contents.lengths(), Some(expected));
        assert_eq!(Contents::default().lengths(), None);
        contents = self::contents(&[(0, "it's one, two -- three!")]);
        assert_eq!(contents.lengths().unwrap().max, 5);
    }

    #[test]
    fn images_texts_and_pairs_are_told_apart() {
        let train = contents(&[(1, "a"), (2, "b"), (3, "c")]);
        let test = contents(&[(1, "b"), (2, "b"), (4, "c"), (5, "d")]);
        let duplicates = test.duplicates(Split::Test, &train);
        let share = |found| Share { found, of: 4 };
        assert_eq!(duplicates.images, share(2));
        assert_eq!(duplicates.texts, share(3));
        assert_eq!(duplicates.pairs, share(1));
    }
}
