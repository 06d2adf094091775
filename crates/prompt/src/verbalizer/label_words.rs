//! The words that stand for each class.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The words that stand for each class, as a table:
///
/// ```toml
/// negative = ["terrible", "bad"]
/// positive = ["great"]
/// ```
///
/// Classes and words keep their order, as far as the file's format has one (TOML's readers may sort the keys of a
/// table: ask for a class by its name). Tables of word scores have one column for each word, class after class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelWords {
    classes: Vec<(String, Vec<String>)>,
}

/// Words that cannot stand for classes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelWordsError {
    /// Nothing to choose from.
    #[error("{0} classes have label words: a task has at least two")]
    Classes(usize),
    /// A class that is named twice.
    #[error("class `{0}` stands twice: put all its words in one list")]
    ClassTwice(String),
    /// A class that no word stands for.
    #[error("class `{0}` has no label word: give at least one")]
    NoWord(String),
    /// A word without letters.
    #[error("class `{0}` has an empty label word: take it out")]
    EmptyWord(String),
    /// A word that stands for two classes, or for one twice.
    #[error(
        "`{word}` stands for `{first}` and for `{second}`: a label word stands for one class, once"
    )]
    WordTwice {
        /// The word.
        word: String,
        /// The class that had it first.
        first: String,
        /// The class that has it too.
        second: String,
    },
}

impl LabelWords {
    /// Each class with its words.
    ///
    /// # Errors
    /// With fewer than two classes, a class twice or without words, or a word that is empty or stands twice.
    pub fn new(classes: Vec<(String, Vec<String>)>) -> Result<Self, LabelWordsError> {
        if classes.len() < 2 {
            return Err(LabelWordsError::Classes(classes.len()));
        }
        let mut names = BTreeSet::new();
        let mut class_of = BTreeMap::new();
        for (class, words) in &classes {
            if !names.insert(class) {
                return Err(LabelWordsError::ClassTwice(class.clone()));
            }
            if words.is_empty() {
                return Err(LabelWordsError::NoWord(class.clone()));
            }
            for word in words {
                if word.trim().is_empty() {
                    return Err(LabelWordsError::EmptyWord(class.clone()));
                }
                if let Some(first) = class_of.insert(word, class) {
                    return Err(LabelWordsError::WordTwice {
                        word: word.clone(),
                        first: first.clone(),
                        second: class.clone(),
                    });
                }
            }
        }
        Ok(Self { classes })
    }

    /// Names of the classes.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.classes.iter().map(|(class, _)| class.as_str())
    }

    /// The words of each class.
    pub fn of_classes(&self) -> Vec<Vec<String>> {
        self.classes
            .iter()
            .map(|(_, words)| words.clone())
            .collect()
    }

    /// All words, class after class.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.classes.iter().flat_map(|(_, words)| words);
        words.map(String::as_str)
    }

    /// How many words there are in all.
    pub fn word_count(&self) -> usize {
        self.classes.iter().map(|(_, words)| words.len()).sum()
    }

    /// The columns of each class in a table of word scores.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        let mut end = 0;
        self.classes.iter().map(move |(_, words)| {
            let start = end;
            end += words.len();
            start..end
        })
    }
}

impl Serialize for LabelWords {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.classes.len()))?;
        for (class, words) in &self.classes {
            map.serialize_entry(class, words)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LabelWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Classes;

        impl<'de> Visitor<'de> for Classes {
            type Value = LabelWords;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of classes, each with a list of its label words")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelWords, A::Error> {
                let mut classes = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    classes.push(entry);
                }
                LabelWords::new(classes).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_map(Classes)
    }
}

impl JsonSchema for LabelWords {
    fn schema_name() -> Cow<'static, str> {
        "LabelWords".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, Vec<String>>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_columns_follow_it() {
        let text = r#"{"z":["b","a"],"a":["c"]}"#;
        let words: LabelWords = serde_json::from_str(text).unwrap();
        assert_eq!(words.classes().collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(words.words().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(words.word_count(), 3);
        assert_eq!(words.columns().collect::<Vec<_>>(), [0..2, 2..3]);
        assert_eq!(serde_json::to_string(&words).unwrap(), text);
        assert_eq!(
            schemars::schema_for!(LabelWords).get("type").unwrap(),
            "object"
        );
    }

    #[test]
    fn words_that_cannot_stand_for_classes_are_told() {
        for (text, expected) in [
            ("", "0 classes have label words"),
            ("a = ['x']", "1 classes have label words"),
            ("a = ['x']\nb = []", "class `b` has no label word"),
            ("a = ['x']\nb = [' ']", "class `b` has an empty label word"),
            (
                "a = ['x']\nb = ['y', 'x']",
                "`x` stands for `a` and for `b`",
            ),
            (
                "a = ['x', 'x']\nb = ['y']",
                "`x` stands for `a` and for `a`",
            ),
            ("a = 'x'\nb = ['y']", "invalid type: string"),
        ] {
            let error = toml::from_str::<LabelWords>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let twice = serde_json::from_str::<LabelWords>(r#"{"a":["x"],"a":["y"]}"#);
        assert!(
            twice
                .unwrap_err()
                .to_string()
                .contains("class `a` stands twice")
        );
    }
}
