use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Each beam is a row of the cache of keys and values.
const MOST_BEAMS: usize = 256;

/// How prompts are continued: the options of `generate` in `transformers`, by their names there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GenerationConfig {
    /// Most tokens to add to a prompt; fewer where the model takes no longer sequence.
    #[schemars(range(min = 1))]
    pub max_new_tokens: usize,
    /// What scores are divided by before a token is drawn: below 1 sharper, above 1 flatter. 0 draws
    /// nothing and always takes the likeliest token.
    #[schemars(range(min = 0.0))]
    pub temperature: f64,
    /// Draws among so many of the likeliest tokens; 0 draws among all.
    pub top_k: usize,
    /// Draws among the fewest likeliest tokens whose probabilities sum to this (nucleus sampling, Holtzman et al.
    /// 2020, <https://arxiv.org/abs/1904.09751>); 1 draws among all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub top_p: f64,
    /// Makes tokens of the prompt and of the text so far less likely, above 1 (Keskar et al. 2019,
    /// <https://arxiv.org/abs/1909.05858>, section 4.1); 1 is off.
    #[schemars(range(min = 0.0))]
    pub repetition_penalty: f64,
    /// Sequences that a beam search follows for each prompt; 1 is no beam search. More ask for a temperature of 0.
    #[schemars(range(min = 1))]
    pub beams: usize,
    /// A sequence's score is the sum of its log-probabilities divided by its number of new tokens to this power:
    /// above 0 favours long sequences, below 0 short ones.
    pub length_penalty: f64,
    /// Texts that end a sequence; they are cut off.
    pub stop_strings: Vec<String>,
    /// Seed of all that is drawn.
    pub seed: u64,
}

/// The likeliest token each time, 128 times at most.
impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            max_new_tokens: 128,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            beams: 1,
            length_penalty: 1.0,
            stop_strings: Vec::new(),
            seed: 0,
        }
    }
}

impl GenerationConfig {
    /// Whether the values are possible, each and together.
    ///
    /// # Errors
    /// When they are not: the field and what it must be.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        ConfigError::unless(self.max_new_tokens > 0, "max_new_tokens", || {
            "must be at least 1".into()
        })?;
        let temperature = self.temperature;
        let possible = temperature == 0.0 || positive(temperature);
        ConfigError::unless(possible, "temperature", || {
            format!("is {temperature}, but must be 0 (nothing is drawn) or a positive number")
        })?;
        let top_p = self.top_p;
        ConfigError::unless(positive(top_p) && top_p <= 1.0, "top_p", || {
            format!("is {top_p}, but must lie above 0 and be at most 1 (all tokens)")
        })?;
        for (field, limits) in [("top_k", self.top_k > 0), ("top_p", top_p < 1.0)] {
            ConfigError::unless(!limits || temperature > 0.0, field, || {
                "limits what is drawn, but at a temperature of 0 nothing is: set temperature above 0"
                    .into()
            })?;
        }
        let penalty = self.repetition_penalty;
        ConfigError::unless(positive(penalty), "repetition_penalty", || {
            format!("is {penalty}, but must be a positive number; 1 is off")
        })?;
        ConfigError::unless(self.beams > 0, "beams", || {
            "must be at least 1, which is no beam search".into()
        })?;
        ConfigError::unless(self.beams <= MOST_BEAMS, "beams", || {
            format!("is {}, but must be at most {MOST_BEAMS}", self.beams)
        })?;
        let drawn = self.beams > 1 && temperature > 0.0;
        ConfigError::unless(!drawn, "beams", || {
            let beams = self.beams;
            format!(
                "is {beams}, but a beam search draws nothing: set temperature to 0, or beams to 1"
            )
        })?;
        let length = self.length_penalty;
        ConfigError::unless(length.is_finite(), "length_penalty", || {
            format!("is {length}, but must be a finite number; 0 is off")
        })?;
        let empty = self.stop_strings.iter().any(String::is_empty);
        ConfigError::unless(!empty, "stop_strings", || {
            "must not hold an empty text, which would end every sequence at once".into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_named() {
        type Spoil = fn(&mut GenerationConfig);
        let cases: [(&str, Spoil); 15] = [
            ("max_new_tokens", |c| c.max_new_tokens = 0),
            ("temperature", |c| c.temperature = -0.5),
            ("temperature", |c| c.temperature = f64::NAN),
            ("top_p", |c| c.top_p = 0.0),
            ("top_p", |c| c.top_p = 1.1),
            ("top_p", |c| c.top_p = 0.9),
            ("top_k", |c| c.top_k = 5),
            ("repetition_penalty", |c| c.repetition_penalty = 0.0),
            ("repetition_penalty", |c| {
                c.repetition_penalty = f64::INFINITY;
            }),
            ("beams", |c| c.beams = 0),
            ("beams", |c| c.beams = 1_000_000),
            ("beams", |c| (c.beams, c.temperature) = (2, 1.0)),
            ("length_penalty", |c| c.length_penalty = f64::NAN),
            ("stop_strings", |c| c.stop_strings = vec![String::new()]),
            ("stop_strings", |c| {
                c.stop_strings = vec!["a".into(), String::new()];
            }),
        ];
        for (field, spoil) in cases {
            let mut config = GenerationConfig::default();
            assert_eq!(config.check(), Ok(()));
            spoil(&mut config);
            assert_eq!(config.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn what_can_be_asked_for_together_passes() {
        let sampled = GenerationConfig {
            temperature: 0.7,
            top_k: 40,
            top_p: 0.9,
            repetition_penalty: 1.3,
            stop_strings: vec!["\n".into()],
            ..GenerationConfig::default()
        };
        assert_eq!(sampled.check(), Ok(()));
        let beams = GenerationConfig {
            beams: 4,
            length_penalty: -1.0,
            ..GenerationConfig::default()
        };
        assert_eq!(beams.check(), Ok(()));
    }
}
