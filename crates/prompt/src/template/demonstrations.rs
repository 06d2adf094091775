//! Few-shot prompts: solved examples before the query (Brown et al. 2020, section 2).

use super::fill::push;
use super::{FillError, Piece, Template, Values};

/// What stands between examples unless something else is asked for.
pub const SEPARATOR: &str = "\n\n";

/// A solved example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its values by their names.
    pub values: Values,
    /// What stands in the place of its mask.
    pub label_word: String,
}

impl Template {
    /// The pieces of the examples, each with its label word in the place of the mask, and of the query. All of them
    /// share the template's trainable vectors.
    ///
    /// # Errors
    /// When a slot has no value, with the number of the example, from 1.
    pub fn demonstrated(
        &self,
        examples: &[Example],
        query: &Values,
        separator: &str,
    ) -> Result<Vec<Piece>, FillError> {
        let mut pieces = Vec::new();
        for (number, example) in (1..).zip(examples) {
            let word = Some(example.label_word.as_str());
            self.fill_into(&mut pieces, &example.values, word, || {
                format!("example {number}")
            })?;
            push(&mut pieces, separator);
        }
        self.fill_into(&mut pieces, query, None, || "the query".into())?;
        Ok(pieces)
    }
}
