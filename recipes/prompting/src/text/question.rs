//! How a text is asked about: a template, and the words that answer.

use std::collections::BTreeMap;

use crucible_datasets::DataError;
use crucible_prompt::template::{Form, Part, Piece, Template};
use crucible_shared::LanguageBackbone;
use crucible_training::Error;
use tokenizers::Tokenizer;

use crate::words::{ClassWords, label_words};

/// The name of the text in a template.
const TEXT: &str = "text";

/// A template with label words, for a model that continues texts.
pub struct Question {
    template: Template,
    tokenizer: Tokenizer,
    max_length: usize,
    /// The label words as tokens, class after class.
    pub words: Vec<Vec<u32>>,
    /// The class of each.
    pub class: Vec<usize>,
}

impl Question {
    /// For the classes of some data. `prompt` is how many tokens a trained prompt takes of the model's room.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a template that the model cannot answer, and for words that do not fit the classes.
    pub fn new(
        template: &str,
        words: &[ClassWords],
        labels: &[String],
        backbone: &LanguageBackbone,
        prompt: usize,
    ) -> Result<Self, Error> {
        let template: Template = template
            .parse()
            .map_err(|error| Error::Usage(format!("template: {error}")))?;
        let refused = |reason: &str| Err(Error::Usage(format!("template `{template}` {reason}")));
        if template.form() != Form::Prefix {
            return refused(
                "goes on after {mask}; a model that continues texts answers at their end",
            );
        }
        let known = |part: &Part| match part {
            Part::Text(_) | Part::Mask => true,
            Part::Slot(name) => name == TEXT,
            Part::Image | Part::Soft(_) => false,
        };
        if !template.parts().iter().all(known) {
            return refused(
                "may hold {text}, {mask} and words; trained vectors are set by `prefix`",
            );
        }
        let (mut tokens, mut class) = (Vec::new(), Vec::new());
        for (number, words) in label_words(words, labels)?.into_iter().enumerate() {
            for word in words {
                // A word goes on after a blank, as it does in running text.
                tokens
                    .push(encoded(&backbone.tokenizer, &format!(" {word}")).map_err(Error::data)?);
                class.push(number);
            }
        }
        Ok(Self {
            template,
            tokenizer: backbone.tokenizer.clone(),
            max_length: backbone.config.max_length.saturating_sub(prompt),
            words: tokens,
            class,
        })
    }

    /// The tokens before the label word.
    ///
    /// # Errors
    ///
    /// When it leaves no room for one, or the tokenizer makes nothing of it.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let values = BTreeMap::from([(TEXT.to_owned(), text.to_owned())]);
        let pieces = self.template.fill(&values).unwrap_or_default();
        let said: String = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                _ => "",
            })
            .collect();
        // The blank before the word is the word's.
        let ids = encoded(&self.tokenizer, said.trim_end())?;
        let longest = self.words.iter().map(Vec::len).max().unwrap_or(0);
        let needed = ids.len() + longest;
        match (ids.is_empty(), needed > self.max_length) {
            (true, _) => Err(refused(
                "nothing stands before the label word; calibrations ask without a text".into(),
                text,
            )),
            (_, true) => Err(refused(
                format!(
                    "takes {needed} tokens with its label word, the model {}",
                    self.max_length
                ),
                text,
            )),
            _ => Ok(ids),
        }
    }
}

fn encoded(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, DataError> {
    let encoding = tokenizer.encode_fast(text, false);
    let encoding = encoding.map_err(|error| refused(error.to_string(), text))?;
    Ok(encoding.get_ids().to_vec())
}

fn refused(reason: String, text: &str) -> DataError {
    let start: String = text.chars().take(40).collect();
    DataError::Tokenizer {
        tokenizer: format!("\"{start}\""),
        reason,
        remedy: "shorten or change the text, the template or the label words",
    }
}
