//! What is said by whom.

use crate::{ImageSource, Place};

/// Marks in the text of a turn where a picture stands, as LLaVA's files have it.
pub const IMAGE: &str = "<image>";

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What holds for the whole conversation.
    System,
    /// Who asks.
    User,
    /// Who answers: what a model learns to say.
    Assistant,
}

/// One utterance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said; [`IMAGE`] stands where a picture is shown.
    pub text: String,
}

/// A conversation about any number of pictures.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Names it in predictions and messages; unique in its dataset.
    pub id: String,
    /// An optional system turn, then user and assistant in turns; the last is the assistant's.
    pub turns: Vec<Turn>,
    /// The pictures, in the order of their marks.
    pub images: Vec<ImageSource>,
    /// What kind of instruction it is, for figures by task; empty where nothing is known.
    pub task: String,
    /// The record of its file; none for one that was made of other data.
    pub place: Option<Place>,
}
