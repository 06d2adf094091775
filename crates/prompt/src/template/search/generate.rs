//! Words that a model itself puts between texts and their label words.

use std::ops::ControlFlow;

use crucible_transformer::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Candidate, OnStep, Progress, SearchError, Tokens, Wording, best};

/// Search by generation (LM-BFF, Gao et al. 2021, "Making Pre-trained Language Models Better Few-shot Learners", section
/// 5.2), with the model that will be asked in place of T5. It has not read the label word when it goes on after a text, as
/// T5 has there.
///
/// Beam search looks for the tokens that go on best after all texts at once: for the largest sum over the texts of
/// `log p(tokens | text)`. The beams of every length are templates, and are held to `log p(label word | text, tokens)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratedSearch {
    /// Most tokens between the text and the label word.
    pub tokens: usize,
    /// Beginnings that are continued, and templates that are given.
    pub beam: usize,
}

impl Default for GeneratedSearch {
    fn default() -> Self {
        Self { tokens: 4, beam: 8 }
    }
}

/// The beginning of a template.
#[derive(Clone, Debug, PartialEq)]
struct Beam {
    tokens: Vec<u32>,
    /// Its log-probability, summed over the texts.
    score: f64,
}

impl GeneratedSearch {
    /// Whether there is something to search.
    ///
    /// # Errors
    /// The first number that is 0.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [("tokens", self.tokens), ("beam", self.beam)] {
            ConfigError::unless(value > 0, field, || "must be at least 1".into())?;
        }
        Ok(())
    }

    /// The templates after which the label words are likeliest, the best first. `next` has the scores of each token of
    /// the vocabulary after all texts with some tokens, as [`CausalTexts::next`](super::CausalTexts::next) gives them;
    /// `loss` is what a template with some tokens is held to.
    ///
    /// # Errors
    /// [`SearchError::Config`], [`SearchError::NotRead`] when the tokenizer reads no template as it was made,
    /// [`SearchError::NotFinite`] for broken weights, and [`SearchError::Interrupted`].
    pub fn search<T: Tokens>(
        &self,
        wording: &Wording<T>,
        next: &dyn Fn(&[u32]) -> Vec<f64>,
        loss: &dyn Fn(&[u32]) -> f64,
        on_step: &mut OnStep<'_>,
    ) -> Result<Vec<Candidate>, SearchError> {
        self.check()?;
        let mut step = 0;
        let mut found = Vec::new();
        let mut tried = 0;
        let told = &mut |beams: &[Beam]| {
            step += 1;
            let words = beams.first().and_then(|beam| wording.words(&beam.tokens));
            on_step(Progress {
                step,
                steps: self.tokens,
                score: beams.first().map_or(0.0, |beam| beam.score),
                words: &words.unwrap_or_default(),
            })
        };
        for Beam { tokens, .. } in self.beams(wording.allowed(), next, told)? {
            tried += 1;
            let Some(template) = wording.template(&tokens) else {
                continue;
            };
            let loss = loss(&tokens);
            if !loss.is_finite() {
                let words = wording.words(&tokens).unwrap_or_default();
                return Err(SearchError::NotFinite { words, loss });
            }
            found.push(Candidate {
                template,
                tokens,
                loss,
                accuracy: None,
            });
        }
        match found.is_empty() {
            true => Err(SearchError::NotRead { tried }),
            false => Ok(best(found, self.beam)),
        }
    }

    /// The best beginnings of each length, the shortest first.
    fn beams(
        &self,
        allowed: &[u32],
        next: &dyn Fn(&[u32]) -> Vec<f64>,
        told: &mut dyn FnMut(&[Beam]) -> ControlFlow<()>,
    ) -> Result<Vec<Beam>, SearchError> {
        let mut all = Vec::new();
        let mut running = vec![Beam {
            tokens: Vec::new(),
            score: 0.0,
        }];
        for _ in 0..self.tokens {
            let mut longer = Vec::new();
            for beam in &running {
                let scores = next(&beam.tokens);
                let more = allowed.iter().filter_map(|&token| {
                    let score = beam.score + scores.get(token as usize)?;
                    Some((score, token))
                });
                let mut more: Vec<(f64, u32)> = more.collect();
                more.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                longer.extend(more.into_iter().take(self.beam).map(|(score, token)| Beam {
                    tokens: [&beam.tokens[..], &[token]].concat(),
                    score,
                }));
            }
            longer.sort_by(|a, b| b.score.total_cmp(&a.score));
            longer.truncate(self.beam);
            if told(&longer).is_break() {
                return Err(SearchError::Interrupted);
            }
            all.extend(longer.iter().cloned());
            running = longer;
        }
        Ok(all)
    }
}
