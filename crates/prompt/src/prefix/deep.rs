use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use crucible_transformer::ConfigError;
use schemars::JsonSchema;

use super::Sizes;
use super::config::{at_least_one, fits};

/// Configuration of a [`DeepPrompt`].
#[derive(Config, Debug, JsonSchema)]
pub struct DeepPromptConfig {
    /// How many vectors each layer has.
    pub tokens: usize,
}

/// Trained vectors at the input of each layer of an encoder, in the places of those before (VPT-deep, Jia et al. 2022,
/// section 3.2).
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
        fits(self.tokens, sizes)
    }

    /// Numbers that train.
    pub fn parameters(&self, sizes: &Sizes) -> usize {
        sizes.layers * self.tokens * sizes.d_model
    }

    /// A prompt that has not been trained.
    pub fn init(&self, sizes: &Sizes, device: &Device) -> DeepPrompt {
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let width = Some(sizes.d_model);
        let shape = [sizes.layers, self.tokens, sizes.d_model];
        DeepPrompt {
            vectors: xavier.init_with(shape, width, width, device),
        }
    }
}
