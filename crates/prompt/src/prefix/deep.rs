use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use crucible_transformer::ConfigError;
use schemars::JsonSchema;

use super::config::{at_least_one, fits};
use super::{Sizes, SoftPromptInit};

/// Configuration of a [`DeepPrompt`].
#[derive(Config, Debug, JsonSchema)]
pub struct DeepPromptConfig {
    /// Vectors of each layer.
    pub tokens: usize,
    /// Layers that have vectors of their own, from the first; 1 is shallow.
    pub layers: usize,
}

/// Trained vectors at the input of the first layers of an encoder, in the places of those of the layer before (VPT, Jia et
/// al. 2022, section 3.2: shallow in one layer, deep in all).
#[derive(Module, Debug)]
pub struct DeepPrompt {
    /// `[layers, tokens, d_model]`.
    pub vectors: Param<Tensor<3>>,
}

impl DeepPromptConfig {
    /// Whether it fits a model of those sizes.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        at_least_one("tokens", self.tokens)?;
        ConfigError::unless(sizes.d_keys.is_none(), "prefix", || {
            "is `deep`, which encoders take; a causal model takes `prefix-tuning`".into()
        })?;
        let (layers, most) = (self.layers, sizes.layers);
        ConfigError::unless((1..=most).contains(&layers), "layers", || {
            format!("is {layers}, but must lie between 1 and the {most} layers of the model")
        })?;
        fits(self.tokens, sizes)
    }

    /// Numbers that train.
    pub fn parameters(&self, sizes: &Sizes) -> usize {
        self.layers * self.tokens * sizes.d_model
    }

    /// A prompt that has not been trained and starts like `init`; of words it is the first layer that does.
    ///
    /// # Panics
    /// When [`SoftPromptInit::check`] fails.
    pub fn init(&self, init: &SoftPromptInit, sizes: &Sizes, device: &Device) -> DeepPrompt {
        let shape = [self.layers, self.tokens, sizes.d_model];
        DeepPrompt {
            vectors: init.vectors(shape, sizes, device),
        }
    }
}
