//! How well a model answers: its answers word for word against those of the data.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crucible_datasets::instruction::tasks::{Demonstrations, with_demonstrations};
use crucible_datasets::instruction::{ChatError, Conversation, Renderer};
use crucible_datasets::{Data, DataError, Samples, Split};
use crucible_training::{Cost, Error, Outcome, Prediction};
use crucible_transformer::GenerationConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Converses;
use super::speaker::{Answers, Asked, Speaker};
use crate::setting::setting;

/// How answers are generated and compared.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreConfig {
    /// Questions that are answered at a time.
    pub batch_size: usize,
    /// Only so many questions, evenly spread; 0 for all.
    pub most: usize,
    /// Solved examples of the training split before each question (k-shot), of the same task and about other pictures.
    pub shots: usize,
    /// How each answer is generated.
    pub generation: GenerationConfig,
}

impl ScoreConfig {
    /// All questions, answered by the likeliest tokens, so many at most.
    pub fn short(max_new_tokens: usize) -> Self {
        Self {
            batch_size: 32,
            most: 0,
            shots: 0,
            generation: GenerationConfig {
                max_new_tokens,
                ..GenerationConfig::default()
            },
        }
    }

    /// Whether answers can be generated like that.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] by the key.
    pub fn check(&self) -> Result<(), Error> {
        self.generation.check().map_err(setting("score.generation"))
    }

    /// Whether every question of a split leaves room for an answer after its examples. Without examples it is the
    /// beginning of a conversation that an audit has found to fit.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for the first that does not, and those of the data.
    pub fn rehearse(
        &self,
        data: &Data<Conversation>,
        split: Split,
        renderer: &Renderer,
    ) -> Result<(), Error> {
        if self.shots == 0 {
            return Ok(());
        }
        for conversation in self.questions(data, split)? {
            let limit = renderer.max_length();
            let needed = match renderer.prompt(&asked(&conversation).turns) {
                Ok(prompt) => prompt.ids.len(),
                Err(ChatError::TooLong { needed, .. }) => needed,
                Err(error) => return Err(Error::Usage(format!("{}: {error}", conversation.id))),
            };
            if needed >= limit {
                return Err(Error::Usage(format!(
                    "score.shots is {}, but with its examples the question {} has {needed} tokens, which leaves no room \
                     for an answer in chat.max_length={limit}; set one lower or the other higher",
                    self.shots, conversation.id
                )));
            }
        }
        Ok(())
    }

    /// The conversations of a split whose last question is asked, each after its examples.
    fn questions(
        &self,
        data: &Data<Conversation>,
        split: Split,
    ) -> Result<Vec<Conversation>, Error> {
        let samples = data.samples(split).map_err(Error::data)?;
        let shown = match self.shots {
            0 => Vec::new(),
            _ => (0..data.train.len())
                .map(|at| get(&data.train, at))
                .collect::<Result<_, _>>()?,
        };
        let demonstrations = Demonstrations::new(&shown);
        let count = match self.most {
            0 => samples.len(),
            most => samples.len().min(most),
        };
        let spread = |number: usize| number * samples.len() / count.max(1);
        let question = |number| {
            let conversation = get(&samples, spread(number))?;
            let shots = demonstrations.pick(&conversation, self.shots);
            Ok(with_demonstrations(conversation, &shots))
        };
        (0..count).map(question).collect()
    }
}

impl<M: Converses> Speaker<M> {
    /// Asks the last question of each conversation of a split and compares what is said with what should be:
    /// `accuracy` is the share of answers that are the same but for case and white space at the ends, of all and of
    /// each task.
    ///
    /// # Errors
    ///
    /// Those of the data and of [`answer`](Self::answer).
    pub fn score(
        &self,
        data: &Data<Conversation>,
        split: Split,
        config: &ScoreConfig,
    ) -> Result<Outcome, Error> {
        let conversations = config.questions(data, split)?;
        let count = conversations.len();
        // Of like length together, so that little is padding.
        let mut order: Vec<usize> = (0..count).collect();
        let length = |at: usize| -> usize {
            conversations[at]
                .turns
                .iter()
                .map(|turn| turn.text.len())
                .sum()
        };
        order.sort_by_key(|&at| length(at));
        let mut said: Vec<Option<(String, f64)>> = vec![None; count];
        for chunk in order.chunks(config.batch_size.max(1)) {
            let asked: Vec<Asked> = chunk.iter().map(|&at| asked(&conversations[at])).collect();
            let on_text = &mut |_: usize, _: &str| ControlFlow::Continue(());
            let answers = self.answer(&asked, &config.generation, on_text)?;
            for (&at, answer) in chunk.iter().zip(answers) {
                // The score is the mean log-probability of a token.
                said[at] = Some((answer.text, f64::from(answer.score).exp()));
            }
        }
        let mut tasks: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let mut predictions = Vec::with_capacity(count);
        for (conversation, said) in conversations.into_iter().zip(said) {
            let (text, score) = said.unwrap_or_default();
            let target = conversation
                .turns
                .last()
                .map(|turn| turn.text.clone())
                .unwrap_or_default();
            let (target, prediction) = (target.trim().to_lowercase(), text.trim().to_lowercase());
            let right = f64::from(u8::from(target == prediction));
            for name in [
                "accuracy".to_owned(),
                format!("accuracy.{}", conversation.task),
            ] {
                if !name.ends_with('.') {
                    let (sum, count) = tasks.entry(name).or_default();
                    *sum += right;
                    *count += 1.0;
                }
            }
            predictions.push(Prediction {
                id: conversation.id,
                target,
                prediction,
                score,
                ..Prediction::default()
            });
        }
        let metrics = tasks
            .into_iter()
            .map(|(name, (sum, count))| (name, sum / count));
        Ok(Outcome {
            metrics: metrics.collect(),
            cost: Cost {
                parameters: self.model.num_params(),
                ..Cost::default()
            },
            predictions,
            data_digest: data.digest.clone(),
            ..Outcome::default()
        })
    }
}

fn get(samples: &Samples<Conversation>, at: usize) -> Result<Conversation, Error> {
    let conversation = samples.get(at).map_err(DataError::Dataset);
    conversation.map_err(Error::data)
}

/// The conversation up to its last answer.
fn asked(conversation: &Conversation) -> Asked {
    let mut turns = conversation.turns.clone();
    turns.pop();
    Asked {
        turns,
        images: conversation.images.clone(),
    }
}
