//! Many words for each class, from which the noise is taken out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aggregation, LabelWords, Verbalizer};
use crate::ScoreError;
use crate::scores::{check, log_mean_exp};

/// The smallest mean similarity that a relevance is divided by.
const LEAST: f64 = 1e-12;

/// Refinement of candidates from a knowledge base (KPT, Hu et al. 2022, "Knowledgeable Prompt-tuning", section 3).
///
/// The first word of each class stands for the class itself and always stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refinement {
    /// Frequency refinement: this fraction of all words is dropped, those with the lowest prior.
    pub rare: f64,
    /// Relevance refinement: words with a lower relevance are dropped.
    pub least_relevance: f64,
}

impl Default for Refinement {
    /// As in the paper.
    fn default() -> Self {
        Self {
            rare: 0.5,
            least_relevance: 1.0,
        }
    }
}

/// What a refinement left, and what it took out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refined {
    /// What is left.
    pub words: LabelWords,
    /// Logarithms of the priors of these words, in their order.
    pub log_prior: Vec<f64>,
    /// What was taken out, in the order of the candidates.
    pub dropped: Vec<Dropped>,
}

/// A word that was taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// What it was to stand for.
    pub class: String,
    /// The word.
    pub word: String,
    /// Why it does not.
    pub reason: Reason,
}

/// Why a word was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The model hardly ever says it.
    Rare {
        /// Logarithm of its mean probability on texts without content.
        log_prior: f64,
    },
    /// It is as similar to other classes as to its own.
    Irrelevant {
        /// Its relevance.
        relevance: f64,
    },
}

impl Refinement {
    /// Takes out rare words, then those with a low relevance: the similarity of a word with its class over the mean of
    /// that with the other classes, where similarity is the cosine of the words' probabilities over the support set.
    ///
    /// # Shapes
    /// - `support`: `[items][candidates]`, inputs without labels
    /// - `content_free`: `[texts][candidates]`, texts without content, whose mean is the prior; the paper takes the
    ///   support set for it too
    ///
    /// # Errors
    /// When a table is empty or does not fit, a score is not finite, or a setting is out of its range.
    pub fn refine(
        &self,
        candidates: &LabelWords,
        support: &[Vec<f64>],
        content_free: &[Vec<f64>],
    ) -> Result<Refined, ScoreError> {
        let count = candidates.word_count();
        self.check_settings()?;
        check("scores on the support set", support, count)?;
        check("content-free scores", content_free, count)?;

        let class_columns: Vec<_> = candidates.columns().collect();
        let is_first = |word: usize| class_columns.iter().any(|columns| columns.start == word);
        let log_prior = log_mean_exp(content_free);
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| log_prior[*a].total_cmp(&log_prior[*b]));
        // Not negative and not above `count`: `rare` lies in [0, 1].
        let rare = &order[..(self.rare * count as f64) as usize];

        let vectors: Vec<Vec<f64>> = (0..count).map(|word| direction(support, word)).collect();
        let classes: Vec<&[f64]> = class_columns
            .iter()
            .map(|columns| vectors[columns.start].as_slice())
            .collect();
        let names = candidates.classes().zip(&class_columns).enumerate();
        let words: Vec<&str> = candidates.words().collect();
        let (mut kept, mut columns, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for (class, (name, own)) in names {
            let start = columns.len();
            for word in own.clone() {
                let relevance = relevance(&vectors[word], &classes, class);
                let reason = match () {
                    () if is_first(word) => None,
                    () if rare.contains(&word) => Some(Reason::Rare {
                        log_prior: log_prior[word],
                    }),
                    () if relevance < self.least_relevance => {
                        Some(Reason::Irrelevant { relevance })
                    }
                    () => None,
                };
                match reason {
                    None => columns.push(word),
                    Some(reason) => dropped.push(Dropped {
                        class: name.into(),
                        word: words[word].into(),
                        reason,
                    }),
                }
            }
            let left = columns[start..].iter().map(|word| words[*word].to_string());
            kept.push((name.to_string(), left.collect()));
        }
        Ok(Refined {
            words: LabelWords::new(kept)
                .expect("words of other label words, the first of each class among them"),
            log_prior: columns.iter().map(|word| log_prior[*word]).collect(),
            dropped,
        })
    }

    fn check_settings(&self) -> Result<(), ScoreError> {
        for (what, value, range, needed) in [
            (
                "fraction of rare words",
                self.rare,
                0.0..=1.0,
                "it lies between 0 and 1",
            ),
            (
                "least relevance",
                self.least_relevance,
                0.0..=f64::MAX,
                "it is not negative, and 1 is usual",
            ),
        ] {
            if !range.contains(&value) {
                return Err(ScoreError::Number {
                    what: what.into(),
                    place: 0,
                    value,
                    needed,
                });
            }
        }
        Ok(())
    }
}

impl Refined {
    /// Classes by the mean of their words' probabilities, divided by their priors (contextualised calibration), which is
    /// what KPT does without training; with labelled examples, [`WordWeights`](super::WordWeights) learns how much each word
    /// counts.
    pub fn verbalizer(&self) -> Verbalizer {
        let shares = self.words.columns().flat_map(|columns| {
            let share = 1.0 / columns.len() as f64;
            columns.map(move |_| share)
        });
        Verbalizer {
            words: self.words.clone(),
            aggregation: Aggregation::Sum,
            weights: Some(shares.collect()),
            log_prior: Some(self.log_prior.clone()),
        }
    }
}

/// A word's probabilities over the items, scaled to length one; from differences to the largest, so that none vanish
/// together.
fn direction(support: &[Vec<f64>], word: usize) -> Vec<f64> {
    let scores = support.iter().map(|row| row[word]);
    let largest = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    let vector: Vec<f64> = scores.map(|score| (score - largest).exp()).collect();
    // At least one: the largest is.
    let length = dot(&vector, &vector).sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

/// Of a word for its class, against the other classes.
fn relevance(word: &[f64], classes: &[&[f64]], own: usize) -> f64 {
    let similarity: Vec<f64> = classes.iter().map(|class| dot(word, class)).collect();
    let others = similarity.iter().sum::<f64>() - similarity[own];
    similarity[own] / (others / (classes.len() - 1) as f64).max(LEAST)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::tensor;
    use crate::testing::device;

    fn candidates() -> LabelWords {
        toml::from_str("a = ['sport', 'ball', 'thing', 'rare']\nb = ['politics', 'vote']").unwrap()
    }

    fn logs(rows: &[[f64; 6]]) -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.map(f64::ln).to_vec()).collect()
    }

    /// An item on sport, and one on politics, of which "thing" is said more.
    fn support() -> Vec<Vec<f64>> {
        logs(&[
            [0.4, 0.2, 0.1, 0.01, 0.1, 0.01],
            [0.1, 0.1, 0.2, 0.001, 0.4, 0.3],
        ])
    }

    fn refined(rare: f64) -> Refined {
        let refinement = Refinement {
            rare,
            least_relevance: 1.0,
        };
        // Two texts: the prior of a word is its mean probability.
        let prior = logs(&[
            [0.1, 0.2, 0.1, 0.001, 0.005, 0.05],
            [0.1, 0.0002, 0.1, 0.001, 0.005, 0.05],
        ]);
        refinement
            .refine(&candidates(), &support(), &prior)
            .unwrap()
    }

    #[test]
    fn rare_and_irrelevant_words_are_dropped_with_a_reason() {
        // A third of six: "rare" and "politics", which stays as the first of its class.
        let refined = refined(0.34);
        assert_eq!(
            serde_json::to_string(&refined.words).unwrap(),
            r#"{"a":["sport","ball"],"b":["politics","vote"]}"#
        );
        assert!((refined.log_prior[1] - 0.1001f64.ln()).abs() < 1e-12);
        let [thing, rare] = &refined.dropped[..] else {
            panic!("{:?}", refined.dropped)
        };
        // cos((1, 2), (4, 1)) / cos((1, 2), (1, 4)), the lengths of which are equal.
        assert_eq!((thing.class.as_str(), thing.word.as_str()), ("a", "thing"));
        let Reason::Irrelevant { relevance } = thing.reason else {
            panic!("{thing:?}")
        };
        assert!((relevance - 6.0 / 9.0).abs() < 1e-12);
        assert_eq!(rare.word, "rare");
        assert!(
            matches!(rare.reason, Reason::Rare { log_prior } if (log_prior.exp() - 0.001).abs() < 1e-12)
        );
    }

    #[test]
    fn without_frequency_refinement_only_relevance_counts() {
        let words = refined(0.0).words;
        assert!(
            words
                .words()
                .eq(["sport", "ball", "rare", "politics", "vote"])
        );
        let words = refined(1.0).words;
        assert!(words.words().eq(["sport", "politics"]));
    }

    #[test]
    fn classes_are_the_mean_of_calibrated_words() {
        let refined = refined(0.34);
        let verbalizer = refined.verbalizer();
        assert_eq!(verbalizer.log_prior, Some(refined.log_prior.clone()));
        // Ratios to the priors of 1, 2, 1 and 2, of six.
        let scores = [0.1f32, 0.2002, 0.005, 0.1].map(f32::ln);
        let classes = verbalizer.forward(tensor([scores], &device()));
        let classes = classes.exp().into_data();
        assert!(
            classes
                .iter::<f32>()
                .all(|class| (class - 0.25).abs() < 1e-5)
        );
    }

    #[test]
    fn what_cannot_be_refined_is_told() {
        let message =
            |rare: f64, least_relevance: f64, support: &[Vec<f64>], prior: &[Vec<f64>]| {
                let refinement = Refinement {
                    rare,
                    least_relevance,
                };
                refinement
                    .refine(&candidates(), support, prior)
                    .unwrap_err()
                    .to_string()
            };
        let table = support();
        for (error, expected) in [
            (
                message(1.5, 1.0, &table, &table),
                "fraction of rare words: number 0 is 1.5; it lies",
            ),
            (
                message(0.5, f64::NAN, &table, &table),
                "least relevance: number 0 is NaN",
            ),
            (
                message(0.5, 1.0, &[], &table),
                "scores on the support set: there are none",
            ),
            (
                message(0.5, 1.0, &table, &[vec![0.0]]),
                "content-free scores, item 0: 1 are given, 6",
            ),
        ] {
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
