//! From a [`Template`] and an input's values to what a model reads.

use std::collections::BTreeMap;

use serde::Serialize;
use thiserror::Error;

use super::{Part, Template};

/// An input's values by their names.
pub type Values = BTreeMap<String, String>;

/// What a model reads, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// For the tokenizer; texts never stand side by side, and none is empty.
    Text(String),
    /// The picture; of several, those of the examples come before that of the query.
    Image,
    /// Where the label word is guessed.
    Mask,
    /// The trainable vectors of this place in [`Template::softs`].
    Soft(usize),
}

/// A value that a template needs and an input lacks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{of} has no `{slot}`, which the template needs; it has {given}")]
pub struct FillError {
    /// The query, or an example by its number.
    pub of: String,
    /// The name.
    pub slot: String,
    /// The names that there are.
    pub given: String,
}

impl Template {
    /// The pieces of one input. Values go in as they are: braces in them mean nothing. Values that the template does
    /// not name are left out.
    ///
    /// # Errors
    /// When a slot has no value.
    pub fn fill(&self, values: &Values) -> Result<Vec<Piece>, FillError> {
        let mut pieces = Vec::new();
        self.fill_into(&mut pieces, values, None, || "the query".into())?;
        Ok(pieces)
    }

    /// Appends the pieces of one input, with `label_word`, if there is one, in the place of the mask.
    pub(super) fn fill_into(
        &self,
        pieces: &mut Vec<Piece>,
        values: &Values,
        label_word: Option<&str>,
        of: impl Fn() -> String,
    ) -> Result<(), FillError> {
        let mut softs = 0..;
        for part in &self.parts {
            match part {
                Part::Text(text) => push(pieces, text),
                Part::Slot(name) => push(
                    pieces,
                    values
                        .get(name)
                        .ok_or_else(|| missing(of(), name, values))?,
                ),
                Part::Image => pieces.push(Piece::Image),
                Part::Mask => match label_word {
                    Some(word) => push(pieces, word),
                    None => pieces.push(Piece::Mask),
                },
                Part::Soft(_) => pieces.extend(softs.next().map(Piece::Soft)),
            }
        }
        Ok(())
    }
}

/// Appends text to the text before it.
pub(super) fn push(pieces: &mut Vec<Piece>, more: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push_str(more),
        _ if more.is_empty() => {}
        _ => pieces.push(Piece::Text(more.into())),
    }
}

fn missing(of: String, slot: &str, values: &Values) -> FillError {
    let names: Vec<String> = values.keys().map(|name| format!("`{name}`")).collect();
    FillError {
        of,
        slot: slot.into(),
        given: match names.is_empty() {
            true => "no values".into(),
            false => names.join(", "),
        },
    }
}
