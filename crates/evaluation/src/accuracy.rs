//! Hits and misses of a classifier over named answers.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// What the model said about one test item; one line of `predictions.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The item's name in its dataset.
    pub id: String,
    /// The right answer.
    pub target: String,
    /// The model's first choice.
    pub prediction: String,
    /// The probability the model gave to its first choice. JSON has no NaN: it is written as `null` and
    /// read back as NaN.
    #[serde(deserialize_with = "number_or_nan")]
    pub score: f64,
    /// How much of it rests on the image, from 0 to 1, where a model weighs image and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_weight: Option<f64>,
    /// The picture of the split that the item is about, where several items can share one: such items are no
    /// independent draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<u64>,
}

impl Prediction {
    /// Whether the prediction is the target, letter by letter.
    pub fn is_right(&self) -> bool {
        self.prediction == self.target
    }
}

fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// How many of how many were right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Items answered right.
    pub correct: usize,
    /// Items asked.
    pub total: usize,
}

impl Tally {
    /// `correct / total`; `None` when nothing was asked.
    pub fn accuracy(&self) -> Option<f64> {
        (self.total > 0).then(|| self.correct as f64 / self.total as f64)
    }

    fn add(&mut self, right: bool) {
        self.correct += usize::from(right);
        self.total += 1;
    }
}

/// The tally of one group of items, such as one question type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What the items of the group have in common.
    pub name: String,
    /// Hits within the group.
    pub tally: Tally,
}

/// One kind of mistake: `target` was taken for `prediction`, `count` times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The right answer.
    pub target: String,
    /// The answer given instead.
    pub prediction: String,
    /// How often.
    pub count: usize,
    /// How many items had this target at all.
    pub of: usize,
}

/// Accuracy over all predictions.
pub fn accuracy(predictions: &[Prediction]) -> Tally {
    let mut tally = Tally::default();
    for prediction in predictions {
        tally.add(prediction.is_right());
    }
    tally
}

/// Accuracy by group, in the alphabetical order of the groups. `group_of` names the group of an item.
pub fn accuracy_by<G: Into<String>>(
    predictions: &[Prediction],
    group_of: impl Fn(&Prediction) -> G,
) -> Vec<Group> {
    let mut groups = BTreeMap::<String, Tally>::new();
    for prediction in predictions {
        groups
            .entry(group_of(prediction).into())
            .or_default()
            .add(prediction.is_right());
    }
    groups
        .into_iter()
        .map(|(name, tally)| Group { name, tally })
        .collect()
}

/// The mistakes, the most frequent first (ties in alphabetical order), at most `limit` of them.
pub fn confusions(predictions: &[Prediction], limit: usize) -> Vec<Confusion> {
    let mut targets = BTreeMap::<&str, usize>::new();
    let mut mistakes = BTreeMap::<(&str, &str), usize>::new();
    for prediction in predictions {
        *targets.entry(&prediction.target).or_default() += 1;
        if !prediction.is_right() {
            *mistakes
                .entry((&prediction.target, &prediction.prediction))
                .or_default() += 1;
        }
    }
    let mut confusions: Vec<Confusion> = mistakes
        .into_iter()
        .map(|((target, prediction), count)| Confusion {
            target: target.to_owned(),
            prediction: prediction.to_owned(),
            count,
            of: targets[target],
        })
        .collect();
    // A stable sort keeps the alphabetical order among equals.
    confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    confusions.truncate(limit);
    confusions
}

/// VQA accuracy of one prediction against the answers of several people, `min(agreeing / 3, 1)` averaged over
/// leaving each person out in turn (Antol et al. 2015, <https://arxiv.org/abs/1505.00468>). With a single
/// answer it is an exact match. Answers are compared as they are: normalise them before.
///
/// `None` without answers.
pub fn vqa_accuracy<S: AsRef<str>>(prediction: &str, answers: &[S]) -> Option<f64> {
    let agreeing = answers
        .iter()
        .filter(|answer| answer.as_ref() == prediction)
        .count();
    match answers.len() {
        0 => None,
        1 => Some(agreeing as f64),
        people => {
            // Leaving out one who agrees leaves `agreeing - 1`; that happens `agreeing` times.
            let share = |agreeing: usize| (agreeing as f64 / 3.0).min(1.0);
            let left_out = agreeing as f64 * share(agreeing.saturating_sub(1));
            let kept = (people - agreeing) as f64 * share(agreeing);
            Some((left_out + kept) / people as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(id: &str, target: &str, prediction: &str) -> Prediction {
        Prediction {
            id: id.into(),
            target: target.into(),
            prediction: prediction.into(),
            score: 0.5,
            ..Prediction::default()
        }
    }

    fn sample() -> Vec<Prediction> {
        vec![
            prediction("colour/0", "red", "red"),
            prediction("colour/1", "red", "blue"),
            prediction("colour/2", "red", "blue"),
            prediction("shape/0", "circle", "circle"),
            prediction("shape/1", "circle", "square"),
            prediction("shape/2", "square", "circle"),
            prediction("yes-no/0", "yes", "yes"),
        ]
    }

    #[test]
    fn counts_overall_and_by_group() {
        assert_eq!(
            accuracy(&sample()),
            Tally {
                correct: 3,
                total: 7
            }
        );
        assert_eq!(accuracy(&[]).accuracy(), None);
        let groups = accuracy_by(&sample(), |item| {
            item.id.split('/').next().unwrap_or("").to_owned()
        });
        let seen: Vec<_> = groups
            .iter()
            .map(|group| (group.name.as_str(), group.tally.correct, group.tally.total))
            .collect();
        assert_eq!(seen, [("colour", 1, 3), ("shape", 1, 3), ("yes-no", 1, 1)]);
        assert_eq!(
            groups.iter().map(|group| group.tally.total).sum::<usize>(),
            7
        );
    }

    #[test]
    fn the_most_frequent_confusion_comes_first_and_hits_are_none() {
        let found = confusions(&sample(), 2);
        let expected = [("red", "blue", 2, 3), ("circle", "square", 1, 2)];
        let seen: Vec<_> = found
            .iter()
            .map(|item| {
                (
                    item.target.as_str(),
                    item.prediction.as_str(),
                    item.count,
                    item.of,
                )
            })
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(confusions(&sample(), 99).len(), 3);
    }

    #[test]
    fn vqa_accuracy_is_the_official_average() {
        let people = |agreeing: usize| -> Vec<&str> {
            (0..10)
                .map(|index| if index < agreeing { "two" } else { "three" })
                .collect()
        };
        // The table of the official evaluation for 0..=4 of ten people agreeing.
        for (agreeing, expected) in [0.0, 0.3, 0.6, 0.9, 1.0].into_iter().enumerate() {
            let seen = vqa_accuracy("two", &people(agreeing)).unwrap();
            assert!(
                (seen - expected).abs() < 1e-12,
                "{agreeing} agreeing: {seen}"
            );
        }
        assert_eq!(vqa_accuracy("two", &["two"]), Some(1.0));
        assert_eq!(vqa_accuracy("two", &["Two"]), Some(0.0));
        assert_eq!(vqa_accuracy::<&str>("two", &[]), None);
    }

    #[test]
    fn a_prediction_survives_json_even_with_a_score_of_nan() {
        let line = serde_json::to_string(&prediction("a\"b", "x", "y")).unwrap();
        assert_eq!(
            line,
            r#"{"id":"a\"b","target":"x","prediction":"y","score":0.5}"#
        );
        assert_eq!(
            serde_json::from_str::<Prediction>(&line).unwrap(),
            prediction("a\"b", "x", "y")
        );
        let nan = Prediction {
            score: f64::NAN,
            ..prediction("i", "x", "y")
        };
        let line = serde_json::to_string(&nan).unwrap();
        assert!(
            serde_json::from_str::<Prediction>(&line)
                .unwrap()
                .score
                .is_nan()
        );
    }
}
