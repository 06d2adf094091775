//! Text to ids, special tokens apart: what somebody says never becomes one.
//!
//! The tokenizers library looks for special tokens first and gives the text between them to the model, section by
//! section. Here the template's special tokens are looked for in the template's own text alone, and each section is
//! encoded as the library would encode it at that place.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{AddedToken, Tokenizer};

use crate::instruction::ChatError;

/// Where a section of text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At the start of the whole text.
    Start,
    /// After a special token.
    Section,
    /// Within a section: no space is put before it that nobody wrote.
    Inside,
}

/// A special token.
pub(super) struct Special {
    pub id: u32,
    content: String,
    /// Whether it swallows white space to its left.
    left: bool,
    /// Whether it swallows white space to its right.
    right: bool,
}

/// A tokenizer in its different ways to encode a text.
pub(super) struct Encoder {
    /// As it is: what is special becomes a special token.
    whole: Tokenizer,
    start: Arc<Tokenizer>,
    section: Arc<Tokenizer>,
    inside: Arc<Tokenizer>,
    special: Vec<Special>,
}

impl Encoder {
    /// Uses the tokenizer's own rules, its padding and its cutting left out.
    pub fn new(mut whole: Tokenizer, image: Option<&str>) -> Result<Self, ChatError> {
        whole.with_padding(None);
        whole.with_truncation(None).map_err(rejected)?;
        if let Some(image) = image {
            let token = AddedToken::from(image, true).normalized(false);
            whole.add_special_tokens([token]).map_err(rejected)?;
        }
        let added = whole.get_added_tokens_decoder().into_iter();
        let special = added.filter(|(_, token)| token.special && !token.content.is_empty());
        let special = special.map(|(id, token)| Special {
            id,
            content: token.content,
            left: token.lstrip,
            right: token.rstrip,
        });
        let mut start = whole.clone();
        start.set_encode_special_tokens(true);
        let start = Arc::new(start);
        let section = without_prefix(&start, false)?;
        let inside = without_prefix(&start, true)?;
        Ok(Self {
            special: special.collect(),
            section: section.unwrap_or_else(|| start.clone()),
            inside: inside.unwrap_or_else(|| start.clone()),
            start,
            whole,
        })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.whole
    }

    /// Ids of a text in which special tokens are recognised.
    pub fn whole(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let encoding = self.whole.encode_fast(text, false).map_err(rejected)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The first special token in a text, the longest of several there, with the white space that it swallows.
    pub fn special(&self, text: &str) -> Option<(&Special, Range<usize>)> {
        let found = self.special.iter().filter_map(|special| {
            let start = text.find(&special.content)?;
            Some((special, start..start + special.content.len()))
        });
        found.min_by_key(|(_, range)| (range.start, Reverse(range.end)))
    }

    /// Whether a text holds what would be a special token in a template.
    pub fn holds_special(&self, text: &str) -> bool {
        self.special(text).is_some()
    }

    /// Ids of a text in which nothing is special.
    pub fn literal(&self, text: &str, position: Position) -> Result<Vec<u32>, ChatError> {
        let tokenizer = match position {
            Position::Start => &self.start,
            Position::Section => &self.section,
            Position::Inside => &self.inside,
        };
        let encoding = tokenizer.encode_fast(text, false).map_err(rejected)?;
        let ids = encoding.get_ids();
        // A model may still have a special token's name among its words: then the name is cut in two.
        let special = self.special.iter();
        let mut named = special.filter(|s| ids.contains(&s.id) && text.contains(&s.content));
        let Some(special) = named.next() else {
            return Ok(ids.to_vec());
        };
        let first = special.content.chars().next().map_or(0, char::len_utf8);
        let cut = text.find(&special.content).map(|start| start + first);
        match cut.and_then(|cut| text.split_at_checked(cut)) {
            Some((before, after)) if !before.is_empty() && !after.is_empty() => {
                let mut ids = self.literal(before, position)?;
                ids.extend(self.literal(after, Position::Inside)?);
                Ok(ids)
            }
            // A single character that is both a word and a special token.
            _ => Err(ChatError::Tokenizer {
                reason: format!(
                    "it has no way to write {:?} but as a special token",
                    special.content
                ),
            }),
        }
    }
}

impl Special {
    /// What it covers, given where its name stands.
    pub fn covered(&self, text: &str, name: Range<usize>) -> Range<usize> {
        let before = text.get(..name.start).unwrap_or_default();
        let after = text.get(name.end..).unwrap_or_default();
        let start = match self.left {
            true => before.trim_end().len(),
            false => name.start,
        };
        let swallowed = match self.right {
            true => after.len() - after.trim_start().len(),
            false => 0,
        };
        start..name.end + swallowed
    }
}

fn rejected(error: tokenizers::Error) -> ChatError {
    ChatError::Tokenizer {
        reason: error.to_string(),
    }
}

/// The tokenizer without the space that it puts before a text: before the whole text, or before `every` section too.
/// Nothing if it puts none.
fn without_prefix(tokenizer: &Tokenizer, every: bool) -> Result<Option<Arc<Tokenizer>>, ChatError> {
    let mut normalizer = tokenizer.get_normalizer().cloned();
    let mut splitter = tokenizer.get_pre_tokenizer().cloned();
    let mut changed = splitter.as_mut().is_some_and(|s| clear_splitter(s, every));
    if every {
        changed |= normalizer.as_mut().is_some_and(clear_normalizer);
    }
    if !changed {
        return Ok(None);
    }
    let mut plain = tokenizer.clone();
    plain.with_pre_tokenizer(splitter);
    plain.with_normalizer(normalizer).map_err(rejected)?;
    Ok(Some(Arc::new(plain)))
}

fn clear_normalizer(normalizer: &mut NormalizerWrapper) -> bool {
    match normalizer {
        NormalizerWrapper::Prepend(prepend) => !std::mem::take(&mut prepend.prepend).is_empty(),
        NormalizerWrapper::Sequence(parts) => parts
            .as_mut()
            .iter_mut()
            .fold(false, |changed, part| clear_normalizer(part) | changed),
        _ => false,
    }
}

fn clear_splitter(splitter: &mut PreTokenizerWrapper, every: bool) -> bool {
    match splitter {
        PreTokenizerWrapper::Metaspace(metaspace) => {
            let scheme = metaspace.get_prepend_scheme();
            let clear =
                scheme == PrependScheme::First || (every && scheme == PrependScheme::Always);
            if clear {
                metaspace.set_prepend_scheme(PrependScheme::Never);
            }
            clear
        }
        PreTokenizerWrapper::ByteLevel(bytes) => {
            every && std::mem::take(&mut bytes.add_prefix_space)
        }
        PreTokenizerWrapper::Sequence(parts) => parts
            .as_mut()
            .iter_mut()
            .fold(false, |changed, part| clear_splitter(part, every) | changed),
        _ => false,
    }
}
