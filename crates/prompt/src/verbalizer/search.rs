//! Label words chosen by labelled examples.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{LabelWords, LabelWordsError};
use crate::ScoreError;
use crate::scores::check;

/// The smallest probability that something is not a word: one of zero would outweigh all other examples.
const LEAST: f64 = 1e-15;

/// Choice of label words among a vocabulary (PETAL, Schick et al. 2020, "Automatically Identifying Words That Can Serve
/// as Labels for Few-Shot Text Classification", section 4).
///
/// Each class is told from all others by one word `v` at a time. Its log-likelihood ratio is the sum over examples of
/// `log p(v) - log(1 - p(v))`, positive where the example is of the class and negative where it is of another; examples
/// of the class and others weigh the same in all, however many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelWordSearch {
    /// Words to choose for each class.
    pub words_per_class: usize,
    /// Only so many words are looked at for each class, the likeliest on its examples (section 4.1): ratios of words
    /// that are hardly ever said are noise.
    pub candidates: usize,
}

impl Default for LabelWordSearch {
    /// As in the paper.
    fn default() -> Self {
        Self {
            words_per_class: 10,
            candidates: 1000,
        }
    }
}

/// What a search chose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Searched {
    /// The words of each class, the best first.
    pub words: LabelWords,
    /// The same words, with what spoke for them.
    pub found: Vec<FoundWord>,
}

/// A word that was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundWord {
    /// What it stands for.
    pub class: String,
    /// The word.
    pub word: String,
    /// Its mean log-likelihood ratio on examples of the class, less that on the others.
    pub score: f64,
}

/// Examples or settings that allow no choice.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SearchError {
    /// Tables that do not fit.
    #[error(transparent)]
    Scores(#[from] ScoreError),
    /// Classes or words that cannot be used.
    #[error(transparent)]
    Words(#[from] LabelWordsError),
    /// A label that is no class.
    #[error("item {item} has label {label}, and there are {classes} classes, counted from 0")]
    Label {
        /// The example.
        item: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A class without examples.
    #[error("class `{0}` has no example: label at least one")]
    NoExample(String),
    /// A class for which words are missing.
    #[error(
        "{found} words are left for class `{class}`, and it needs {needed}: allow more candidates, or a larger vocabulary"
    )]
    TooFew {
        /// The class.
        class: String,
        /// What it got.
        found: usize,
        /// What was asked for.
        needed: usize,
    },
}

impl LabelWordSearch {
    /// Chooses label words. A word that is good for several classes goes to the one it is best for.
    ///
    /// # Shapes
    /// - `scores`: `[items][vocabulary]`, log-probabilities over the whole vocabulary of the model
    /// - `labels`: `[items]`, places in `classes`
    ///
    /// # Errors
    /// When tables do not fit, a class has no example, or the vocabulary has too few words.
    pub fn search(
        &self,
        vocabulary: &[String],
        classes: &[String],
        scores: &[Vec<f64>],
        labels: &[usize],
    ) -> Result<Searched, SearchError> {
        check("scores of words", scores, vocabulary.len())?;
        let labels = Labels::new(classes, labels, scores.len())?;
        let mut ratios: Vec<(f64, usize, usize)> = Vec::new();
        for class in 0..classes.len() {
            let words = self.candidates(scores, &labels, class);
            ratios.extend(words.map(|word| (labels.ratio(scores, class, word), class, word)));
        }
        // Best first; of equals in the order of classes and vocabulary.
        ratios.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));

        let mut taken = vec![false; vocabulary.len()];
        let mut chosen: Vec<Vec<FoundWord>> = vec![Vec::new(); classes.len()];
        for (score, class, word) in ratios {
            if !taken[word] && chosen[class].len() < self.words_per_class {
                taken[word] = true;
                chosen[class].push(FoundWord {
                    class: classes[class].clone(),
                    word: vocabulary[word].clone(),
                    score,
                });
            }
        }
        for (class, found) in classes.iter().zip(&chosen) {
            if found.len() < self.words_per_class {
                return Err(SearchError::TooFew {
                    class: class.clone(),
                    found: found.len(),
                    needed: self.words_per_class,
                });
            }
        }
        let words = |found: &[FoundWord]| found.iter().map(|found| found.word.clone()).collect();
        let named = classes.iter().zip(&chosen);
        Ok(Searched {
            words: LabelWords::new(
                named
                    .map(|(class, found)| (class.clone(), words(found)))
                    .collect(),
            )?,
            found: chosen.into_iter().flatten().collect(),
        })
    }

    /// The likeliest words on the examples of a class.
    fn candidates(
        &self,
        scores: &[Vec<f64>],
        labels: &Labels,
        class: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let words = scores[0].len();
        let mut words: Vec<(f64, usize)> = (0..words)
            .map(|word| (labels.mean(scores, class, |row| row[word]).0, word))
            .collect();
        words.sort_by(|a, b| b.0.total_cmp(&a.0));
        words.truncate(self.candidates);
        words.into_iter().map(|(_, word)| word)
    }
}

/// Labels that are places of classes, each of which has an example.
struct Labels<'a>(&'a [usize]);

impl<'a> Labels<'a> {
    fn new(classes: &[String], labels: &'a [usize], items: usize) -> Result<Self, SearchError> {
        if labels.len() != items {
            return Err(SearchError::Scores(ScoreError::Count {
                what: "labels".into(),
                found: labels.len(),
                expected: items,
            }));
        }
        if classes.len() < 2 {
            return Err(LabelWordsError::Classes(classes.len()).into());
        }
        if let Some(item) = labels.iter().position(|label| *label >= classes.len()) {
            return Err(SearchError::Label {
                item,
                label: labels[item],
                classes: classes.len(),
            });
        }
        match (0..classes.len()).find(|class| !labels.contains(class)) {
            Some(class) => Err(SearchError::NoExample(classes[class].clone())),
            None => Ok(Self(labels)),
        }
    }

    /// The mean of a value over the examples of a class, and over the others.
    fn mean(&self, scores: &[Vec<f64>], class: usize, of: impl Fn(&[f64]) -> f64) -> (f64, f64) {
        let (mut inside, mut outside) = ((0.0, 0.0), (0.0, 0.0));
        for (row, label) in scores.iter().zip(self.0) {
            let (sum, count) = match *label == class {
                true => &mut inside,
                false => &mut outside,
            };
            *sum += of(row);
            *count += 1.0;
        }
        (inside.0 / inside.1, outside.0 / outside.1)
    }

    /// How much likelier a word is on examples of the class than on others.
    fn ratio(&self, scores: &[Vec<f64>], class: usize, word: usize) -> f64 {
        let (inside, outside) = self.mean(scores, class, |row| {
            row[word] - (-row[word].exp_m1()).max(LEAST).ln()
        });
        inside - outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| word.to_string()).collect()
    }

    fn vocabulary() -> Vec<String> {
        strings(&["the", "good", "fine", "bad", "poor", "zyx"])
    }

    /// Two good examples, then one bad; the last word is hardly ever said.
    fn scores() -> Vec<Vec<f64>> {
        let rows = [
            [0.5, 0.2, 0.1, 0.02, 0.01, 1e-9],
            [0.5, 0.3, 0.1, 0.01, 0.01, 1e-9],
            [0.5, 0.01, 0.02, 0.2, 0.1, 1e-12],
        ];
        rows.map(|row| row.map(f64::ln).to_vec()).to_vec()
    }

    fn search(words_per_class: usize, candidates: usize) -> Result<Searched, SearchError> {
        let search = LabelWordSearch {
            words_per_class,
            candidates,
        };
        let classes = strings(&["positive", "negative"]);
        search.search(&vocabulary(), &classes, &scores(), &[0, 0, 1])
    }

    #[test]
    fn words_that_tell_the_classes_apart_are_found() {
        let searched = search(2, 4).unwrap();
        assert_eq!(
            serde_json::to_string(&searched.words).unwrap(),
            r#"{"positive":["good","fine"],"negative":["bad","poor"]}"#
        );
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let expected = (logit(0.2) + logit(0.3)) / 2.0 - logit(0.01);
        let FoundWord { class, word, score } = &searched.found[0];
        assert_eq!((class.as_str(), word.as_str()), ("positive", "good"));
        assert!((score - expected).abs() < 1e-12);
    }

    #[test]
    fn words_that_are_hardly_ever_said_are_no_candidates() {
        let searched = search(1, 6).unwrap();
        assert_eq!(searched.words.words().next(), Some("zyx"));
        let searched = search(1, 5).unwrap();
        assert_eq!(searched.words.words().next(), Some("good"));
    }

    #[test]
    fn copies_of_examples_change_nothing() {
        let (mut scores, mut labels) = (scores(), vec![0, 0, 1]);
        let classes = strings(&["positive", "negative"]);
        let settings = LabelWordSearch {
            words_per_class: 2,
            candidates: 4,
        };
        for _ in 0..5 {
            scores.push(scores[2].clone());
            labels.push(1);
        }
        let found = settings
            .search(&vocabulary(), &classes, &scores, &labels)
            .unwrap();
        for (a, b) in found.found.iter().zip(search(2, 4).unwrap().found) {
            assert_eq!(a.word, b.word);
            assert!((a.score - b.score).abs() < 1e-9);
        }
    }

    #[test]
    fn what_allows_no_choice_is_told() {
        let classes = strings(&["a", "b"]);
        let settings = LabelWordSearch::default();
        let error = |classes: &[String], labels: &[usize]| {
            let searched = settings.search(&vocabulary(), classes, &scores(), labels);
            searched.unwrap_err().to_string()
        };
        assert_eq!(
            error(&classes, &[0, 1]),
            "labels: 2 are given, 3 are needed"
        );
        assert!(error(&classes, &[0, 1, 2]).starts_with("item 2 has label 2, and there are 2"));
        assert!(error(&classes, &[0, 0, 0]).starts_with("class `b` has no example"));
        assert!(error(&classes[..1], &[0, 0, 0]).starts_with("1 classes have label words"));
        assert!(error(&classes, &[0, 0, 1]).contains("words are left for class"));
        let none = settings.search(&[], &classes, &scores(), &[0, 0, 1]);
        assert!(none.unwrap_err().to_string().contains("there are none"));
        // A word of probability one is no infinity.
        let sure = settings.search(&vocabulary(), &classes, &vec![vec![0.0; 6]; 3], &[0, 1, 1]);
        assert!(matches!(sure, Err(SearchError::TooFew { .. })));
    }
}
