// A model has one prompt, whose kinds differ in size; the derived code repeats the enum, where no attribute reaches.
#![allow(clippy::large_enum_variant)]

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use crucible_transformer::{CausalLm, ConfigError, KeyValueCache};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::width;
use super::{
    Backbone, DeepPrompt, DeepPromptConfig, PTuning, PTuningConfig, PrefixTuning,
    PrefixTuningConfig, PromptEncoder, Sizes, SoftPrompt, SoftPromptConfig, SoftPromptInit,
};

/// Which continuous prompt stands before a model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "prefix")]
pub enum PrefixConfig {
    /// Vectors before the words (Lester et al. 2021).
    PromptTuning(SoftPromptConfig),
    /// Vectors before the words, made by a network in training (P-tuning, Liu et al. 2021).
    PTuning(PTuningConfig),
    /// Keys and values in every layer of a causal model (Li and Liang 2021).
    PrefixTuning(PrefixTuningConfig),
    /// Vectors before the patches or words of an encoder, in one layer or more (VPT, Jia et al. 2022).
    Deep(DeepPromptConfig),
}

/// A continuous prompt with its numbers.
#[derive(Module, Debug)]
pub enum Prefix {
    /// See [`PrefixConfig::PromptTuning`].
    PromptTuning(SoftPrompt),
    /// See [`PrefixConfig::PTuning`].
    PTuning(PTuning),
    /// See [`PrefixConfig::PrefixTuning`].
    PrefixTuning(PrefixTuning),
    /// See [`PrefixConfig::Deep`].
    Deep(DeepPrompt),
}

impl PrefixConfig {
    /// Twenty vectors that begin at random (Lester et al. 2021, section 3.2, where more help little).
    pub fn prompt_tuning() -> Self {
        Self::PromptTuning(SoftPromptConfig::new(20))
    }

    /// Vectors that begin as those words (Lester et al. 2021).
    pub fn of_words(tokens: usize, ids: Vec<u32>) -> Self {
        let init = SoftPromptInit::Words { ids };
        Self::PromptTuning(SoftPromptConfig::new(tokens).with_init(init))
    }

    /// Twenty vectors of an MLP or of LSTMs (Liu et al. 2021).
    pub fn p_tuning(encoder: PromptEncoder) -> Self {
        Self::PTuning(PTuningConfig::new(20).with_encoder(encoder))
    }

    /// Ten keys and values a layer, of a network (Li and Liang 2021, section 6, for tables to text).
    pub fn prefix_tuning() -> Self {
        Self::PrefixTuning(PrefixTuningConfig::new(10).with_hidden(512))
    }

    /// Fifty vectors in each of so many layers (Jia et al. 2022).
    pub fn deep(layers: usize) -> Self {
        Self::Deep(DeepPromptConfig::new(50, layers))
    }

    /// Whether it fits a model of those sizes.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        match self {
            Self::PromptTuning(config) => config.check(sizes),
            Self::PTuning(config) => config.check(sizes),
            Self::PrefixTuning(config) => config.check(sizes),
            Self::Deep(config) => config.check(sizes),
        }
    }

    /// Numbers that train before a model of those sizes.
    pub fn parameters(&self, sizes: &Sizes) -> usize {
        match self {
            Self::PromptTuning(config) => config.parameters(sizes),
            Self::PTuning(config) => config.parameters(sizes),
            Self::PrefixTuning(config) => config.parameters(sizes),
            Self::Deep(config) => config.parameters(sizes),
        }
    }

    /// A prompt that has not been trained.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn init(&self, sizes: &Sizes, device: &Device) -> Result<Prefix, ConfigError> {
        self.check(sizes)?;
        Ok(match self {
            Self::PromptTuning(config) => Prefix::PromptTuning(config.init(sizes, device)),
            Self::PTuning(config) => Prefix::PTuning(config.init(sizes, device)),
            Self::PrefixTuning(config) => Prefix::PrefixTuning(config.init(sizes, device)),
            Self::Deep(config) => Prefix::Deep(config.init(&SoftPromptInit::Xavier, sizes, device)),
        })
    }
}

impl Prefix {
    /// The plain prompt that it amounts to, without the network that made it in training.
    pub fn fixed(&self) -> Self {
        match self {
            Self::PTuning(prompt) => Self::PromptTuning(prompt.fixed()),
            Self::PrefixTuning(prefix) => Self::PrefixTuning(prefix.fixed()),
            plain => plain.clone(),
        }
    }

    /// How many vectors, or keys and values a layer.
    pub fn tokens(&self) -> usize {
        match self {
            Self::PromptTuning(prompt) => prompt.vectors.dims()[0],
            Self::PTuning(prompt) => prompt.inner.dims()[0],
            Self::PrefixTuning(prefix) => prefix.table.dims()[0],
            Self::Deep(prompt) => prompt.vectors.dims()[1],
        }
    }

    /// How many places before the words of a causal model are its own, with states of their own.
    pub fn places(&self) -> usize {
        match self {
            Self::PrefixTuning(_) => 0,
            _ => self.tokens(),
        }
    }

    /// The vectors that enter an encoder, for its first `layers` blocks; none of keys and values.
    ///
    /// # Shapes
    /// - output: `[layers, tokens, d_model]`, with one layer unless each has its own
    pub fn vectors(&self) -> Option<Tensor<3>> {
        match self {
            Self::PromptTuning(prompt) => Some(prompt.vectors.val().unsqueeze()),
            Self::PTuning(prompt) => Some(prompt.vectors().unsqueeze()),
            Self::Deep(prompt) => Some(prompt.vectors.val()),
            Self::PrefixTuning(_) => None,
        }
    }

    /// What a causal model is given in place of words alone: what they follow, and the sequence that
    /// [`CausalLm::extend`] takes in.
    ///
    /// # Shapes
    /// - `x`, of [`CausalLm::embed`]: `[sequences, length, d_model]`; as many rows of padding
    /// - output: [`places`](Self::places) more of each
    pub fn before(
        &self,
        model: &CausalLm,
        x: Tensor<3>,
        padding: &[Vec<bool>],
    ) -> (KeyValueCache, Tensor<3>, Vec<Vec<bool>>) {
        let [sequences, _, d_model] = x.dims();
        let (cache, vectors) = match self {
            Self::PrefixTuning(prefix) => (prefix.cache(&model.sizes(), sequences), None),
            _ => (model.cache(sequences), self.vectors()),
        };
        let places = self.places();
        let x = match vectors {
            Some(vectors) => {
                let vectors = vectors.narrow(0, 0, 1);
                let vectors = vectors.expand([sequences, places, d_model]);
                Tensor::cat(vec![vectors, x], 1)
            }
            None => x,
        };
        let padding = padding.iter().map(|row| {
            let seen = std::iter::repeat_n(false, places);
            seen.chain(row.iter().copied()).collect()
        });
        (cache, x, padding.collect())
    }

    /// Whether it stands before a model of those sizes as if made for it.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        let tokens = self.tokens();
        let (config, expected) = match self {
            Self::PrefixTuning(_) => (
                PrefixConfig::PrefixTuning(PrefixTuningConfig::new(tokens)),
                vec![tokens, width(sizes)],
            ),
            Self::Deep(prompt) => {
                let [layers, _, _] = prompt.vectors.dims();
                (
                    PrefixConfig::Deep(DeepPromptConfig::new(tokens, layers)),
                    vec![layers, tokens, sizes.d_model],
                )
            }
            Self::PromptTuning(_) | Self::PTuning(_) => (
                PrefixConfig::PromptTuning(SoftPromptConfig::new(tokens)),
                vec![tokens, sizes.d_model],
            ),
        };
        config.check(sizes)?;
        let found = self.numbers().shape().to_vec();
        ConfigError::unless(found == expected, "prefix", || {
            format!("has numbers of the shape {found:?}, but the model takes {expected:?}")
        })
    }

    /// What it amounts to, as the one array that is saved.
    ///
    /// # Shapes
    /// - `[tokens, d_model]`, `[tokens, layers * 2 * d_keys]` of keys and values, `[layers, tokens, d_model]` where each
    ///   layer has its own
    pub fn numbers(&self) -> TensorData {
        match self {
            Self::PromptTuning(prompt) => prompt.vectors.val().into_data(),
            Self::PTuning(prompt) => prompt.vectors().into_data(),
            Self::PrefixTuning(prefix) => prefix.keys_and_values().into_data(),
            Self::Deep(prompt) => prompt.vectors.val().into_data(),
        }
    }

    /// Of the [numbers](Self::numbers) of prompt or P-tuning, `[tokens, d_model]`, or of prefix tuning, `[tokens, layers * 2
    /// * d_keys]`; none where they have other axes or an empty one.
    pub fn of(numbers: TensorData, keys_and_values: bool, device: &Device) -> Option<Self> {
        let shape = numbers.shape().to_vec();
        if shape.len() != 2 || shape.contains(&0) {
            return None;
        }
        let numbers = Param::from_data(numbers, device);
        Some(match keys_and_values {
            false => Self::PromptTuning(SoftPrompt { vectors: numbers }),
            true => Self::PrefixTuning(PrefixTuning {
                table: numbers,
                network: None,
            }),
        })
    }
}

/// That there are any.
pub(super) fn at_least_one(field: &'static str, value: usize) -> Result<(), ConfigError> {
    ConfigError::unless(value > 0, field, || "must be at least 1".into())
}

/// That a model has room for so many tokens of a prompt.
pub(super) fn fits(tokens: usize, sizes: &Sizes) -> Result<(), ConfigError> {
    let most = sizes.room.unwrap_or(usize::MAX);
    ConfigError::unless(tokens <= most, "tokens", || {
        format!("is {tokens}, but the model has room for {most} beside its input")
    })
}
