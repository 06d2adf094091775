//! CIDEr-D (Vedantam et al. 2015, sections 3 and 6).

use super::mean;
use super::ngrams::{Counts, Item, LONGEST, counts};

/// The deviation, in words, of the Gaussian that takes from candidates of another length than the reference.
const SIGMA: f64 = 6.0;

/// Ten times the mean similarity to a reference, over the lengths of n-grams and the items.
pub(super) fn cider(ngrams: &[Vec<Item>; LONGEST]) -> f64 {
    let [words, ..] = ngrams;
    10.0 * mean(ngrams.iter().map(|items| {
        let rarity = Rarity::of(items);
        let pairs = items.iter().zip(words);
        mean(pairs.map(|(item, words)| rarity.similarity(item, words)))
    }))
}

/// The inverse document frequency of each n-gram of one length: the logarithm of the number of images over that of images
/// with a reference that has it. One that no reference has is as rare as one of a single image.
struct Rarity(Vec<f64>);

impl Rarity {
    fn of(items: &[Item]) -> Self {
        let all = items
            .iter()
            .flat_map(|item| item.references.iter().flatten().chain(&item.candidate));
        let mut images_with = vec![0.0_f64; all.max().map_or(0, |last| last + 1)];
        for item in items {
            let mut ngrams = item.references.concat();
            ngrams.sort_unstable();
            ngrams.dedup();
            for ngram in ngrams {
                images_with[ngram] += 1.0;
            }
        }
        let images = (items.len() as f64).ln();
        let rarity = images_with.iter().map(|with| images - with.max(1.0).ln());
        Self(rarity.collect())
    }

    /// The mean similarity of the candidate to its references; `words` is the same item as words.
    fn similarity(&self, item: &Item, words: &Item) -> f64 {
        let candidate = self.weights(&item.candidate);
        let length = words.candidate.len();
        let references = item.references.iter().zip(&words.references);
        mean(references.map(|(reference, words)| {
            let deviations = length.abs_diff(words.len()) as f64 / SIGMA;
            let penalty = (-deviations * deviations / 2.0).exp();
            penalty * cosine(&candidate, &self.weights(reference))
        }))
    }

    /// TF-IDF: how often a caption has an n-gram, times how rare that is.
    fn weights(&self, caption: &[usize]) -> Counts {
        let mut weights = counts(caption);
        for (ngram, weight) in &mut weights {
            *weight *= self.0[*ngram];
        }
        weights
    }
}

/// The cosine of the two, where no weight of the candidate counts for more than the reference's; 0 where either has none.
fn cosine(candidate: &Counts, reference: &Counts) -> f64 {
    let shared = candidate.iter().filter_map(|(ngram, weight)| {
        let other = *reference.get(ngram)?;
        Some(weight.min(other) * other)
    });
    let shared: f64 = shared.sum();
    let norms = norm(candidate) * norm(reference);
    if norms > 0.0 { shared / norms } else { 0.0 }
}

fn norm(weights: &Counts) -> f64 {
    weights.values().map(|x| x * x).sum::<f64>().sqrt()
}
