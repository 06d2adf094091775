//! From the scores of the next token to a token: the processors of `transformers`, in their order and in single
//! precision as there.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{GenerationConfig, GenerationError};

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

/// # Errors
/// When there are no scores, or one is infinite or not a number. `prompt` and `step` say where.
pub(super) fn check(scores: &[f32], prompt: usize, step: usize) -> Result<(), GenerationError> {
    if scores.is_empty() {
        return Err(GenerationError::NoScores { prompt });
    }
    match (0..).zip(scores).find(|(_, score)| !score.is_finite()) {
        None => Ok(()),
        Some((token, &score)) => Err(GenerationError::NotFinite {
            prompt,
            step,
            token,
            score,
        }),
    }
}

/// The token with the highest score, the first of several.
pub(super) fn likeliest(scores: &[f32]) -> u32 {
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
    let total: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
    let log_total = total.ln();
    scores.iter().map(move |score| score - highest - log_total)
}

/// The tokens among which one is drawn, with their probabilities: by temperature, [`top_k`] and [`top_p`].
pub(super) fn distribution(scores: &[f32], config: &GenerationConfig) -> Vec<(u32, f32)> {
    let temperature = config.temperature as f32;
    let mut tokens: Vec<(u32, f32)> = (0..)
        .zip(scores)
        .map(|(token, score)| (token, score / temperature))
        .collect();
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

/// Keeps the fewest of the likeliest tokens whose probabilities sum to `mass`, one at least.
fn top_p(tokens: &mut Vec<(u32, f32)>, mass: f64) {
    if mass >= 1.0 {
        return;
    }
    let mut ascending = tokens.clone();
    ascending.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut probabilities = ascending.clone();
    softmax(&mut probabilities);
    // `torch.cumsum` adds up in double precision, too.
    let mut sum = 0.0;
    let tail = probabilities.iter().take_while(|&&(_, probability)| {
        sum += f64::from(probability);
        sum as f32 <= (1.0 - mass) as f32
    });
    let dropped = tail.count().min(tokens.len().saturating_sub(1));
    *tokens = ascending.split_off(dropped);
}

/// Scores to probabilities, in place.
fn softmax(tokens: &mut [(u32, f32)]) {
    let highest = tokens.iter().map(|&(_, score)| score);
    let highest = highest.fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (_, score) in tokens.iter_mut() {
        *score = (*score - highest).exp();
        total += *score;
    }
    for (_, score) in tokens {
        *score /= total;
    }
}

/// Draws one of the tokens.
pub(super) fn draw(distribution: &[(u32, f32)], random: &mut ChaCha8Rng) -> u32 {
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

/// The random numbers of a sequence.
///
/// They hang on the seed and on the prompt, not on its place: a prompt is continued in the same way alone and in any
/// batch. `repeat` is how many prompts before it in the batch are the same, which are continued differently.
pub(super) fn random(seed: u64, prompt: &[u32], repeat: u64) -> ChaCha8Rng {
    // FNV-1a: <https://www.rfc-editor.org/rfc/rfc9923>.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in prompt.iter().flat_map(|token| token.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut key = [0; 32];
    let parts = [seed, hash, repeat].map(u64::to_le_bytes);
    for (to, from) in key.iter_mut().zip(parts.into_iter().flatten()) {
        *to = from;
    }
    ChaCha8Rng::from_seed(key)
}
