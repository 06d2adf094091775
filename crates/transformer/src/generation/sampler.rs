//! From the scores of the next token to a token: the processors of `transformers`, in their order and in single
//! precision as there.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sequence::Sequence;
use super::{GenerationConfig, GenerationError};

/// Chooses the tokens of one sequence.
pub(super) struct Sampler<'a> {
    config: &'a GenerationConfig,
    random: ChaCha8Rng,
}

impl<'a> Sampler<'a> {
    /// The random numbers hang on the seed and on the prompt with its key, not on its place: a prompt is continued in the
    /// same way alone and in any batch. `repeat` is how many prompts before it are the same, which are continued differently.
    pub(super) fn new(config: &'a GenerationConfig, prompt: &[u32], own: u64, repeat: u64) -> Self {
        // FNV-1a: <https://www.rfc-editor.org/rfc/rfc9923>.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in prompt.iter().flat_map(|token| token.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut key = [0; 32];
        let parts = [config.seed, hash, repeat, own].map(u64::to_le_bytes);
        for (to, from) in key.iter_mut().zip(parts.into_iter().flatten()) {
            *to = from;
        }
        Self {
            config,
            random: ChaCha8Rng::from_seed(key),
        }
    }

    /// The token that follows `sequence`, with the log-probability that the model itself gives it.
    pub(super) fn next(
        &mut self,
        sequence: &Sequence<'_>,
        scores: &[f32],
    ) -> Result<(u32, f32), GenerationError> {
        let config = self.config;
        let mut processed = scores.to_vec();
        penalize(&mut processed, sequence.seen(), config.repetition_penalty);
        let drawn = config.temperature > 0.0;
        if drawn {
            heat(&mut processed, config.temperature);
        }
        check(&processed, sequence)?;
        let token = match drawn {
            true => draw(&distribution(&processed, config), &mut self.random),
            false => likeliest(&processed),
        };
        let log_probability = (0..).zip(log_softmax(scores)).find(|&(id, _)| id == token);
        Ok((token, log_probability.map_or(0.0, |(_, value)| value)))
    }
}

/// Divides positive scores of the tokens in `seen` by `penalty` and multiplies negative ones with it, once each.
pub(super) fn penalize(scores: &mut [f32], seen: impl Iterator<Item = u32>, penalty: f64) {
    if penalty == 1.0 {
        return;
    }
    let penalty = penalty as f32;
    let mut done = vec![false; scores.len()];
    for token in seen.filter_map(|token| usize::try_from(token).ok()) {
        let (Some(score), Some(done)) = (scores.get_mut(token), done.get_mut(token)) else {
            continue;
        };
        if !std::mem::replace(done, true) {
            *score = match *score < 0.0 {
                true => *score * penalty,
                false => *score / penalty,
            };
        }
    }
}

fn heat(scores: &mut [f32], temperature: f64) {
    for score in scores {
        *score /= temperature as f32;
    }
}

/// # Errors
/// When there are no scores of the token that follows `sequence`, or one is infinite or not a number.
pub(super) fn check(scores: &[f32], sequence: &Sequence<'_>) -> Result<(), GenerationError> {
    let prompt = sequence.index;
    if scores.is_empty() {
        return Err(GenerationError::NoScores { prompt });
    }
    match (0..).zip(scores).find(|(_, score)| !score.is_finite()) {
        None => Ok(()),
        Some((token, &score)) => Err(GenerationError::NotFinite {
            prompt,
            step: sequence.tokens.len(),
            token,
            score,
        }),
    }
}

/// The token with the highest score, the first of several.
fn likeliest(scores: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &score) in (0..).zip(scores) {
        if score > best.1 {
            best = (token, score);
        }
    }
    best.0
}

/// Scores to log-probabilities.
pub(super) fn log_softmax(scores: &[f32]) -> impl Iterator<Item = f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = scores
        .iter()
        .map(|score| f64::from((score - highest).exp()));
    let log_total = powers.sum::<f64>().ln() as f32;
    scores.iter().map(move |score| score - highest - log_total)
}

/// The tokens among which one is drawn, with their probabilities.
fn distribution(scores: &[f32], config: &GenerationConfig) -> Vec<(u32, f32)> {
    let mut tokens: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).collect();
    top_k(&mut tokens, config.top_k);
    top_p(&mut tokens, config.top_p);
    softmax(&mut tokens);
    tokens
}

/// Keeps the `count` highest scores and those equal to the lowest of them; 0 keeps all.
fn top_k(tokens: &mut Vec<(u32, f32)>, count: usize) {
    let Some(last) = count.checked_sub(1).filter(|&last| last < tokens.len()) else {
        return;
    };
    let mut scores: Vec<f32> = tokens.iter().map(|&(_, score)| score).collect();
    let (_, &mut lowest, _) = scores.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
    tokens.retain(|&(_, score)| score >= lowest);
}

/// Keeps the fewest of the likeliest tokens whose probabilities sum to `mass`, one at least. Of tokens with equal
/// scores the first are kept; `torch` keeps any.
fn top_p(tokens: &mut Vec<(u32, f32)>, mass: f64) {
    if mass >= 1.0 {
        return;
    }
    tokens.sort_unstable_by(|(a, of_a), (b, of_b)| of_a.total_cmp(of_b).then(b.cmp(a)));
    let mut probabilities = tokens.clone();
    softmax(&mut probabilities);
    // `torch.cumsum` adds up in double precision, too.
    let mut sum = 0.0;
    let tail = probabilities.iter().take_while(|&&(_, probability)| {
        sum += f64::from(probability);
        sum as f32 <= (1.0 - mass) as f32
    });
    let dropped = tail.count().min(tokens.len().saturating_sub(1));
    tokens.drain(..dropped);
}

/// Scores to probabilities, in place.
fn softmax(tokens: &mut [(u32, f32)]) {
    let highest = tokens.iter().map(|&(_, score)| score);
    let highest = highest.fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (_, score) in tokens.iter_mut() {
        *score = (*score - highest).exp();
        total += f64::from(*score);
    }
    for (_, score) in tokens {
        *score /= total as f32;
    }
}

/// Draws one of the tokens.
fn draw(distribution: &[(u32, f32)], random: &mut ChaCha8Rng) -> u32 {
    let total: f64 = distribution.iter().map(|&(_, p)| f64::from(p)).sum();
    let target = random.random::<f64>() * total;
    let mut sum = 0.0;
    let reaches = |&&(_, probability): &&(u32, f32)| {
        sum += f64::from(probability);
        sum > target
    };
    let drawn = distribution.iter().find(reaches).or(distribution.last());
    drawn.map_or(0, |&(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, from_str, from_value};

    fn sampled() -> GenerationConfig {
        GenerationConfig {
            temperature: 1.0,
            ..GenerationConfig::default()
        }
    }

    fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
        from_value(value.clone()).unwrap()
    }

    /// Cases of `tests/reference/generation.py`.
    #[test]
    fn distributions_are_those_of_transformers() {
        let text = include_str!("../../../../tests/fixtures/generation.json");
        let fixture: Value = from_str(text).unwrap();
        let cases = fixture["distributions"].as_array().unwrap();
        assert_eq!(cases.len(), 93);
        for case in cases {
            let number = |name: &str| case["config"][name].as_f64().unwrap();
            let config = GenerationConfig {
                temperature: number("temperature"),
                top_k: number("top_k") as usize,
                top_p: number("top_p"),
                ..GenerationConfig::default()
            };
            let mut scores: Vec<f32> = numbers(&case["scores"]);
            let seen: Vec<u32> = numbers(&case["seen"]);
            penalize(&mut scores, seen.into_iter(), number("repetition_penalty"));
            heat(&mut scores, config.temperature);
            let drawn = distribution(&scores, &config);
            let tokens: Vec<u32> = numbers(&case["tokens"]);
            let expected: Vec<f32> = numbers(&case["probabilities"]);
            // By their scores, for which of several equal ones are kept is open.
            let descending = |tokens: &mut dyn Iterator<Item = u32>| {
                let mut kept: Vec<f32> = tokens.map(|token| scores[token as usize]).collect();
                kept.sort_by(|a, b| b.total_cmp(a));
                kept
            };
            let seen = descending(&mut drawn.iter().map(|&(token, _)| token));
            assert_eq!(seen, descending(&mut tokens.iter().copied()), "{case}");
            for (token, seen) in drawn {
                let of_same_score =
                    |other: &&u32| scores[**other as usize] == scores[token as usize];
                let at = tokens
                    .iter()
                    .position(|other| of_same_score(&other))
                    .unwrap();
                assert!((seen - expected[at]).abs() <= 1e-6 * expected[at], "{case}");
            }
        }
    }

    #[test]
    fn the_first_of_equal_scores_is_the_likeliest() {
        assert_eq!(likeliest(&[-3.0, 1.0, 0.5, 1.0]), 1);
        assert_eq!(likeliest(&[-3.0, -2.0]), 1);
        let config = GenerationConfig {
            top_p: 0.5,
            ..sampled()
        };
        let mut kept = distribution(&[1.0; 4], &config);
        kept.sort_by_key(|&(token, _)| token);
        assert_eq!(kept, [(0, 0.5), (1, 0.5)]);
    }

    #[test]
    fn the_smallest_mass_leaves_a_token() {
        let config = GenerationConfig {
            top_p: 1e-9,
            ..sampled()
        };
        assert_eq!(distribution(&[0.5, 2.0, 1.0], &config), [(1, 1.0)]);
    }

    #[test]
    fn a_repeated_token_is_penalised_once() {
        let mut scores = [3.0, -3.0, 0.0, 3.0];
        // Token 9 is not in the vocabulary.
        penalize(&mut scores, [1, 0, 1, 0, 9, 2].into_iter(), 1.5);
        assert_eq!(scores, [2.0, -4.5, 0.0, 3.0]);
    }

    #[test]
    fn probabilities_of_distant_scores_are_numbers() {
        let log: Vec<f32> = log_softmax(&[1e30, 0.0, 1e30]).collect();
        assert_eq!(log, [-(2.0_f32.ln()), -1e30, -(2.0_f32.ln())]);
        let drawn = distribution(&[1e30, 0.0, 1e30], &sampled());
        assert_eq!(drawn, [(0, 0.5), (1, 0.0), (2, 0.5)]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let scores: Vec<f32> = (0..16).map(|i| (i * 7 % 16) as f32 * 0.3).collect();
        let distribution = distribution(&scores, &sampled());
        let mut sampler = Sampler::new(&sampled(), &[1], 0, 0).random;
        let draws = 100_000;
        let mut counts = [0.0; 16];
        for _ in 0..draws {
            counts[draw(&distribution, &mut sampler) as usize] += 1.0;
        }
        let squares = distribution.iter().map(|&(token, probability)| {
            let expected = f64::from(probability) * f64::from(draws);
            (counts[token as usize] - expected).powi(2) / expected
        });
        // 15 degrees of freedom: larger in one of 1,000 seeds.
        let chi_square: f64 = squares.sum();
        assert!(chi_square < 37.7, "{chi_square}");
    }

    #[test]
    fn random_numbers_differ_by_seed_prompt_key_and_repeat() {
        let draw = |seed, prompt: &[u32], key, repeat| {
            let config = GenerationConfig { seed, ..sampled() };
            let mut sampler = Sampler::new(&config, prompt, key, repeat);
            sampler.random.random::<u64>()
        };
        let first = draw(1, &[1, 2], 0, 0);
        assert_eq!(first, draw(1, &[1, 2], 0, 0));
        for other in [
            draw(2, &[1, 2], 0, 0),
            draw(1, &[2, 1], 0, 0),
            draw(1, &[1, 2], 1, 0),
            draw(1, &[1, 2], 0, 1),
        ] {
            assert_ne!(first, other);
        }
    }

    proptest! {
        #[test]
        fn top_p_is_the_smallest_set(
            scores in prop::collection::vec(-6.0_f32..6.0, 1..40),
            mass in 0.01_f64..0.999,
        ) {
            let all = distribution(&scores, &sampled());
            let kept = distribution(&scores, &GenerationConfig { top_p: mass, ..sampled() });
            let of_kept = |token: &u32| kept.iter().any(|(other, _)| other == token);
            let mut before: Vec<f64> = Vec::new();
            let mut dropped = 0.0_f64;
            for (token, probability) in all {
                match of_kept(&token) {
                    true => before.push(f64::from(probability)),
                    false => dropped = dropped.max(f64::from(probability)),
                }
            }
            let least = before.iter().copied().fold(1.0, f64::min);
            let sum: f64 = before.iter().sum();
            prop_assert!(least >= dropped);
            prop_assert!(sum >= mass - 1e-6 && (sum - least <= mass + 1e-6 || before.len() == 1));
            let total: f64 = kept.iter().map(|&(_, p)| f64::from(p)).sum();
            prop_assert!((total - 1.0).abs() < 1e-6);
        }

        #[test]
        fn top_k_is_the_k_best(
            scores in prop::collection::hash_set(-1000_i16..1000, 1..40),
            count in 1_usize..50,
        ) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let kept = distribution(&scores, &GenerationConfig { top_k: count, ..sampled() });
            let mut best = scores.clone();
            best.sort_by(|a, b| b.total_cmp(a));
            best.truncate(count);
            let mut of_kept: Vec<f32> = kept.iter().map(|&(t, _)| scores[t as usize]).collect();
            of_kept.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(of_kept, best);
        }
    }
}
