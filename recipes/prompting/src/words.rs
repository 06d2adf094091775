//! What classes are called.

use crucible_training::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a class is called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassWords {
    /// The class, by its name in the data.
    pub class: String,
    /// One word at least; of several the mean counts.
    pub words: Vec<String>,
}

/// The words of each class: those that are given, or its own name.
///
/// # Errors
///
/// [`Error::Usage`] for a class that the data does not have, or one without words.
pub fn label_words(given: &[ClassWords], labels: &[String]) -> Result<Vec<Vec<String>>, Error> {
    let mut named = given.iter().map(|of| &of.class);
    if let Some(name) = named.find(|name| !labels.contains(name)) {
        let labels = labels.iter().map(String::as_str);
        return Err(Error::unknown("class of `words`", name, labels));
    }
    let words = |label: &String| match given.iter().find(|of| of.class == *label) {
        None => Ok(vec![label.clone()]),
        Some(of) if of.words.is_empty() => Err(Error::Usage(format!(
            "words has none for the class `{label}`"
        ))),
        Some(of) => Ok(of.words.clone()),
    };
    labels.iter().map(words).collect()
}
