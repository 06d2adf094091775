//! Text generation: greedy, sampled or by beam search, with the semantics of `generate` in `transformers` 4.57.
//!
//! | file | idea |
//! |---|---|
//! | [`config`](GenerationConfig) | the options |
//! | `sampler` | scores of the next token to a token |
//! | `beam` | beam search |
//! | `sequence` | a prompt and what follows it |
//! | `stream` | tokens to text while they come |
//! | `stop` | texts that end a sequence |

mod beam;
mod config;
mod sampler;
mod sequence;
mod stop;
mod stream;

use std::collections::HashMap;
use std::ops::ControlFlow;

use thiserror::Error;

use crate::ConfigError;
use sampler::Sampler;
use sequence::Sequence;
use stop::StopStrings;
use stream::TextStream;

pub use config::GenerationConfig;

/// A model that continues sequences of tokens, one step at a time.
pub trait Generates {
    /// What is kept of the tokens so far: keys and values of every layer.
    type Cache;

    /// The largest number of tokens of a sequence, prompt included.
    fn max_length(&self) -> usize;

    /// Scores of the token that follows each sequence, `[sequences][vocabulary]`. `tokens` is one more for each.
    fn step(&self, cache: &mut Self::Cache, tokens: &[u32]) -> Vec<Vec<f32>>;

    /// Keeps those sequences, in that order; a sequence may be kept several times.
    fn select(&self, cache: &mut Self::Cache, sequences: &[usize]);
}

/// What a model made of the prompts.
pub struct Prompted<C> {
    /// What it keeps of them.
    pub cache: C,
    /// Scores of the token that follows each, `[prompts][vocabulary]`.
    pub scores: Vec<Vec<f32>>,
    /// Their tokens, without padding.
    pub prompts: Vec<Vec<u32>>,
    /// What else tells each apart, such as a digest of the pictures that its tokens do not show; 0, or nothing at all,
    /// where tokens are all there is.
    pub keys: Vec<u64>,
}

/// What follows a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The new tokens, with those that ended the sequence.
    pub tokens: Vec<u32>,
    /// Their text, without a stop token or stop string. What was streamed, joined; after an interruption, what is
    /// certain of it.
    pub text: String,
    /// Why there is no more.
    pub finish: Finish,
    /// Sum of the tokens' log-probabilities, divided by their number to the power of the length penalty. The
    /// probabilities are the model's own; in a beam search, as in `transformers`, those after the repetition penalty.
    pub score: f32,
}

/// Why a sequence has no more tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// As many new tokens as were asked for, or as the model takes.
    Length,
    /// It came to an end.
    Stop(Stop),
    /// The callback said so.
    Interrupted,
}

/// What ended a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// One of the stop tokens.
    Token(u32),
    /// One of the stop strings.
    Text(String),
}

/// Why nothing was generated.
#[derive(Clone, Debug, Error)]
pub enum GenerationError {
    /// An impossible option.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A prompt leaves no room for a new token.
    #[error(
        "prompt {prompt} has {length} tokens, but the model takes {max_length} with at least one new one; shorten it"
    )]
    Prompt {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// Its tokens.
        length: usize,
        /// The model's limit.
        max_length: usize,
    },
    /// A score with which nothing can be compared.
    #[error(
        "prompt {prompt}: the score of token {token} is {score} after {step} new tokens; look for broken weights, \
         for overflow in half precision, or for a temperature or repetition penalty near 0"
    )]
    NotFinite {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// How many new tokens it had.
        step: usize,
        /// The token with that score.
        token: u32,
        /// The score, after repetition penalty and temperature.
        score: f32,
    },
    /// A model without a vocabulary.
    #[error("prompt {prompt}: the model scores no token; its vocabulary is empty")]
    NoScores {
        /// Which prompt, counted from 0.
        prompt: usize,
    },
    /// A model that does not follow [`Generates`].
    #[error("the model scored {found} sequences instead of {expected}; this is a bug in the model")]
    Rows {
        /// How many sequences there are.
        expected: usize,
        /// How many rows of scores.
        found: usize,
    },
}

/// Continues the prompts until each has come to an end.
///
/// - `stop_ids`: tokens that end a sequence
/// - `decode`: the text of tokens, as the tokenizer makes it
/// - `on_token`: told after each new token of each sequence (by its prompt's place) which text has become certain,
///   which may be none; [`ControlFlow::Break`] ends all sequences. Text is certain when its last character is whole and
///   it cannot be part of a stop string. A beam search is certain of nothing before its end, and then of everything.
///
/// A prompt is continued in the same way alone and in any batch, also when tokens are drawn: the random numbers of a
/// sequence come from the seed, its prompt with its key, and how many prompts before it are the same. Of tokens with equal scores
/// the one with the lowest id is the likeliest.
///
/// # Errors
/// When an option is impossible, a prompt is too long for the model, or the model's scores are unusable.
pub fn generate<M: Generates>(
    model: &M,
    prompted: Prompted<M::Cache>,
    config: &GenerationConfig,
    stop_ids: &[u32],
    decode: &dyn Fn(&[u32]) -> String,
    on_token: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
) -> Result<Vec<Generated>, GenerationError> {
    config.check()?;
    let stops = StopStrings::new(&config.stop_strings);
    let sequences = prompted.prompts.iter().enumerate().map(|(index, prompt)| {
        let key = prompted.keys.get(index).copied().unwrap_or(0);
        let max_length = model.max_length();
        match max_length.saturating_sub(prompt.len()) {
            0 => Err(GenerationError::Prompt {
                prompt: index,
                length: prompt.len(),
                max_length,
            }),
            room => Ok(Sequence {
                index,
                prompt,
                key,
                room: room.min(config.max_new_tokens),
                stop_ids,
                tokens: Vec::new(),
                text: TextStream::new(decode, &stops),
                log_probability: 0.0,
                finish: None,
            }),
        }
    });
    let sequences = sequences.collect::<Result<Vec<_>, _>>()?;
    let run = Run::new(model, prompted.cache, prompted.scores, sequences.len())?;
    let mut ended = match config.beams {
        1 => sample(run, sequences, config, on_token)?,
        _ => beam::search(run, sequences, config, on_token)?,
    };
    ended.sort_by_key(|sequence| sequence.index);
    let generated = |sequence: Sequence<'_>| sequence.generated(config.length_penalty);
    Ok(ended.into_iter().map(generated).collect())
}

type OnToken<'a> = dyn FnMut(usize, &str) -> ControlFlow<()> + 'a;

/// A model and what it makes of the sequences that have not ended.
struct Run<'a, M: Generates> {
    model: &'a M,
    cache: M::Cache,
    /// Scores of the token that follows each sequence.
    scores: Vec<Vec<f32>>,
}

impl<'a, M: Generates> Run<'a, M> {
    fn new(
        model: &'a M,
        cache: M::Cache,
        scores: Vec<Vec<f32>>,
        sequences: usize,
    ) -> Result<Self, GenerationError> {
        match scores.len() == sequences {
            true => Ok(Self {
                model,
                cache,
                scores,
            }),
            false => Err(GenerationError::Rows {
                expected: sequences,
                found: scores.len(),
            }),
        }
    }

    /// Keeps the sequences `rows`, in that order, and adds one of `tokens` to each.
    fn advance(self, rows: &[usize], tokens: &[u32]) -> Result<Self, GenerationError> {
        let Self {
            model,
            mut cache,
            scores,
        } = self;
        if !rows.iter().copied().eq(0..scores.len()) {
            model.select(&mut cache, rows);
        }
        let scores = model.step(&mut cache, tokens);
        Self::new(model, cache, scores, tokens.len())
    }
}

/// Continues each of the sequences by the likeliest token or by one that is drawn.
fn sample<'a, M: Generates>(
    mut run: Run<'_, M>,
    sequences: Vec<Sequence<'a>>,
    config: &GenerationConfig,
    on_token: &mut OnToken<'_>,
) -> Result<Vec<Sequence<'a>>, GenerationError> {
    let mut repeats: HashMap<(&[u32], u64), u64> = HashMap::new();
    let mut samplers: Vec<Sampler<'_>> = Vec::new();
    for sequence in &sequences {
        let (prompt, key) = (sequence.prompt, sequence.key);
        let repeat = repeats.entry((prompt, key)).or_default();
        samplers.push(Sampler::new(config, prompt, key, *repeat));
        *repeat += 1;
    }
    let mut running: Vec<_> = sequences.into_iter().zip(samplers).collect();
    let mut ended = Vec::new();
    'steps: while !running.is_empty() {
        for ((sequence, sampler), scores) in running.iter_mut().zip(&run.scores) {
            let (token, log_probability) = sampler.next(sequence, scores)?;
            sequence.push(token, log_probability);
            if on_token(sequence.index, sequence.text.news()).is_break() {
                break 'steps;
            }
        }
        let (mut rows, mut tokens) = (Vec::new(), Vec::new());
        for (row, (sequence, _)) in running.iter().enumerate() {
            if sequence.finish.is_none() {
                rows.push(row);
                tokens.extend(sequence.tokens.last());
            }
        }
        ended.extend(running.extract_if(.., |(sequence, _)| sequence.finish.is_some()));
        if !running.is_empty() {
            run = run.advance(&rows, &tokens)?;
        }
    }
    let all = ended.into_iter().chain(running);
    Ok(all.map(|(sequence, _)| sequence).collect())
}
