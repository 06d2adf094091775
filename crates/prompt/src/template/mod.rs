//! Templates: the text around an input that turns a task into one the model was pretrained for.

mod demonstrations;
mod ensemble;
mod fill;
mod parse;
pub mod search;

pub use demonstrations::{Example, SEPARATOR};
pub use ensemble::{Ensemble, Mean};
pub use fill::{FillError, Piece, Values};
pub use parse::{LARGEST_SOFT, Problem, TemplateError};

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A prompt with holes, written as text: `"{text} It was {mask}."`
///
/// | written | means |
/// |---|---|
/// | `{text}`, `{premise}`, any name | the input's value of that name |
/// | `{mask}` | where the label word stands; exactly one |
/// | `{image}` | where the picture stands; at most one |
/// | `{soft:4}` | 4 trainable vectors that begin at random (Lester et al. 2021) |
/// | `{soft:'It was'}` | as many trainable vectors as the words have tokens, which begin as their embeddings; a quote within is doubled |
/// | `{{`, `}}` | braces |
///
/// A template is what [`str::parse`] makes of such text, and its `Display` is that text again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    /// In their order; no two texts side by side, and exactly one mask.
    parts: Vec<Part>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// The input's value of this name.
    Slot(String),
    /// The picture.
    Image,
    /// Where the label word stands.
    Mask,
    /// Trainable vectors.
    Soft(Soft),
}

/// Trainable vectors in a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Soft {
    /// So many, which begin at random.
    Random(usize),
    /// One for each token of these words, which begin as their embeddings.
    Words(String),
}

/// Where the mask stands (Liu et al. 2023, "Pre-train, Prompt, and Predict", section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Something follows the mask, if only a full stop: for models that read both ways.
    Cloze,
    /// The mask ends the prompt: for models that continue a text.
    Prefix,
}

impl Template {
    /// In their order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether a masked or a causal model can answer it.
    pub fn form(&self) -> Form {
        match self.parts.last() {
            Some(Part::Mask) => Form::Prefix,
            _ => Form::Cloze,
        }
    }

    /// Names of the values it needs, in the order of their first use.
    pub fn slots(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for part in &self.parts {
            if let Part::Slot(name) = part
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Its trainable vectors; [`Piece::Soft`] counts them in this order.
    pub fn softs(&self) -> impl Iterator<Item = &Soft> {
        self.parts.iter().filter_map(|part| match part {
            Part::Soft(soft) => Some(soft),
            _ => None,
        })
    }

    /// Whether a picture belongs to it.
    pub fn has_image(&self) -> bool {
        self.parts.contains(&Part::Image)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Slot(name) => write!(f, "{{{name}}}"),
            Part::Image => f.write_str("{image}"),
            Part::Mask => f.write_str("{mask}"),
            Part::Soft(Soft::Random(count)) => write!(f, "{{soft:{count}}}"),
            Part::Soft(Soft::Words(words)) => {
                write!(f, "{{soft:'{}'}}", words.replace('\'', "''"))
            }
        })
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests;
