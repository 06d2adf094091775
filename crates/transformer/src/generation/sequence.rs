use super::stream::TextStream;
use super::{Finish, Generated, Stop};

/// A prompt and what follows it, as it grows.
#[derive(Clone)]
pub(super) struct Sequence<'a> {
    /// Which prompt.
    pub(super) index: usize,
    pub(super) prompt: &'a [u32],
    /// What else tells it apart.
    pub(super) key: u64,
    /// How many tokens may be added in all.
    pub(super) room: usize,
    /// Tokens that end it.
    pub(super) stop_ids: &'a [u32],
    /// The new tokens.
    pub(super) tokens: Vec<u32>,
    pub(super) text: TextStream<'a>,
    /// Sum of the log-probabilities of the new tokens.
    pub(super) log_probability: f32,
    /// Why nothing can be added.
    pub(super) finish: Option<Finish>,
}

impl Sequence<'_> {
    /// Adds a token, which may be the last.
    pub(super) fn push(&mut self, token: u32, log_probability: f32) {
        self.tokens.push(token);
        self.log_probability += log_probability;
        let stopped = self.stop_ids.contains(&token);
        let mut stop = match stopped {
            true => None,
            false => self.text.push(token),
        };
        let full = self.tokens.len() >= self.room;
        if stop.is_none() && (stopped || full) {
            stop = self.text.finish();
        }
        self.finish = match (stop, stopped) {
            (Some(text), _) => Some(Finish::Stop(Stop::Text(text.to_owned()))),
            (None, true) => Some(Finish::Stop(Stop::Token(token))),
            (None, false) => full.then_some(Finish::Length),
        };
    }

    /// The tokens that a repetition penalty is for.
    pub(super) fn seen(&self) -> impl Iterator<Item = u32> {
        self.prompt.iter().chain(&self.tokens).copied()
    }

    /// The score by which sequences of different lengths are compared.
    pub(super) fn score(&self, length_penalty: f64) -> f32 {
        let length = self.tokens.len().max(1) as f64;
        self.log_probability / length.powf(length_penalty) as f32
    }

    /// What it came to; without an end it was interrupted.
    pub(super) fn generated(self, length_penalty: f64) -> Generated {
        Generated {
            score: self.score(length_penalty),
            tokens: self.tokens,
            text: self.text.into_text(),
            finish: self.finish.unwrap_or(Finish::Interrupted),
        }
    }
}
