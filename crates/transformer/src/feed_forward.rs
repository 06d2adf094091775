use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor};
use crucible_kernels::feed_forward;
use schemars::JsonSchema;

use crate::dropout::chance;
use crate::linear::layer;
use crate::{Activation, linear, project, project_and_activate};

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
    /// The activation opens a gate for a second projection (Shazeer 2020).
    #[config(default = false)]
    pub gated: bool,
}

/// The position-wise network of a block: linear, activation, dropout, linear; or with a gate
/// `outer(activation(gate(x)) * inner(x))` (SwiGLU with [`Activation::Silu`]).
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `d_model` to `d_ff`.
    pub gate: Option<Linear>,
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
            gate: (self.gated).then(|| linear(self.d_model, self.d_ff, device)),
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
        let Some(gate) = &self.gate else {
            let dropout = chance(&self.dropout, &x);
            let layers = [&self.inner, &self.outer].map(layer);
            return feed_forward(x, layers, self.activation, dropout);
        };
        let open = project_and_activate(gate, x.clone(), self.activation);
        let hidden = self.dropout.forward(open * project(&self.inner, x));
        project(&self.outer, hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::activation::silu;

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

    #[test]
    fn a_gate_multiplies_what_it_lets_through() {
        let config = FeedForwardConfig::new(6, 10)
            .with_activation(Activation::Silu)
            .with_gated(true);
        let layer = config.init(&device());
        let x = values([2, 3, 6], 1, &device());
        let gate = layer.gate.as_ref().unwrap();
        let open = silu(gate.forward(x.clone()));
        let expected = layer.outer.forward(open * layer.inner.forward(x.clone()));
        let output = layer.forward(x);
        assert!(difference(output.clone(), expected) < 1e-6);
        assert_gradients_reach_everything(&layer, output);
    }
}
