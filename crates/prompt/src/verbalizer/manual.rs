//! Label words chosen by hand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LabelWords;
use crate::ScoreError;
use crate::scores::{check, log_sum_exp};

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
    /// Scores of classes, not normalised.
    ///
    /// # Shapes
    /// - `scores`: `[items][words]`, in the order of [`LabelWords::words`]
    /// - output: `[items][classes]`
    ///
    /// # Errors
    /// When there are no items, numbers do not fit, a score is not finite, a weight is negative or not finite, or all
    /// weights of a class are zero.
    pub fn class_scores(&self, scores: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        check("scores of words", scores, self.words.word_count())?;
        let weights = self.checked_weights()?;
        let score = |row: &[f64]| {
            let columns = self.words.columns();
            columns
                .map(|columns| {
                    self.aggregation
                        .of(&row[columns.clone()], &weights[columns])
                })
                .collect()
        };
        Ok(scores.iter().map(|row| score(row)).collect())
    }

    fn checked_weights(&self) -> Result<Vec<f64>, ScoreError> {
        let words = self.words.word_count();
        let weights = self.weights.clone().unwrap_or_else(|| vec![1.0; words]);
        if weights.len() != words {
            return Err(ScoreError::Count {
                what: "weights of label words".into(),
                found: weights.len(),
                expected: words,
            });
        }
        let error = |place: usize, needed| ScoreError::Number {
            what: "weights of label words".into(),
            place,
            value: weights[place],
            needed,
        };
        // Between bounds that no sum or logarithm of weights leaves.
        let usable = |weight: &f64| *weight == 0.0 || (1e-100..=1e100).contains(weight);
        if let Some(place) = weights.iter().position(|weight| !usable(weight)) {
            return Err(error(
                place,
                "a weight is zero or lies between 1e-100 and 1e100",
            ));
        }
        let mut columns = self.words.columns();
        match columns.find(|columns| weights[columns.clone()].iter().all(|weight| *weight == 0.0)) {
            Some(columns) => Err(error(
                columns.start,
                "so are all of its class: give one of its words a weight",
            )),
            None => Ok(weights),
        }
    }
}

impl Aggregation {
    fn of(self, scores: &[f64], weights: &[f64]) -> f64 {
        let weighted = scores
            .iter()
            .zip(weights)
            .map(|(score, weight)| score + weight.ln());
        match self {
            Self::Mean => {
                let sum: f64 = scores
                    .iter()
                    .zip(weights)
                    .map(|(score, weight)| score * weight)
                    .sum();
                sum / weights.iter().sum::<f64>()
            }
            Self::Sum => log_sum_exp(weighted),
            Self::Max => weighted.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbalizer(aggregation: &str, weights: &str) -> Verbalizer {
        let words = "words = { negative = ['terrible', 'bad'], positive = ['great'] }";
        toml::from_str(&format!(
            "{words}\naggregation = '{aggregation}'\n{weights}"
        ))
        .unwrap()
    }

    fn probabilities(verbalizer: &Verbalizer) -> Vec<f64> {
        let scores = [vec![0.04f64.ln(), 0.16f64.ln(), 0.1f64.ln()]];
        let scores = verbalizer.class_scores(&scores).unwrap();
        scores[0].iter().map(|score| score.exp()).collect()
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
            let close = found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close, "{aggregation} {weights}: {found:?}");
        }
    }

    #[test]
    fn weights_that_mean_nothing_are_told() {
        for (weights, expected) in [
            (
                "[1, 1]",
                "weights of label words: 2 are given, 3 are needed",
            ),
            (
                "[1, -1, 1]",
                "weights of label words: number 1 is -1; a weight is zero or lies",
            ),
            ("[1, nan, 1]", "weights of label words: number 1 is NaN"),
            (
                "[1, 1, 0]",
                "weights of label words: number 2 is 0; so are all of its class",
            ),
        ] {
            let verbalizer = verbalizer("mean", &format!("weights = {weights}"));
            let error = verbalizer
                .class_scores(&[vec![0.0; 3]])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = verbalizer("mean", "")
            .class_scores(&[vec![0.0; 2]])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "scores of words, item 0: 2 are given, 3 are needed"
        );
    }
}
