//! Beam search as `transformers` 4.57 does it, with `early_stopping=False`.

use std::ops::ControlFlow;

use super::sampler::{check, log_softmax, penalize};
use super::sequence::Sequence;
use super::{Generated, Generates, GenerationConfig, GenerationError, OnToken, Run};

/// A token that may follow one of the running sequences.
struct Candidate {
    /// Which of them.
    parent: usize,
    token: u32,
    log_probability: f32,
    /// Sum of the log-probabilities of the sequence with the token.
    total: f32,
}

/// Puts `item` among `best`, highest score first, and keeps `count`; of equal scores the earlier is ahead.
fn keep_best<T>(best: &mut Vec<T>, item: T, count: usize, score: impl Fn(&T) -> f32) {
    let at = best.partition_point(|other| score(other) >= score(&item));
    if at < count {
        best.insert(at, item);
        best.truncate(count);
    }
}

/// The search for the best continuation of one prompt.
struct Search<'a> {
    /// The likeliest sequences without an end, likeliest first; one to begin with.
    running: Vec<Sequence<'a>>,
    /// The best sequences with an end, best first.
    finished: Vec<Sequence<'a>>,
}

impl<'a> Search<'a> {
    /// Adds a token to each of the running sequences. Returns from which of them the new ones come.
    fn step(
        &mut self,
        scores: impl Iterator<Item = Vec<f32>>,
        config: &GenerationConfig,
        stop_ids: usize,
    ) -> Result<Vec<usize>, GenerationError> {
        let score = |sequence: &Sequence<'_>| sequence.score(config.length_penalty);
        let candidates = self.candidates(scores, config, stop_ids)?;
        let mut running = Vec::new();
        let mut parents = Vec::new();
        for (rank, candidate) in candidates.iter().enumerate() {
            let Some(parent) = self.running.get(candidate.parent) else {
                continue;
            };
            let mut sequence: Sequence<'a> = parent.clone();
            sequence.push(candidate.token, candidate.log_probability);
            match &sequence.finish {
                None if running.len() < config.beams => {
                    running.push(sequence);
                    parents.push(candidate.parent);
                }
                Some(_) if rank < config.beams => {
                    keep_best(&mut self.finished, sequence, config.beams, score);
                }
                _ => {}
            }
        }
        self.running = running;
        if self.is_over(config) {
            self.running.clear();
            parents.clear();
        }
        Ok(parents)
    }

    /// The likeliest continuations: so many that as many as there are beams have no stop token.
    fn candidates(
        &self,
        scores: impl Iterator<Item = Vec<f32>>,
        config: &GenerationConfig,
        stop_ids: usize,
    ) -> Result<Vec<Candidate>, GenerationError> {
        let count = config.beams.saturating_mul(stop_ids.max(1).saturating_add(1));
        let mut best: Vec<Candidate> = Vec::new();
        for ((parent, sequence), scores) in self.running.iter().enumerate().zip(scores) {
            let mut scores: Vec<f32> = log_softmax(&scores).collect();
            penalize(&mut scores, sequence.seen(), config.repetition_penalty);
            check(&scores, sequence.index, sequence.tokens.len())?;
            for (token, log_probability) in (0..).zip(scores) {
                let candidate = Candidate {
                    parent,
                    token,
                    log_probability,
                    total: sequence.log_probability + log_probability,
                };
                keep_best(&mut best, candidate, count, |candidate| candidate.total);
            }
        }
        Ok(best)
    }

    /// Whether nothing runs, or there are enough ends and none of what runs would be a better one if it ended now.
    fn is_over(&self, config: &GenerationConfig) -> bool {
        let score = |sequence: &Sequence<'_>| sequence.score(config.length_penalty);
        let worst = self.finished.get(config.beams - 1).map(score);
        let likeliest = self.running.first().map(score);
        match (likeliest, worst) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(likeliest), Some(worst)) => likeliest <= worst,
        }
    }

    /// The best sequence with an end, or the likeliest without.
    fn best(self) -> Option<Sequence<'a>> {
        self.finished.into_iter().chain(self.running).next()
    }
}

/// Continues each of the sequences, one a prompt, to its best end. The text of each is told when it is over.
pub(super) fn search<M: Generates>(
    mut run: Run<'_, M>,
    sequences: Vec<Sequence<'_>>,
    on_token: &mut OnToken<'_>,
) -> Result<Vec<Generated>, GenerationError> {
    let config = run.config;
    let mut searches: Vec<Search<'_>> = sequences
        .into_iter()
        .map(|sequence| Search {
            running: vec![sequence],
            finished: Vec::new(),
        })
        .collect();
    let mut ended = Vec::new();
    'steps: while !searches.is_empty() {
        let mut scores = run.take_scores();
        let (mut first, mut rows, mut tokens) = (0, Vec::new(), Vec::new());
        for search in &mut searches {}
    }
    todo!()
}
