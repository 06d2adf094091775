use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor};
use crucible_kernels::feed_forward;
use schemars::JsonSchema;

use crate::dropout::chance;
use crate::linear::layer;
use crate::{Activation, linear};

/// Configuration of [`FeedForward`].
#[derive(Config, Debug, JsonSchema)]
pub struct FeedForwardConfig {
    /// Width of input and output.
    pub d_model: usize,
    /// Width of the hidden layer.
    pub d_ff: usize,
    /// Non-linearity of the hidden layer.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Chance that a hidden unit is dropped in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// The position-wise network of a block: linear, activation, dropout, linear.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `d_model` to `d_ff`.
    pub inner: Linear,
    /// `d_ff` to `d_model`.
    pub outer: Linear,
    dropout: Dropout,
    #[module(skip)]
    activation: Activation,
}

impl FeedForwardConfig {
    /// A network with fresh weights.
    pub fn init(&self, device: &Device) -> FeedForward {
        FeedForward {
            inner: linear(self.d_model, self.d_ff, device),
            outer: linear(self.d_ff, self.d_model, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            activation: self.activation,
        }
    }
}

impl FeedForward {
    /// # Shapes
    /// - input and output: `[batch, length, d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let dropout = chance(&self.dropout, &x);
        let layers = [&self.inner, &self.outer].map(layer);
        feed_forward(x, layers, self.activation, dropout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, values};

    #[test]
    fn keeps_the_shape_and_trains_everything() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            let config = FeedForwardConfig::new(6, 10).with_activation(activation);
            let layer = config.init(&device());
            let output = layer.forward(values([2, 3, 6], 1, &device()));
            assert_eq!(output.dims(), [2, 3, 6]);
            assert_gradients_reach_everything(&layer, output);
        }
    }
}
