//! Templates that are found instead of written, for models that continue texts.
//!
//! | file | idea |
//! |---|---|
//! | `wording` | which tokens may stand in a template, and whether a template's text is read as its tokens again |
//! | `gradient` | words exchanged where the gradient says that it pays (AutoPrompt) |
//! | `generate` | words that a model itself puts between texts and their label words (LM-BFF) |
//! | `causal` | what both ask a causal language model |
//!
//! Both look for words between the text and its label word, and give several templates, best first. Which of them is
//! used is for texts to say that the search has not seen: [`Candidate::accuracy`] is the caller's to fill in.

mod causal;
mod generate;
mod gradient;
#[cfg(test)]
mod tests;
mod wording;

pub use causal::CausalTexts;
pub use generate::GeneratedSearch;
pub use gradient::{GradientSearch, TriggerLoss};
pub use wording::{Tokens, Wording};

use std::ops::ControlFlow;

use crucible_transformer::ConfigError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Template;

/// A template that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its text.
    pub template: Template,
    /// The tokens between the text and the label word.
    pub tokens: Vec<u32>,
    /// What the search made small, on the texts that it was given.
    pub loss: f64,
    /// Share of other texts that it classifies right; none before it is asked.
    pub accuracy: Option<f64>,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// Steps that are done.
    pub step: usize,
    /// Steps in all; a search may end before.
    pub steps: usize,
    /// What is best so far: a loss, or the log-probability of a template's words.
    pub score: f64,
    /// The words of the best template so far.
    pub words: &'a str,
}

/// Told after each step; [`ControlFlow::Break`] ends the search without a result.
pub type OnStep<'a> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'a;

/// Why no template was found.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SearchError {
    /// An impossible setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing to search with.
    #[error("{0}: there are none; give at least one")]
    Empty(&'static str),
    /// Numbers that do not fit together.
    #[error("{what} {place} is {value}, but there are {count}, counted from 0")]
    Range {
        /// What was counted.
        what: &'static str,
        /// Where it stands.
        place: usize,
        /// Its number.
        value: usize,
        /// How many there are.
        count: usize,
    },
    /// A text without a token.
    #[error("text {0} has no token; leave it out")]
    Text(usize),
    /// A text that leaves no room for the template and the label word.
    #[error(
        "text {text} takes {length} tokens with a template and a label word, the model {max_length}; shorten it or \
         search for fewer tokens"
    )]
    Long {
        /// Which text, from 0.
        text: usize,
        /// Its tokens and those after it.
        length: usize,
        /// The model's limit.
        max_length: usize,
    },
    /// No template whose text is read as its tokens again.
    #[error(
        "no template was found: the tokenizer reads none of {tried} as the tokens that it was made of; search for fewer \
         tokens, or check that the tokenizer is the model's"
    )]
    NotRead {
        /// How many were tried.
        tried: usize,
    },
    /// A loss with which nothing can be compared.
    #[error("the loss of the template \"{words}\" is {loss}; look for broken weights")]
    NotFinite {
        /// Its words.
        words: String,
        /// The loss.
        loss: f64,
    },
    /// [`OnStep`] said so.
    #[error("the search was interrupted")]
    Interrupted,
}

/// The `count` best that were found, the smallest loss first.
fn best(found: impl IntoIterator<Item = Candidate>, count: usize) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = found.into_iter().collect();
    found.sort_by(|a, b| {
        let order = a.loss.total_cmp(&b.loss);
        order.then_with(|| a.tokens.cmp(&b.tokens))
    });
    found.truncate(count);
    found
}
