//! What can be wrong between a conversation and its tokens.

use super::Role;
use super::template::role_name;

/// Why a conversation cannot be rendered. Turns are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The template is not Jinja, fails, refuses the conversation, or does not come to an end.
    #[error("chat template {template}: {reason}; give another template, or correct this one")]
    Template {
        /// A built-in one's name, or `of the tokenizer`.
        template: String,
        /// What is wrong.
        reason: String,
    },
    /// The roles do not come in an order that can be rendered.
    #[error("{reason}; expected an optional system turn, then user and assistant in turns")]
    Roles {
        /// What is wrong.
        reason: String,
    },
    /// A prompt is not how the conversation starts: no mask would be right.
    #[error(
        "the chat template writes what stands up to turn {turn} otherwise in a prompt than in the whole conversation, \
         so that a model would be trained on other texts than it answers; give a template that only appends"
    )]
    Rewrites {
        /// The assistant's turn.
        turn: usize,
    },
    /// A header of the assistant's that the generation prompt lacks.
    #[error(
        "the chat template puts {header:?} before the answer in turn {turn}, but not at the end of a prompt; \
         let it write that when `add_generation_prompt` is set"
    )]
    Header {
        /// The assistant's turn.
        turn: usize,
        /// What stands between prompt and answer.
        header: String,
    },
    /// A turn that does not occur in the rendered text.
    #[error("the chat template leaves out turn {turn}, the {}'s; remove it, or give another template", role_name(*role))]
    Dropped {
        /// The turn.
        turn: usize,
        /// Whose it is.
        role: Role,
    },
    /// The template looks into the texts and does not write them as they are.
    #[error(
        "the chat template changes the text of a turn by what it says; \
         remove what it takes for markup, or give another template"
    )]
    Changed,
    /// A character that marks turns while they are rendered.
    #[error(
        "turn {turn} holds the private-use character {character:?}, which marks turns here; remove it"
    )]
    Private {
        /// The turn.
        turn: usize,
        /// The character.
        character: char,
    },
    /// More turns than there are marks.
    #[error("{turns} turns; the limit is {limit}: split the conversation")]
    Turns {
        /// How many there are.
        turns: usize,
        /// The most there can be.
        limit: usize,
    },
    /// Marks and pictures are not equally many.
    #[error(
        "{marks} `<image>` in the user's turns for {images} pictures; put one where each picture is shown"
    )]
    Marks {
        /// How often a picture is shown.
        marks: usize,
        /// How many there are.
        images: usize,
    },
    /// A picture where the renderer knows of none.
    #[error("a picture for a model of text; train one that sees, or remove the pictures")]
    NoImageToken,
    /// Image tokens that no picture stands behind.
    #[error(
        "{found} image tokens for {expected} features of pictures; \
         the chat template must write no image token of its own"
    )]
    ImageTokens {
        /// Image tokens among the ids.
        found: usize,
        /// Pictures times features of each.
        expected: usize,
    },
    /// A conversation that would lose its end.
    #[error(
        "needs {needed} tokens and would be cut at {limit}; \
         set the most tokens (chat.max_length, or --max-length) to at least {needed}, or shorten or remove it"
    )]
    TooLong {
        /// How many tokens it has.
        needed: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The tokenizer cannot be used, or rejects a text.
    #[error("tokenizer: {reason}; check its tokenizer.json")]
    Tokenizer {
        /// What is wrong.
        reason: String,
    },
}
