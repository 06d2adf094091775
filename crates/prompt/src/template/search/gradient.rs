//! Words exchanged one at a time, where the gradient says that it pays.

use std::collections::{BTreeMap, BTreeSet};

use crucible_transformer::ConfigError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Candidate, OnStep, Progress, SearchError, Tokens, Wording, best};

/// How many templates are drawn until one is read as it was made.
const DRAWS: usize = 100;

/// What a template loses on the texts that it is searched with.
pub trait TriggerLoss {
    /// Of the template with these tokens.
    fn loss(&self, template: &[u32]) -> f64;

    /// Of each token of the vocabulary, how much the loss would change if it stood at `place`: a first-order guess.
    fn changes(&self, template: &[u32], place: usize) -> Vec<f32>;
}

/// Search by gradients (AutoPrompt, Shin et al. 2020, "AutoPrompt: Eliciting Knowledge from Language Models with
/// Automatically Generated Prompts", section 2.2).
///
/// A step draws one of the template's tokens, tries the words in its place by which the loss would fall most in the
/// first order, and takes the best of them if the loss falls. Each step sees all texts, of which few-shot data has few:
/// the search is over when no token can be exchanged any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GradientSearch {
    /// Tokens between the text and the label word.
    pub tokens: usize,
    /// Most exchanges that are tried.
    pub steps: usize,
    /// Words tried in each.
    pub candidates: usize,
    /// Templates that are given.
    pub kept: usize,
}

impl Default for GradientSearch {
    fn default() -> Self {
        Self {
            tokens: 3,
            steps: 30,
            candidates: 10,
            kept: 8,
        }
    }
}

impl GradientSearch {
    /// Whether there is something to search.
    ///
    /// # Errors
    /// The first number that is 0.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("tokens", self.tokens),
            ("candidates", self.candidates),
            ("kept", self.kept),
        ] {
            ConfigError::unless(value > 0, field, || "must be at least 1".into())?;
        }
        Ok(())
    }

    /// The best templates that were tried, the smallest loss first. It begins with tokens drawn by `seed` and is the
    /// same each time.
    ///
    /// # Errors
    /// [`SearchError::Config`], [`SearchError::NotRead`] when the tokenizer reads no template as it was made,
    /// [`SearchError::NotFinite`] for broken weights, and [`SearchError::Interrupted`].
    pub fn search<T: Tokens>(
        &self,
        wording: &Wording<T>,
        objective: &impl TriggerLoss,
        seed: u64,
        on_step: &mut OnStep<'_>,
    ) -> Result<Vec<Candidate>, SearchError> {
        self.check()?;
        let mut tried = Tried {
            wording,
            objective,
            found: BTreeMap::new(),
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut now = self.start(&mut tried, &mut random)?;
        // Places where nothing is better than what stands there.
        let mut settled = BTreeSet::new();
        for step in 1..=self.steps {
            let open = (0..self.tokens).filter(|place| !settled.contains(place));
            let open: Vec<usize> = open.collect();
            if open.is_empty() {
                break;
            }
            let place = open[random.random_range(0..open.len())];
            let before = now.loss;
            let changes = objective.changes(&now.tokens, place);
            for token in self.likeliest(wording.allowed(), &changes, now.tokens[place]) {
                let mut tokens = now.tokens.clone();
                tokens[place] = token;
                if let Some(new) = tried.get(&tokens)?
                    && new.loss < now.loss
                {
                    now = new;
                }
            }
            match now.loss < before {
                true => settled.clear(),
                false => _ = settled.insert(place),
            }
            let words = wording.words(&now.tokens).unwrap_or_default();
            let progress = Progress {
                step,
                steps: self.steps,
                score: now.loss,
                words: &words,
            };
            if on_step(progress).is_break() {
                return Err(SearchError::Interrupted);
            }
        }
        Ok(best(tried.found.into_values().flatten(), self.kept))
    }

    /// A template that is drawn.
    fn start<T: Tokens, O: TriggerLoss>(
        &self,
        tried: &mut Tried<'_, T, O>,
        random: &mut ChaCha8Rng,
    ) -> Result<Candidate, SearchError> {
        let allowed = tried.wording.allowed();
        for _ in 0..DRAWS {
            let token = |_| allowed[random.random_range(0..allowed.len())];
            let tokens: Vec<u32> = (0..self.tokens).map(token).collect();
            if let Some(start) = tried.get(&tokens)? {
                return Ok(start);
            }
        }
        Err(SearchError::NotRead { tried: DRAWS })
    }

    /// The tokens in place of `old` by which the loss would fall most, the best first.
    fn likeliest(&self, allowed: &[u32], changes: &[f32], old: u32) -> Vec<u32> {
        let change = |token: u32| changes.get(token as usize).copied();
        let guesses = allowed.iter().filter(|&&token| token != old);
        let guesses = guesses.filter_map(|&token| Some((change(token)?, token)));
        let mut guesses: Vec<(f32, u32)> = guesses.collect();
        guesses.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let tokens = guesses.into_iter().map(|(_, token)| token);
        tokens.take(self.candidates).collect()
    }
}

/// Templates that were asked about; none where one is not read as it was made.
struct Tried<'a, T, O> {
    wording: &'a Wording<T>,
    objective: &'a O,
    found: BTreeMap<Vec<u32>, Option<Candidate>>,
}

impl<T: Tokens, O: TriggerLoss> Tried<'_, T, O> {
    fn get(&mut self, tokens: &[u32]) -> Result<Option<Candidate>, SearchError> {
        if let Some(found) = self.found.get(tokens) {
            return Ok(found.clone());
        }
        let found = match self.wording.template(tokens) {
            None => None,
            Some(template) => {
                let loss = self.objective.loss(tokens);
                if !loss.is_finite() {
                    let words = self.wording.words(tokens).unwrap_or_default();
                    return Err(SearchError::NotFinite { words, loss });
                }
                Some(Candidate {
                    template,
                    tokens: tokens.to_vec(),
                    loss,
                    accuracy: None,
                })
            }
        };
        self.found.insert(tokens.to_vec(), found.clone());
        Ok(found)
    }
}
