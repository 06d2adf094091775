//! How a template ends an answer.

use super::Renderer;
use crate::instruction::{ChatError, Conversation, Role, Turn};

/// What a model says after an answer to end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What the template writes after an answer, up to its first special token.
    pub text: String,
    /// This token; none where the template closes an answer in plain text, or not at all.
    pub token: Option<u32>,
}

impl Renderer {
    /// How an answer ends, seen on an example.
    ///
    /// # Errors
    ///
    /// [`ChatError`] if the template cannot write a question with its answer.
    pub fn ending(&self) -> Result<Ending, ChatError> {
        let turn = |role, text: &str| Turn {
            role,
            text: text.into(),
        };
        let layout = self.layout(&Conversation {
            id: "example".into(),
            turns: vec![turn(Role::User, "a"), turn(Role::Assistant, "b")],
            images: Vec::new(),
            task: String::new(),
            place: None,
        })?;
        let learnt = layout.supervised.last().cloned().unwrap_or_default();
        // The answer is what is said last of what is learnt.
        let mut said = layout.said.iter().rev();
        let answer = said.find(|said| learnt.start <= said.start && said.end <= learnt.end);
        let start = answer.map_or(learnt.end, |answer| answer.end);
        let text = layout.text.get(start..learnt.end).unwrap_or_default();
        Ok(Ending {
            text: text.into(),
            token: self.encoder.special(text).map(|(special, _)| special.id),
        })
    }
}
