use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor};
use crucible_transformer::{ConfigError, KeyValueCache, embedding_initializer, linear, project};
use schemars::JsonSchema;

use super::Sizes;
use super::config::{at_least_one, fits};

/// Configuration of [`PrefixTuning`].
#[derive(Config, Debug, JsonSchema)]
pub struct PrefixTuningConfig {
    /// How many keys and values each layer has.
    pub tokens: usize,
    /// Width of the hidden layer of the network that makes them; 0 for no network.
    #[config(default = 0)]
    pub hidden: usize,
}

/// Trained keys and values before those of the words, in every layer of a causal model (prefix tuning, Li and Liang
/// 2021). They take the first positions and are not turned by them.
#[derive(Module, Debug)]
pub struct PrefixTuning {
    /// `[tokens, layers * 2 * d_keys]`: for each layer the key, then the value; with a network what it makes them from,
    /// `[tokens, d_model]`.
    pub table: Param<Tensor<2>>,
    /// The network.
    pub network: Option<Reparameterisation>,
}

/// Two layers with tanh between them, without which prefixes train unsteadily (Li and Liang 2021, section 4.3).
#[derive(Module, Debug)]
pub struct Reparameterisation {
    /// `d_model` to `hidden`.
    pub inner: Linear,
    /// `hidden` to `layers * 2 * d_keys`.
    pub outer: Linear,
}

impl PrefixTuningConfig {
    /// Whether it fits a model of those sizes.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        at_least_one("tokens", self.tokens)?;
        ConfigError::unless(sizes.d_keys.is_some(), "prefix", || {
            "is `prefix-tuning`, which causal models take; an encoder takes `deep`".into()
        })?;
        fits(self.tokens, sizes)
    }

    /// Numbers that train.
    pub fn parameters(&self, sizes: &Sizes) -> usize {
        let (tokens, hidden, width) = (self.tokens, self.hidden, width(sizes));
        match hidden {
            0 => tokens * width,
            _ => tokens * sizes.d_model + (sizes.d_model + 1) * hidden + (hidden + 1) * width,
        }
    }

    /// A prefix that has not been trained.
    pub fn init(&self, sizes: &Sizes, device: &Device) -> PrefixTuning {
        let (hidden, width) = (self.hidden, width(sizes));
        // As wide as what a linear layer starts for.
        let inner = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        match hidden {
            0 => PrefixTuning {
                table: embedding_initializer().init([self.tokens, width], device),
                network: None,
            },
            _ => PrefixTuning {
                table: inner.init([self.tokens, sizes.d_model], device),
                network: Some(Reparameterisation {
                    inner: linear(sizes.d_model, hidden, device),
                    outer: linear(hidden, width, device),
                }),
            },
        }
    }
}

/// Keys and values of one token in all layers.
pub(super) fn width(sizes: &Sizes) -> usize {
    sizes.layers * 2 * sizes.d_keys.unwrap_or(0)
}

impl PrefixTuning {
    /// Keys and values of all layers side by side.
    ///
    /// # Shapes
    /// - output: `[tokens, layers * 2 * d_keys]`
    pub fn keys_and_values(&self) -> Tensor<2> {
        let table = self.table.val();
        match &self.network {
            None => table,
            Some(network) => project(&network.outer, project(&network.inner, table).tanh()),
        }
    }

    /// What words follow: see [`KeyValueCache::of`].
    pub fn cache(&self, sizes: &Sizes, sequences: usize) -> KeyValueCache {
        let all = self.keys_and_values();
        let [tokens, width] = all.dims();
        let d_keys = width / (2 * sizes.layers.max(1));
        let side = |number| {
            let one = all.clone().narrow(1, number * d_keys, d_keys);
            one.unsqueeze::<3>().expand([sequences, tokens, d_keys])
        };
        let layer = |layer| (side(2 * layer), side(2 * layer + 1));
        KeyValueCache::of((0..sizes.layers).map(layer).collect())
    }

    /// The plain prefix that it amounts to.
    pub fn fixed(&self) -> Self {
        Self {
            table: Param::from_tensor(self.keys_and_values().detach()),
            network: None,
        }
    }
}
