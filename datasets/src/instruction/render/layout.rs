//! What a template makes of a conversation: its text, where the turns stand in it, and what of it is learnt.

use std::ops::Range;

use super::Encoder;
use crate::instruction::marks::{marked, pictures, texts, unmarked};
use crate::instruction::template::role_name;
use crate::instruction::{ChatError, ChatTemplate, Role, Turn};

/// A rendered conversation before it becomes ids. Positions are bytes of [`text`](Self::text).
pub(in crate::instruction) struct Layout {
    /// The whole text, with a private-use character where a picture is shown.
    pub text: String,
    /// What is said by somebody and not by the template, in order.
    pub said: Vec<Range<usize>>,
    /// What the assistant has to say: answers with the token that ends them, in order.
    pub supervised: Vec<Range<usize>>,
    /// How many pictures the turns show.
    pub pictures: usize,
}

impl Layout {
    /// Writes turns with a template; with `prompt`, the header of an answer follows.
    ///
    /// What a model is given to answer turn `k` is the rendering of the turns before it with a generation prompt. That
    /// must be how the whole text starts; what follows in it is supervised, up to the first special token after
    /// the answer, or, where the template closes a turn without one, up to the end of the turn.
    ///
    /// # Errors
    ///
    /// [`ChatError`] if the template does not write every turn as it is, or changes what it has written.
    pub(super) fn new(
        template: &ChatTemplate,
        encoder: &Encoder,
        turns: &[Turn],
        prompt: bool,
    ) -> Result<Self, ChatError> {
        check_order(turns, prompt)?;
        let texts = texts(turns)?;
        // The first turns as the template writes them.
        let write = |turns: &[Turn], prompt| {
            let texts = texts.iter().map(String::as_str);
            template.write(turns.iter().map(|turn| turn.role).zip(texts), prompt)
        };
        let text = write(turns, prompt)?;
        let with_marks: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(i, t)| marked(i, t))
            .collect();
        let roles = turns.iter().map(|turn| turn.role);
        let with_marks =
            template.write(roles.zip(with_marks.iter().map(String::as_str)), prompt)?;
        let (plain, found) = unmarked(&with_marks, turns.len());
        let missing = found.iter().position(Vec::is_empty);
        if let Some((turn, role)) = missing.and_then(|i| Some((i + 1, turns.get(i)?.role))) {
            return Err(ChatError::Dropped { turn, role });
        }
        if plain != text {
            return Err(ChatError::Changed);
        }

        let mut supervised = Vec::new();
        for (index, (turn, found)) in turns.iter().zip(&found).enumerate() {
            if turn.role != Role::Assistant {
                continue;
            }
            let rewrites = ChatError::Rewrites { turn: index + 1 };
            let (before, _) = turns.split_at(index);
            let (up_to, later) = turns.split_at(index + 1);
            let start = write(before, true)?;
            let end = match later {
                [] => text.len(),
                _ => Some(write(up_to, false)?)
                    .filter(|up_to| text.starts_with(up_to.as_str()))
                    .ok_or_else(|| rewrites.clone())?
                    .len(),
            };
            if !text.starts_with(&start) || end < start.len() {
                return Err(rewrites);
            }
            // The answer, where the template wrote it after the prompt.
            let answer = found.iter().find(|range| range.start >= start.len());
            let answer = answer.ok_or_else(|| rewrites.clone())?;
            let header = text.get(start.len()..answer.start).unwrap_or_default();
            if !header.trim().is_empty() {
                return Err(ChatError::Header {
                    turn: index + 1,
                    header: header.into(),
                });
            }
            let tail = text.get(answer.end..end).ok_or(rewrites)?;
            let end = match encoder.special(tail) {
                Some((_, name)) => answer.end + name.end,
                None => end,
            };
            supervised.push(start.len()..end);
        }
        let mut said: Vec<_> = found.into_iter().flatten().collect();
        said.sort_by_key(|range| (range.start, range.end));
        Ok(Self {
            text,
            said,
            supervised,
            pictures: pictures(turns),
        })
    }
}

/// An optional system turn, then user and assistant in turns; a conversation ends with an answer, a prompt before it.
fn check_order(turns: &[Turn], prompt: bool) -> Result<(), ChatError> {
    let wrong = |reason: String| Err(ChatError::Roles { reason });
    let system = usize::from(matches!(turns.first(), Some(turn) if turn.role == Role::System));
    let mut expected = [Role::User, Role::Assistant].into_iter().cycle();
    for (index, turn) in turns.iter().enumerate().skip(system) {
        if expected.next() != Some(turn.role) {
            let role = role_name(turn.role);
            return wrong(format!("turn {} is the {role}'s", index + 1));
        }
    }
    let last = if prompt { Role::User } else { Role::Assistant };
    match turns.last() {
        None => wrong("no turns".into()),
        Some(turn) if turn.role != last => {
            let role = role_name(last);
            wrong(format!("the last turn is not the {role}'s"))
        }
        Some(_) => Ok(()),
    }
}
