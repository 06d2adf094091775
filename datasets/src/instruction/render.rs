//! Conversations as token ids, with the mask of what is learnt.
//!
//! **Tokens.** A text is cut at the special tokens that the template wrote and at its pictures. Each section between two
//! of them is encoded as a whole, as the tokenizers library does it, unless a prompt ends within it: a model that
//! answers has been given the ids of the prompt alone, so these must come first, and where the tokens of the whole
//! section start with others (as when a token would reach from the header into the answer), the rest is encoded by
//! itself. So the ids of a prompt are always the first ids of every conversation that goes on from it;
//! [`Mismatch`] tells where that differs from the tokens of the whole text (LLaVA issue 1166).
//!
//! **Control.** Special tokens are recognised in what the template writes, never in what is said: neither `<|im_end|>`
//! nor `<image>` typed by a user ([`typed`](super::typed)) ends a turn or shows a picture.

mod encode;
mod ending;
mod layout;

use std::ops::Range;

use tokenizers::Tokenizer;

use self::encode::{Encoder, Position};
use super::marks::PICTURE;
use super::{ChatError, ChatTemplate, Conversation, Turn};

pub use self::ending::Ending;
pub(super) use self::layout::Layout;

/// What stands for a picture among the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageTokens {
    /// The special token; a tokenizer that lacks it gets it as a new one.
    pub token: String,
    /// How many of them one picture takes: as many as the model has features of it.
    pub per_image: usize,
}

/// A conversation as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Of each id, whether the assistant has to say it: answers and the tokens that end them.
    pub labels: Vec<bool>,
    /// Where the image tokens of each picture stand, in the order of the pictures.
    pub images: Vec<Range<usize>>,
}

/// Where the ids differ from those of the whole text encoded at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The first id that differs.
    pub at: usize,
    /// What stands there, in words of the vocabulary.
    pub here: String,
    /// What would stand there.
    pub whole: String,
}

/// Turns conversations into ids.
pub struct Renderer {
    encoder: Encoder,
    template: ChatTemplate,
    /// The image token's id and how many there are of it in a picture.
    image: Option<(u32, ImageTokens)>,
    max_length: usize,
}

impl Renderer {
    /// Renders with a tokenizer and a template. Conversations have at most `max_length` tokens. Without `image`,
    /// pictures are refused.
    ///
    /// # Errors
    ///
    /// [`ChatError::Tokenizer`] if the tokenizer does not take the image token or cannot be used.
    pub fn new(
        tokenizer: Tokenizer,
        template: ChatTemplate,
        image: Option<ImageTokens>,
        max_length: usize,
    ) -> Result<Self, ChatError> {
        let token = image.as_ref().map(|image| image.token.as_str());
        let encoder = Encoder::new(tokenizer, token)?;
        let image = match image {
            None => None,
            Some(image) => match encoder.tokenizer().token_to_id(&image.token) {
                Some(id) => Some((id, image)),
                None => {
                    return Err(ChatError::Tokenizer {
                        reason: format!("it does not take the image token {:?}", image.token),
                    });
                }
            },
        };
        Ok(Self {
            encoder,
            template,
            image,
            max_length,
        })
    }

    /// The tokenizer, image token included.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.encoder.tokenizer()
    }

    /// The image token's id.
    pub fn image_token(&self) -> Option<u32> {
        self.image.as_ref().map(|(id, _)| *id)
    }

    /// How many image tokens a picture takes; 0 for a model of text.
    pub fn tokens_per_image(&self) -> usize {
        self.image.as_ref().map_or(0, |(_, image)| image.per_image)
    }

    /// The most tokens of a conversation.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// A conversation to learn from.
    ///
    /// # Errors
    ///
    /// [`ChatError`] if the template does not write it so that prompts and answers can be told apart, if pictures and
    /// their marks are not equally many, or if it is too long: nothing is ever cut.
    pub fn render(&self, conversation: &Conversation) -> Result<Rendered, ChatError> {
        self.encode(&self.layout(conversation)?)
    }

    /// What a model is given to answer the last of the turns: they end with the user's, the header of an answer follows.
    /// Its ids are the first ids of what [`render`](Self::render) makes of the same turns with an answer.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn prompt(&self, turns: &[Turn]) -> Result<Rendered, ChatError> {
        let layout = Layout::new(&self.template, &self.encoder, turns, true)?;
        let mut rendered = self.encode(&layout)?;
        // What was answered before is cut as in training, but nothing is learnt.
        rendered.labels.fill(false);
        Ok(rendered)
    }

    pub(super) fn layout(&self, conversation: &Conversation) -> Result<Layout, ChatError> {
        let (turns, images) = (&conversation.turns, conversation.images.len());
        let layout = Layout::new(&self.template, &self.encoder, turns, false)?;
        match layout.pictures {
            marks if marks == images => Ok(layout),
            marks => Err(ChatError::Marks { marks, images }),
        }
    }

    pub(super) fn encode(&self, layout: &Layout) -> Result<Rendered, ChatError> {
        let mut writer = Writer {
            renderer: self,
            layout,
            rendered: Rendered {
                ids: Vec::new(),
                labels: Vec::new(),
                images: Vec::new(),
            },
            pending: 0,
        };
        writer.write()?;
        let rendered = writer.rendered;
        if let Some(id) = self.image_token() {
            let found = rendered.ids.iter().filter(|&&other| other == id).count();
            let expected = layout.pictures.saturating_mul(self.tokens_per_image());
            if found != expected {
                return Err(ChatError::ImageTokens { found, expected });
            }
        }
        match rendered.ids.len() {
            needed if needed > self.max_length => Err(ChatError::TooLong {
                needed,
                limit: self.max_length,
            }),
            _ => Ok(rendered),
        }
    }

    /// Where the ids of a conversation are not those of its whole text encoded at once; nothing for a text in which
    /// somebody has typed a special token, which would become one there.
    pub(super) fn mismatch(
        &self,
        layout: &Layout,
        rendered: &Rendered,
    ) -> Result<Option<Mismatch>, ChatError> {
        let image = self.image.as_ref();
        let token = image.map_or("", |(_, image)| image.token.as_str());
        let whole = self.encoder.whole(&layout.text.replace(PICTURE, token))?;
        // Pictures by their first token only.
        let skipped = |at: &usize| rendered.images.iter().any(|r| r.start < *at && *at < r.end);
        let mut here = rendered
            .ids
            .iter()
            .enumerate()
            .filter(|(at, _)| !skipped(at));
        let mut whole = whole.iter();
        let word = |id: Option<&u32>| {
            let token = id.and_then(|id| self.tokenizer().id_to_token(*id));
            token.unwrap_or_else(|| "the end".into())
        };
        loop {
            let (one, other) = (here.next(), whole.next());
            match (one, other) {
                (None, None) => return Ok(None),
                (Some((_, one)), Some(other)) if one == other => {}
                _ => {
                    let mut said = layout
                        .said
                        .iter()
                        .filter_map(|r| layout.text.get(r.clone()));
                    let mismatch = Mismatch {
                        at: one.map_or(rendered.ids.len(), |(at, _)| at),
                        here: word(one.map(|(_, id)| id)),
                        whole: word(other),
                    };
                    let typed = said.any(|said| self.encoder.holds_special(said));
                    return Ok(Some(mismatch).filter(|_| !typed));
                }
            }
        }
    }
}

/// Writes the ids of a layout, section by section.
struct Writer<'a> {
    renderer: &'a Renderer,
    layout: &'a Layout,
    rendered: Rendered,
    /// The first byte of the text that has no ids yet.
    pending: usize,
}

impl Writer<'_> {
    fn write(&mut self) -> Result<(), ChatError> {
        let text = self.layout.text.as_str();
        // The template's own text lies between what is said.
        let mut own = 0;
        for said in &self.layout.said {
            self.template(own..said.start)?;
            self.pictures(said.clone())?;
            own = own.max(said.end);
        }
        self.template(own..text.len())?;
        self.section(text.len())
    }

    /// The special tokens of a part that the template wrote.
    fn template(&mut self, part: Range<usize>) -> Result<(), ChatError> {
        let text = self.layout.text.as_str();
        let mut start = part.start;
        while let Some(rest) = text.get(start..part.end) {
            let Some((special, name)) = self.renderer.encoder.special(rest) else {
                break;
            };
            let name = start + name.start..start + name.end;
            let covered = special.covered(text, name.clone());
            self.section(covered.start.max(self.pending))?;
            self.push(&[special.id], name.start);
            start = name.end;
            self.pending = covered.end;
        }
        Ok(())
    }

    /// The pictures in what is said.
    fn pictures(&mut self, said: Range<usize>) -> Result<(), ChatError> {
        let text = self.layout.text.as_str();
        let part = text.get(said.clone()).unwrap_or_default();
        for (at, mark) in part.match_indices(PICTURE) {
            let at = said.start + at;
            let image = self.renderer.image.as_ref();
            let (id, image) = image.ok_or(ChatError::NoImageToken)?;
            self.section(at)?;
            let start = self.rendered.ids.len();
            self.push(&vec![*id; image.per_image], at);
            self.rendered.images.push(start..self.rendered.ids.len());
            self.pending = at + mark.len();
        }
        Ok(())
    }

    /// The text up to `end`, in which nothing is special.
    fn section(&mut self, end: usize) -> Result<(), ChatError> {
        let start = self.pending;
        let Some(text) = self
            .layout
            .text
            .get(start..end)
            .filter(|text| !text.is_empty())
        else {
            return Ok(());
        };
        let position = match start {
            0 => Position::Start,
            _ => Position::Section,
        };
        let bounds = self.layout.supervised.iter().flat_map(|s| [s.start, s.end]);
        let bounds = bounds.filter(|bound| (start + 1..end).contains(bound));
        let encoder = &self.renderer.encoder;
        let mut done: Vec<u32> = Vec::new();
        let mut from = start;
        for bound in bounds.chain([end]) {
            let up_to = text.get(..bound - start).unwrap_or_default();
            let ids = encoder.literal(up_to, position)?;
            let new = match ids.strip_prefix(done.as_slice()) {
                Some(new) => new.to_vec(),
                None => {
                    let part = text.get(from - start..bound - start).unwrap_or_default();
                    encoder.literal(part, Position::Inside)?
                }
            };
            self.push(&new, from);
            done.extend(new);
            from = bound;
        }
        self.pending = end;
        Ok(())
    }

    /// Ids of the text at `byte`.
    fn push(&mut self, ids: &[u32], byte: usize) {
        let supervised = self.layout.supervised.iter();
        let learnt = supervised.clone().any(|range| range.contains(&byte));
        self.rendered.ids.extend_from_slice(ids);
        self.rendered.labels.extend(ids.iter().map(|_| learnt));
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
