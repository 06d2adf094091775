//! What is thrown away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::language;
use crate::DataError;

/// The most hashes that a signature may have.
pub(super) const MOST_HASHES: usize = 4096;

/// What [`clean`](super::clean) throws away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CleanConfig {
    /// Whether to look at the format: roles that alternate, turns that say something, a picture for each mark and a mark
    /// for each picture, balanced brackets and code fences, no leftover marks of a chat template, and no answer that
    /// repeats its question.
    pub format: bool,
    /// Words of each question. A picture alone is a question of none.
    pub question: WordRange,
    /// Words of each answer.
    pub answer: WordRange,
    /// Answers that go round in circles.
    pub repetition: RepetitionConfig,
    /// Languages to keep.
    pub language: LanguageConfig,
    /// Copies.
    pub duplicates: DuplicateConfig,
}

/// A range of lengths, ends included. Each Chinese character and each kana counts as a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordRange {
    /// The fewest words.
    pub min: usize,
    /// The most words.
    pub max: usize,
}

/// Repeated n-grams, a mark of generated rubbish (Rae et al. 2021, appendix A.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepetitionConfig {
    /// Words of an n-gram.
    #[schemars(range(min = 1))]
    pub ngram: usize,
    /// The largest part of an answer's n-grams that may have been there before; 1: any.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Shorter answers are left alone.
    pub min_words: usize,
}

/// Which languages are kept. A text is judged only where it is long enough to tell and the judgement is reliable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// ISO 639-3 codes such as `eng` and `cmn`; empty: all.
    pub keep: Vec<String>,
    /// Shorter questions and answers are left alone.
    pub min_words: usize,
}

/// Copies: of two conversations about the same pictures, the first is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DuplicateConfig {
    /// Whether to drop conversations that differ in nothing but case and blanks.
    pub exact: bool,
    /// The Jaccard similarity of their shingles from which both questions and answers are near copies; 0: near copies
    /// stay. (Answers count by themselves, so that a long question does not hide that they contradict.)
    #[schemars(range(min = 0.0, max = 1.0))]
    pub near: f64,
    /// Words of a shingle.
    #[schemars(range(min = 1))]
    pub shingle: usize,
    /// Bands of a signature: two conversations are compared if they agree in one.
    #[schemars(range(min = 1))]
    pub bands: usize,
    /// Hashes of the question in a band, beside one of the answer.
    #[schemars(range(min = 1))]
    pub rows: usize,
    /// The most earlier conversations that one is compared with, those it shares rare bands with before others: it
    /// bounds the time where a template makes all alike.
    #[schemars(range(min = 1))]
    pub candidates: usize,
}

/// Of pairs whose questions and answers both have a similarity of exactly 0.8, one in 4,500 is overlooked; of those with
/// 0.9, one in 26 million.
impl Default for DuplicateConfig {
    fn default() -> Self {
        Self {
            exact: true,
            near: 0.8,
            shingle: 5,
            bands: 16,
            rows: 3,
            candidates: 64,
        }
    }
}

impl Default for CleanConfig {
    fn default() -> Self {
        Self {
            format: true,
            question: WordRange { min: 0, max: 1024 },
            answer: WordRange { min: 1, max: 1024 },
            repetition: RepetitionConfig {
                ngram: 3,
                share: 0.5,
                min_words: 10,
            },
            language: LanguageConfig {
                keep: Vec::new(),
                min_words: 12,
            },
            duplicates: DuplicateConfig::default(),
        }
    }
}

/// The most words that a record has room for.
const ANY: usize = 1 << 20;

impl CleanConfig {
    /// Nothing but exact copies.
    pub fn copies() -> Self {
        let any = WordRange { min: 0, max: ANY };
        let default = Self::default();
        Self {
            format: false,
            question: any.clone(),
            answer: any,
            repetition: RepetitionConfig {
                share: 1.0,
                ..default.repetition
            },
            language: default.language,
            duplicates: DuplicateConfig {
                near: 0.0,
                ..default.duplicates
            },
        }
    }

    /// Whether the values make sense.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] for a range that is empty, a share or similarity that is none, a size of 0, a signature of
    /// more than 4096 hashes, and a language that is not known.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |setting, value: String, reason: &str| {
            Err(DataError::Setting {
                setting,
                value,
                reason: reason.into(),
            })
        };
        let ranges = [("question", &self.question), ("answer", &self.answer)];
        if let Some((setting, WordRange { min, max })) =
            ranges.into_iter().find(|(_, range)| range.min > range.max)
        {
            let value = format!("{min} to {max}");
            return wrong(setting, value, "expected a min that is at most max");
        }
        let shares = [
            ("repetition.share", self.repetition.share),
            ("duplicates.near", self.duplicates.near),
        ];
        if let Some((setting, share)) = shares
            .into_iter()
            .find(|(_, share)| !(0.0..=1.0).contains(share))
        {
            return wrong(setting, share.to_string(), "expected 0 to 1");
        }
        let sizes = [
            ("repetition.ngram", self.repetition.ngram),
            ("duplicates.shingle", self.duplicates.shingle),
            ("duplicates.bands", self.duplicates.bands),
            ("duplicates.rows", self.duplicates.rows),
            ("duplicates.candidates", self.duplicates.candidates),
        ];
        if let Some((setting, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return wrong(setting, "0".into(), "expected at least 1");
        }
        let hashes = self.duplicates.bands.saturating_mul(self.duplicates.rows);
        if hashes > MOST_HASHES {
            let reason = format!("bands times rows is at most {MOST_HASHES}");
            return wrong(
                "duplicates.bands",
                self.duplicates.bands.to_string(),
                &reason,
            );
        }
        let unknown = |code: &&String| !language::is_known(code);
        match self.language.keep.iter().find(unknown) {
            None => Ok(()),
            Some(code) => {
                let reason = "expected a code of ISO 639-3, such as eng or cmn";
                wrong("language.keep", code.clone(), reason)
            }
        }
    }
}
