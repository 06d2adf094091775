use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;

use crate::{ConfigError, linear, project};

/// Configuration of low-rank adapters.
#[derive(Config, Debug, PartialEq, JsonSchema)]
pub struct LoraConfig {
    /// Width that each update passes through.
    #[config(default = 8)]
    pub rank: usize,
    /// The update is scaled by `alpha / rank`.
    #[config(default = 16.0)]
    pub alpha: f64,
    /// Chance that an input of an adapter is dropped in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl LoraConfig {
    /// Whether the values are possible; [`Projection::with_lora`] panics where they are not.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        ConfigError::unless(self.rank > 0, "rank", || "must be at least 1".into())?;
        ConfigError::unless(self.alpha.is_finite(), "alpha", || {
            format!("is {}, but must be a finite number", self.alpha)
        })?;
        ConfigError::unless((0.0..1.0).contains(&self.dropout), "dropout", || {
            format!("is {}, but must lie in [0, 1)", self.dropout)
        })
    }
}

/// A linear layer that may have an adapter beside it.
#[derive(Module, Debug)]
pub struct Projection {
    /// The layer itself.
    pub linear: Linear,
    /// What is added to it.
    pub lora: Option<LowRank>,
}

/// The update of a linear layer as the product of two narrow ones (LoRA, Hu et al. 2022, section 4.1).
///
/// Burn's own adapters add that product to the weight, whose gradient must then be computed whole; here the narrow
/// products act on the activations, and the frozen weight has no gradient at all.
#[derive(Module, Debug)]
pub struct LowRank {
    /// `[d_input, rank]`, random.
    pub down: Param<Tensor<2>>,
    /// `[rank, d_output]`, zero at first, so that nothing changes until it is trained.
    pub up: Param<Tensor<2>>,
    dropout: Dropout,
    scale: f64,
}

impl Projection {
    /// A layer with fresh weights and no adapter.
    pub fn new(d_input: usize, d_output: usize, bias: bool, device: &Device) -> Self {
        let mut linear = linear(d_input, d_output, device);
        if !bias {
            linear.bias = None;
        }
        Self { linear, lora: None }
    }

    /// # Shapes
    /// - from `[..., d_input]` to `[..., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.lora {
            Some(lora) => project(&self.linear, x.clone()) + lora.forward(x),
            None => project(&self.linear, x),
        }
    }

    /// The same layer, frozen, with a fresh adapter that trains.
    pub fn with_lora(self, config: &LoraConfig) -> Self {
        let [d_input, d_output] = self.linear.weight.dims();
        let device = self.linear.weight.val().device();
        let bound = Initializer::KaimingUniform {
            gain: f64::sqrt(1.0 / 3.0),
            fan_out_only: false,
        };
        let down = bound.init_with(
            [d_input, config.rank],
            Some(d_input),
            Some(config.rank),
            &device,
        );
        Self {
            linear: self.linear.no_grad(),
            lora: Some(LowRank {
                down,
                up: Initializer::Zeros.init([config.rank, d_output], &device),
                dropout: DropoutConfig::new(config.dropout).init(),
                scale: config.alpha / config.rank as f64,
            }),
        }
    }

    /// One layer that does what layer and adapter do.
    pub fn merged(self) -> Self {
        let Self { mut linear, lora } = self;
        if let Some(lora) = lora {
            let update = lora.down.val().matmul(lora.up.val()) * lora.scale;
            linear.weight = linear.weight.map(|weight| weight + update);
        }
        Self { linear, lora: None }
    }
}

impl LowRank {
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let narrow = self.dropout.forward(x);
        let narrow = crucible_kernels::linear(narrow, self.down.val(), None, None);
        // The narrow tensor is the cheapest to scale.
        crucible_kernels::linear(narrow * self.scale, self.up.val(), None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_named() {
        type Spoil = fn(&mut LoraConfig);
        let cases: [(&str, Spoil); 5] = [
            ("rank", |c| c.rank = 0),
            ("alpha", |c| c.alpha = f64::NAN),
            ("dropout", |c| c.dropout = 1.0),
            ("dropout", |c| c.dropout = -0.1),
            ("dropout", |c| c.dropout = f64::NAN),
        ];
        for (field, spoil) in cases {
            let mut config = LoraConfig::new();
            assert_eq!(config.check(), Ok(()));
            spoil(&mut config);
            assert_eq!(config.check().unwrap_err().field, field);
        }
    }
}
