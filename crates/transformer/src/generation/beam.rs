//! Beam search as `transformers` 4.57 does it, with `early_stopping=False`.

use super::sampler::{check, log_softmax, penalize};
use super::sequence::Sequence;
use super::{Generates, GenerationConfig, GenerationError, OnToken, Run};

/// A token that may follow one of the running sequences.
struct Candidate {
    /// Which of them.
    parent: usize,
    token: u32,
    log_probability: f32,
    /// That of the sequence with the token.
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
    /// Which prompt.
    index: usize,
    /// The likeliest sequences without an end, likeliest first: one to begin with, none when the search is over.
    running: Vec<Sequence<'a>>,
    /// The best sequences with an end, best first.
    finished: Vec<Sequence<'a>>,
}

impl<'a> Search<'a> {
    /// Adds a token to each of the running sequences. Returns from which of them the new ones come.
    fn step(
        &mut self,
        scores: &[Vec<f32>],
        config: &GenerationConfig,
    ) -> Result<Vec<usize>, GenerationError> {
        let score = |sequence: &Sequence<'_>| sequence.score(config.length_penalty);
        let candidates = self.candidates(scores, config)?;
        let (mut running, mut parents) = (Vec::new(), Vec::new());
        for (rank, candidate) in candidates.iter().enumerate() {
            let Some(parent) = self.running.get(candidate.parent) else {
                continue;
            };
            let mut sequence = parent.clone();
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
        // What runs can only win if it would be better than one of enough ends, ended now.
        let worst = self.finished.iter().map(score).nth(config.beams - 1);
        let likeliest = running.first().map(score);
        if likeliest
            .zip(worst)
            .is_some_and(|(likeliest, worst)| likeliest <= worst)
        {
            (running, parents) = (Vec::new(), Vec::new());
        }
        self.running = running;
        Ok(parents)
    }

    /// The likeliest continuations: so many that those with a stop token leave as many as there are beams.
    fn candidates(
        &self,
        scores: &[Vec<f32>],
        config: &GenerationConfig,
    ) -> Result<Vec<Candidate>, GenerationError> {
        let mut best = Vec::new();
        for ((parent, sequence), scores) in self.running.iter().enumerate().zip(scores) {
            let kinds = sequence.stop_ids.len().max(1).saturating_add(1);
            let count = config.beams.saturating_mul(kinds);
            let mut scores: Vec<f32> = log_softmax(scores).collect();
            penalize(&mut scores, sequence.seen(), config.repetition_penalty);
            check(&scores, sequence)?;
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

    /// What is certain: nothing while it runs, then the whole text.
    fn news(&mut self) -> &str {
        match self.finished.first_mut() {
            Some(best) if self.running.is_empty() => best.text.news(),
            _ => "",
        }
    }

    /// The best sequence with an end, or the likeliest without.
    fn best(self) -> Option<Sequence<'a>> {
        let interrupted = !self.running.is_empty();
        let mut best = self.finished.into_iter().chain(self.running).next()?;
        if interrupted {
            best.finish = None;
        }
        Some(best)
    }
}

/// Continues each of the sequences, one a prompt, to its best end.
pub(super) fn search<'a, M: Generates>(
    mut run: Run<'_, M>,
    sequences: Vec<Sequence<'a>>,
    config: &GenerationConfig,
    on_token: &mut OnToken<'_>,
) -> Result<Vec<Sequence<'a>>, GenerationError> {
    let start = |sequence: Sequence<'a>| Search {
        index: sequence.index,
        running: vec![sequence],
        finished: Vec::new(),
    };
    let mut searches: Vec<_> = sequences.into_iter().map(start).collect();
    let mut ended = Vec::new();
    'steps: while !searches.is_empty() {
        let mut scores = run.scores.as_slice();
        let (mut first, mut rows, mut tokens) = (0, Vec::new(), Vec::new());
        for search in &mut searches {
            let count = search.running.len();
            let (own, others) = scores.split_at_checked(count).unwrap_or((scores, &[]));
            let parents = search.step(own, config)?;
            rows.extend(parents.iter().map(|parent| first + parent));
            tokens.extend(search.running.iter().flat_map(|beam| beam.tokens.last()));
            (scores, first) = (others, first + count);
            if on_token(search.index, search.news()).is_break() {
                break 'steps;
            }
        }
        ended.extend(searches.extract_if(.., |search| search.running.is_empty()));
        if !searches.is_empty() {
            run = run.advance(&rows, &tokens)?;
        }
    }
    let all = ended.into_iter().chain(searches);
    Ok(all.filter_map(Search::best).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_is_ahead() {
        let mut best = Vec::new();
        for item in [(0, 1.0), (1, 2.0), (2, 1.0), (3, 2.0), (4, 0.0), (5, 2.0)] {
            keep_best(&mut best, item, 4, |&(_, score)| score);
        }
        assert_eq!(best, [(1, 2.0), (3, 2.0), (5, 2.0), (0, 1.0)]);
    }
}
