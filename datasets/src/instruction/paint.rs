//! What a model reads and learns, as text.

use super::{ChatError, Rendered, Renderer};

/// A piece of a rendered conversation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    /// What its tokens say; of a picture, the image token once.
    pub text: String,
    /// Whether the assistant has to say it.
    pub supervised: bool,
    /// Whether it is a picture.
    pub image: bool,
}

impl Renderer {
    /// The text of a rendered conversation, read back from its ids, in pieces that are learnt or not. A picture is a piece
    /// of its own.
    ///
    /// # Errors
    ///
    /// [`ChatError::Tokenizer`] if the tokenizer cannot decode.
    pub fn paint(&self, rendered: &Rendered) -> Result<Vec<Span>, ChatError> {
        let decode = |ids: &[u32]| {
            let text = self.tokenizer().decode(ids, false);
            text.map_err(|error| ChatError::Tokenizer {
                reason: error.to_string(),
            })
        };
        let image = self
            .image_token()
            .map(|token| decode(&[token]))
            .transpose()?;
        let image = image.unwrap_or_default();
        let of_image = |at: usize| rendered.images.iter().position(|range| range.contains(&at));
        let kinds = (0..).map(of_image).zip(&rendered.labels);
        let tokens: Vec<_> = rendered.ids.iter().zip(kinds).collect();
        let mut spans = Vec::new();
        // Decoders drop a space at the start: a piece is what is new after the text before it.
        let mut so_far: Vec<u32> = Vec::new();
        let mut before = String::new();
        for run in tokens.chunk_by(|(_, one), (_, other)| one == other) {
            let Some((_, (picture, supervised))) = run.first() else {
                continue;
            };
            let text = match picture {
                Some(_) => image.clone(),
                None => {
                    let ids: Vec<u32> = run.iter().map(|(id, _)| **id).collect();
                    so_far.extend(&ids);
                    let text = decode(&so_far)?;
                    let new = match text.strip_prefix(&before) {
                        Some(new) => new.to_owned(),
                        None => decode(&ids)?,
                    };
                    before = text;
                    new
                }
            };
            spans.push(Span {
                text,
                supervised: **supervised,
                image: picture.is_some(),
            });
        }
        Ok(spans)
    }
}
