//! Label words, and what their scores make of a class.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LabelWords;
use crate::ScoreError;
use crate::scores::check_row;

/// What a word without weight gets in the place of minus infinity, whose gradients are no numbers.
const NEVER: f64 = -1e9;

/// Label words, and how the scores of several become the score of their class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verbalizer {
    /// The words of each class.
    pub words: LabelWords,
    /// What is made of several words.
    #[serde(default)]
    pub aggregation: Aggregation,
    /// One for each word, class after class; without them all count alike.
    #[serde(default)]
    pub weights: Option<Vec<f64>>,
    /// Logarithms of what each word's probability is divided by, before all words' are made to sum to one.
    #[serde(default)]
    pub log_prior: Option<Vec<f64>>,
}

/// How the words of a class become its score, with weights `w`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// `sum(w log p) / sum(w)`: fair to classes with unlike numbers of words.
    #[default]
    Mean,
    /// `log sum(w p)`: the probability of any of the words.
    Sum,
    /// `max(log(w p))`: the best word alone.
    Max,
}

impl Verbalizer {
    /// Words that all count alike.
    pub fn new(words: LabelWords, aggregation: Aggregation) -> Self {
        Self {
            words,
            aggregation,
            weights: None,
            log_prior: None,
        }
    }

    /// Whether the numbers that go with the words can be used.
    ///
    /// # Errors
    /// When there are more or fewer than words, a prior is not finite, a weight is negative or not finite, or all weights
    /// of a class are zero.
    pub fn check(&self) -> Result<(), ScoreError> {
        let count = self.words.word_count();
        if let Some(prior) = &self.log_prior {
            check_row(|| "priors of label words".into(), prior, count)?;
        }
        let weights = self.weights();
        if weights.len() != count {
            return Err(ScoreError::Count {
                what: "weights of label words".into(),
                found: weights.len(),
                expected: count,
            });
        }
        let error = |place: usize, needed| ScoreError::Number {
            what: "weights of label words".into(),
            place,
            value: weights[place],
            needed,
        };
        // Between bounds that no sum or logarithm of weights leaves.
        let usable = |weight: &f64| *weight == 0.0 || (1e-30..=1e30).contains(weight);
        if let Some(place) = weights.iter().position(|weight| !usable(weight)) {
            return Err(error(
                place,
                "a weight is zero or lies between 1e-30 and 1e30",
            ));
        }
        let mut columns = self.words.columns();
        match columns.find(|columns| weights[columns.clone()].iter().all(|weight| *weight == 0.0)) {
            Some(columns) => Err(error(
                columns.start,
                "so are all of its class: give one of its words a weight",
            )),
            None => Ok(()),
        }
    }

    /// Scores of words as logarithms of probabilities that sum to one, divided by their priors where there are some.
    ///
    /// # Shapes
    /// - `scores`, in the order of [`LabelWords::words`], and output: `[items, words]`
    pub fn calibrated(&self, scores: Tensor<2>) -> Tensor<2> {
        match &self.log_prior {
            None => scores,
            Some(prior) => log_softmax(scores.clone() - row(prior, &scores), 1),
        }
    }

    /// Scores of classes, not normalised, for a verbalizer that passes [`check`](Self::check).
    ///
    /// # Shapes
    /// - `scores`: `[items, words]`, in the order of [`LabelWords::words`]; output: `[items, classes]`
    pub fn forward(&self, scores: Tensor<2>) -> Tensor<2> {
        let (scores, weights) = (self.calibrated(scores), self.weights());
        let classes = self.words.columns().map(|columns| {
            let own = scores.clone().narrow(1, columns.start, columns.len());
            self.aggregation.of(own, &weights[columns])
        });
        Tensor::cat(classes.collect(), 1)
    }

    fn weights(&self) -> Vec<f64> {
        let words = self.words.word_count();
        self.weights.clone().unwrap_or_else(|| vec![1.0; words])
    }
}

impl Aggregation {
    /// `[items, words]` of one class to `[items, 1]`.
    fn of(self, scores: Tensor<2>, weights: &[f64]) -> Tensor<2> {
        let logs = || -> Vec<f64> {
            weights
                .iter()
                .map(|weight| weight.ln().max(NEVER))
                .collect()
        };
        match self {
            Self::Mean => {
                let weighted = scores.clone() * row(weights, &scores);
                weighted.sum_dim(1) / weights.iter().sum::<f64>()
            }
            Self::Sum => {
                let weighted = scores.clone() + row(&logs(), &scores);
                let largest = weighted.clone().detach().max_dim(1);
                (weighted - largest.clone()).exp().sum_dim(1).log() + largest
            }
            Self::Max => (scores.clone() + row(&logs(), &scores)).max_dim(1),
        }
    }
}

/// Numbers of words as a row beside their scores, `[1, words]`.
fn row(numbers: &[f64], scores: &Tensor<2>) -> Tensor<2> {
    let data = TensorData::new(numbers.to_vec(), [1, numbers.len()]);
    Tensor::from_data(data.convert::<f32>(), &scores.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::tensor;
    use crate::testing::device;

    fn verbalizer(aggregation: &str, more: &str) -> Verbalizer {
        let words = "words = { negative = ['terrible', 'bad'], positive = ['great'] }";
        toml::from_str(&format!("{words}\naggregation = '{aggregation}'\n{more}")).unwrap()
    }

    fn probabilities(verbalizer: &Verbalizer) -> Vec<f64> {
        verbalizer.check().unwrap();
        let scores = [0.04f32, 0.16, 0.1].map(f32::ln);
        let scores = verbalizer.forward(tensor([scores], &device()));
        scores.exp().into_data().iter().collect()
    }

    #[test]
    fn words_become_classes() {
        for (aggregation, weights, expected) in [
            ("mean", "", [0.08, 0.1]),
            ("sum", "", [0.2, 0.1]),
            ("max", "", [0.16, 0.1]),
            (
                "mean",
                "weights = [3, 1, 5]",
                [0.04f64.powf(0.75) * 0.16f64.powf(0.25), 0.1],
            ),
            ("sum", "weights = [3, 1, 0.5]", [0.28, 0.05]),
            ("max", "weights = [5, 1, 1]", [0.2, 0.1]),
            ("mean", "weights = [0, 1, 1]", [0.16, 0.1]),
            ("sum", "weights = [0, 1, 1]", [0.16, 0.1]),
            ("max", "weights = [1, 0, 1]", [0.04, 0.1]),
        ] {
            let found = probabilities(&verbalizer(aggregation, weights));
            let pairs = found.iter().zip(expected);
            let close = pairs.map(|(a, b)| (a - b).abs()).all(|off| off < 1e-6);
            assert!(close, "{aggregation} {weights}: {found:?}");
        }
    }

    #[test]
    fn priors_are_divided_by_before_words_become_classes() {
        let prior = [0.01f64, 0.04, 0.1].map(f64::ln);
        let verbalizer = verbalizer("sum", &format!("log_prior = {prior:?}"));
        // Ratios 4, 4 and 1.
        let found = probabilities(&verbalizer);
        let pairs = found.iter().zip([8.0 / 9.0, 1.0 / 9.0]);
        assert!(pairs.map(|(a, b)| (a - b).abs()).all(|off| off < 1e-6));
    }

    #[test]
    fn weights_that_mean_nothing_are_told() {
        for (more, expected) in [
            (
                "weights = [1, 1]",
                "weights of label words: 2 are given, 3 are needed",
            ),
            (
                "weights = [1, -1, 1]",
                "weights of label words: number 1 is -1; a weight is zero or lies",
            ),
            (
                "weights = [1, nan, 1]",
                "weights of label words: number 1 is NaN",
            ),
            (
                "weights = [1, 1, 0]",
                "weights of label words: number 2 is 0; so are all of its class",
            ),
            (
                "log_prior = [0, 0]",
                "priors of label words: 2 are given, 3 are needed",
            ),
            (
                "log_prior = [0, 0, inf]",
                "priors of label words: number 2 is inf",
            ),
        ] {
            let error = verbalizer("mean", more).check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
