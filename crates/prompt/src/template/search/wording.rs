//! From tokens to the text of a template and back.

use super::super::{Part, Template};
use super::SearchError;

/// The name of the text in templates that are found.
const TEXT: &str = "text";

/// A tokenizer, as far as a search needs one.
pub trait Tokens {
    /// The tokens of a text without special ones; none where it cannot be read.
    fn encode(&self, text: &str) -> Option<Vec<u32>>;

    /// The text of tokens.
    fn decode(&self, tokens: &[u32]) -> Option<String>;
}

/// What tokens may be said between some texts and their label words.
///
/// A template is text: its tokens are found again only if the tokenizer makes the same ones of it, after each text. So
/// special tokens are left out, parts of characters, and whatever melts with what stands before it.
#[derive(Debug)]
pub struct Wording<T> {
    tokenizer: T,
    /// Each with its tokens.
    texts: Vec<(String, Vec<u32>)>,
    /// Tokens of a word of the texts, and what they are decoded to: tokens are read as they are after a word.
    anchor: (Vec<u32>, String),
    /// As [`plain`] has them.
    label_words: Vec<String>,
    allowed: Vec<u32>,
}

impl<T: Tokens> Wording<T> {
    /// Looks through a vocabulary of `size` tokens. Blanks at the end of a text are left out.
    ///
    /// # Errors
    /// Without a text, for one without a token, and when no token may be said.
    pub fn new(
        tokenizer: T,
        size: usize,
        texts: &[String],
        label_words: &[String],
    ) -> Result<Self, SearchError> {
        let texts = texts.iter().enumerate().map(|(place, text)| {
            let text = text.trim_end().to_owned();
            let tokens = tokenizer.encode(&text).unwrap_or_default();
            match tokens.is_empty() {
                true => Err(SearchError::Text(place)),
                false => Ok((text, tokens)),
            }
        });
        let texts: Vec<(String, Vec<u32>)> = texts.collect::<Result<_, _>>()?;
        let first = texts.first().ok_or(SearchError::Empty("texts"))?;
        let mut words = texts.iter().flat_map(|(text, _)| text.split_whitespace());
        let word = words.find(|word| word.chars().all(char::is_alphanumeric));
        let anchor = tokenizer
            .encode(word.unwrap_or(&first.0))
            .unwrap_or_default();
        let before = tokenizer.decode(&anchor).unwrap_or_default();
        let mut wording = Self {
            tokenizer,
            texts,
            anchor: (anchor, before),
            label_words: label_words.iter().map(|word| plain(word)).collect(),
            allowed: Vec::new(),
        };
        let tokens = 0..u32::try_from(size).unwrap_or(u32::MAX);
        wording.allowed = tokens.filter(|&token| wording.allows(token)).collect();
        match wording.allowed.is_empty() {
            true => Err(SearchError::Empty("tokens that a template may hold")),
            false => Ok(wording),
        }
    }

    /// The tokens that a template may hold, in their order: words and punctuation, but no label word, and nothing that
    /// is not read as it is written.
    pub fn allowed(&self) -> &[u32] {
        &self.allowed
    }

    /// The tokens of each text.
    pub fn texts(&self) -> Vec<Vec<u32>> {
        self.texts
            .iter()
            .map(|(_, tokens)| tokens.clone())
            .collect()
    }

    /// What tokens say after a word.
    pub fn words(&self, tokens: &[u32]) -> Option<String> {
        let (anchor, before) = &self.anchor;
        let all = self.tokenizer.decode(&[anchor, tokens].concat())?;
        all.strip_prefix(before.as_str()).map(str::to_owned)
    }

    /// The template that says these tokens between a text and its label word; none where a label word is among its
    /// words, or where one of the texts with it is read as other tokens.
    pub fn template(&self, tokens: &[u32]) -> Option<Template> {
        let words = self.words(tokens)?;
        let said = plain(&words);
        let label = self.label_words.iter().any(|word| said.contains(word));
        let read = |(text, own): &(String, Vec<u32>)| {
            let all = self.tokenizer.encode(&format!("{text}{words}"))?;
            Some(all.strip_prefix(&own[..])? == tokens)
        };
        let blank = words.is_empty() || words.ends_with(char::is_whitespace);
        if blank || label || !self.texts.iter().all(|text| read(text) == Some(true)) {
            return None;
        }
        // The blank before the label word belongs to that word.
        Some(Template {
            parts: vec![Part::Slot(TEXT.into()), Part::Text(words + " "), Part::Mask],
        })
    }

    fn allows(&self, token: u32) -> bool {
        let Some(words) = self.words(&[token]) else {
            return false;
        };
        let said = plain(&words);
        let seen = !words.trim().is_empty()
            && !words.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        let (anchor, before) = &self.anchor;
        let read = || {
            let all = self.tokenizer.encode(&format!("{before}{words}"))?;
            Some(all.strip_prefix(&anchor[..])? == [token])
        };
        seen && !self.label_words.contains(&said) && read() == Some(true)
    }
}

/// Words alone, in lower case, each with a blank on either side.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Words and full stops by their place in a list; a full stop after another melts with it into one token, as pieces
    /// do.
    #[derive(Debug)]
    pub struct Listed(pub Vec<&'static str>);

    impl Tokens for Listed {
        fn encode(&self, text: &str) -> Option<Vec<u32>> {
            let apart = text.replace("..", " ~").replace('.', " .");
            let token = |word: &str| {
                let word = word.replace('~', "..");
                let place = self.0.iter().position(|&other| other == word)?;
                Some(place as u32)
            };
            apart.split_whitespace().map(token).collect()
        }

        fn decode(&self, tokens: &[u32]) -> Option<String> {
            let words = tokens.iter().map(|&token| self.0.get(token as usize));
            let words: Vec<&str> = words.map(|word| word.copied()).collect::<Option<_>>()?;
            Some(words.join(" ").replace(" .", "."))
        }
    }

    pub fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn wording(texts: &[&str]) -> Wording<Listed> {
        let words = vec![
            "film", "good", "it", ".", "..", "was", "Good", "\n", "a b", "goods", "{x}",
            "\u{fffd}", "not", "a",
        ];
        let size = words.len() + 2;
        let labels = strings(&["good", "not a"]);
        Wording::new(Listed(words), size, &strings(texts), &labels).unwrap()
    }

    #[test]
    fn what_is_not_read_as_it_is_written_is_left_out() {
        // No label word in either case, no line break, no part of a character, none that is read as two, none beyond the
        // vocabulary of the tokenizer.
        assert_eq!(
            wording(&["film it"]).allowed(),
            [0, 2, 3, 4, 5, 9, 10, 12, 13]
        );
    }

    #[test]
    fn a_template_is_read_as_its_tokens_after_each_text() {
        let one = wording(&["film ", "it"]);
        assert_eq!(one.texts(), [[0], [2]]);
        let template = one.template(&[3, 2, 10]).unwrap();
        assert_eq!(template.to_string(), "{text}. it {{x}} {mask}");
        assert_eq!(template.to_string().parse(), Ok(template));
        assert_eq!(one.template(&[]), None);
        assert_eq!(one.template(&[1]), None);
        assert_eq!(one.template(&[12, 13]), None);
        assert_eq!(one.template(&[2, 7]), None);
        assert_eq!(one.template(&[99]), None);
        assert!(one.template(&[9]).is_some());
        // The full stop melts with that of the second text.
        let other = wording(&["film", "it."]);
        assert_eq!(other.template(&[3]), None);
        assert!(other.template(&[2, 3]).is_some());
    }

    #[test]
    fn texts_that_cannot_be_searched_with_are_told() {
        let new = |texts: &[&str], size| {
            let listed = Listed(vec!["film", "good"]);
            let wording = Wording::new(listed, size, &strings(texts), &strings(&["good"]));
            wording.unwrap_err().to_string()
        };
        assert_eq!(new(&[], 2), "texts: there are none; give at least one");
        assert_eq!(new(&["film", " "], 2), "text 1 has no token; leave it out");
        assert!(new(&["film"], 0).starts_with("tokens that a template may hold: there are none"));
    }
}
