//! How a text is asked about: a template, solved examples before it, and what may follow.

use std::collections::BTreeMap;

use crucible_datasets::DataError;
use crucible_prompt::template::{Example, Form, Part, Piece, SEPARATOR, Soft, Template};
use crucible_shared::LanguageBackbone;
use crucible_training::Error;
use tokenizers::Tokenizer;

use super::continuations::Continuations;

/// The name of the text in a template.
const TEXT: &str = "text";

/// A template for a model that continues texts, with the words that may stand in the place of its mask.
pub struct Question {
    template: Template,
    examples: Vec<Example>,
    /// So many of them of each class.
    shown: usize,
    /// What a word begins with.
    blank: &'static str,
    tokenizer: Tokenizer,
    max_length: usize,
    /// The trained vectors of each of its places, among those of all templates.
    softs: Vec<Vec<usize>>,
    /// What is compared after a text.
    pub continuations: Continuations,
}

/// What stands before the answer.
pub struct Asked {
    /// Tokens; 0 in the place of a trained vector.
    pub ids: Vec<u32>,
    /// Place and number of each trained vector.
    pub softs: Vec<[usize; 2]>,
}

/// A text in the place of its slot.
pub fn solved(text: &str, label_word: &str) -> Example {
    Example {
        values: values(text),
        label_word: label_word.to_owned(),
    }
}

fn values(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(TEXT.to_owned(), text.to_owned())])
}

/// A template that a model which continues texts can answer.
///
/// # Errors
///
/// [`Error::Usage`] for what it cannot.
pub fn template(text: &str) -> Result<Template, Error> {
    let template: Template = text
        .parse()
        .map_err(|error| Error::Usage(format!("templates: {error}")))?;
    let refused = |reason: &str| Err(Error::Usage(format!("templates: `{template}` {reason}")));
    let known = |part: &Part| match part {
        Part::Text(_) | Part::Mask | Part::Soft(_) => true,
        Part::Slot(name) => name == TEXT,
        Part::Image => false,
    };
    let after = after(&template);
    match () {
        () if !template.parts().iter().all(known) => {
            refused("may hold {text}, {mask}, {soft:4} and words")
        }
        () if !after.iter().all(|part| matches!(part, Part::Text(_))) => refused(
            "has more than words after {mask}; a model that continues texts has not read them when it answers",
        ),
        () => Ok(template),
    }
}

/// What comes after the mask.
fn after(template: &Template) -> &[Part] {
    let parts = template.parts();
    let mask = parts.iter().position(|part| *part == Part::Mask);
    &parts[mask.map_or(parts.len(), |mask| mask + 1)..]
}

impl Question {
    /// With solved examples, of which so many of each class are shown, and words in the order of a verbalizer; none where an answer is no word. `prompt` is how many tokens trained vectors
    /// before all words take of the model's room, and `first` how many of the templates' own go before this one's.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for words that the tokenizer makes nothing of.
    pub fn new(
        template: Template,
        (examples, shown): (Vec<Example>, usize),
        words: &[&str],
        backbone: &LanguageBackbone,
        prompt: usize,
        first: usize,
    ) -> Result<Self, Error> {
        if words.is_empty() && template.form() == Form::Cloze {
            return Err(Error::Usage(format!(
                "templates: `{template}` goes on after {{mask}}, which a verbalizer without words does not read"
            )));
        }
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            _ => String::new(),
        };
        let after: String = after(&template).iter().map(text).collect();
        let blank = blank(&template);
        let word = |word: &&str| {
            let ids = encoded(&backbone.tokenizer, &format!("{blank}{word}{after}"));
            let ids = ids.map_err(Error::data)?;
            match ids.is_empty() {
                true => Err(Error::Usage(format!(
                    "words: the tokenizer makes nothing of `{word}`"
                ))),
                false => Ok(ids),
            }
        };
        let words: Vec<Vec<u32>> = words.iter().map(word).collect::<Result<_, _>>()?;
        let mut next = first..;
        let softs = template.softs().map(|soft| {
            let count = vectors(soft, &backbone.tokenizer)?;
            Ok(next.by_ref().take(count).collect())
        });
        let softs = softs.collect::<Result<_, DataError>>();
        Ok(Self {
            softs: softs.map_err(Error::data)?,
            template,
            examples,
            shown,
            blank,
            tokenizer: backbone.tokenizer.clone(),
            max_length: backbone.config.max_length.saturating_sub(prompt),
            continuations: Continuations::of(words),
        })
    }

    /// Trained vectors within it.
    pub fn vectors(&self) -> usize {
        self.softs.iter().map(Vec::len).sum()
    }

    /// What stands before the answer on a text. An example of the same text, which would give the answer away, makes room
    /// for another of its class.
    ///
    /// # Errors
    ///
    /// When it leaves no room for an answer, or the tokenizer makes nothing of it.
    pub fn asked(&self, text: &str) -> Result<Asked, DataError> {
        let query = values(text);
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        let others = self.examples.iter().filter(|example| {
            let of_class = shown.entry(&example.label_word).or_default();
            let others = example.values != query && *of_class < self.shown;
            *of_class += usize::from(others);
            others
        });
        let others: Vec<Example> = others.cloned().collect();
        // No slot but that of the text, which has a value.
        let pieces = self
            .template
            .demonstrated(&others, &query, SEPARATOR)
            .unwrap_or_default();
        let mask = pieces.iter().position(|piece| *piece == Piece::Mask);
        let before = &pieces[..mask.unwrap_or(pieces.len())];
        let (mut ids, mut softs) = (Vec::new(), Vec::new());
        for (place, piece) in before.iter().enumerate() {
            match piece {
                Piece::Text(text) => {
                    let last = place + 1 == before.len();
                    let text = match text.strip_suffix(self.blank) {
                        Some(text) if last => text,
                        _ => text,
                    };
                    ids.extend(encoded(&self.tokenizer, text)?);
                }
                Piece::Soft(number) => {
                    for &vector in &self.softs[*number] {
                        softs.push([ids.len(), vector]);
                        ids.push(0);
                    }
                }
                Piece::Image | Piece::Mask => {}
            }
        }
        let needed = ids.len() + self.continuations.longest();
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
            _ => Ok(Asked { ids, softs }),
        }
    }
}

/// What a word begins with: the blank before it, as in running text, unless it begins a line.
fn blank(template: &Template) -> &'static str {
    let parts = template.parts();
    let mask = parts.iter().position(|part| *part == Part::Mask);
    let before = mask.and_then(|mask| parts.get(mask.checked_sub(1)?));
    match before {
        Some(Part::Text(text)) if text.ends_with(|end: char| end != ' ' && end.is_whitespace()) => {
            ""
        }
        _ => " ",
    }
}

/// How many vectors a place of a template has.
pub fn vectors(soft: &Soft, tokenizer: &Tokenizer) -> Result<usize, DataError> {
    match soft {
        Soft::Random(count) => Ok(*count),
        Soft::Words(words) => Ok(encoded(tokenizer, words)?.len()),
    }
}

/// The tokens of a text, without special ones.
pub fn encoded(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, DataError> {
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
