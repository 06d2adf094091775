use burn::tensor::{Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The non-linearity of a feed-forward network or of a convolutional stem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x * Phi(x)` with the exact error function (BERT, ViT).
    #[default]
    Gelu,
    /// The tanh approximation of GELU (GPT-2, SigLIP).
    GeluTanh,
    /// `max(x, 0)`: by far the cheapest on a CPU, where `erf` and `exp` are scalar code.
    Relu,
}

impl Activation {
    /// Applies the function to each element.
    ///
    /// # Shapes
    /// - input and output: any
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => gelu(x),
            Self::GeluTanh => gelu_tanh(x),
            Self::Relu => activation::relu(x),
        }
    }
}

/// `x/2 (1 + erf(x / sqrt(2)))`, composed: on GPUs the gradient of Burn's own is that of the tanh
/// approximation, which is wrong by 1e-3.
fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let phi = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    x * phi
}

/// `x/2 (1 + tanh(u)) = x sigmoid(2u)` with `u = sqrt(2/pi) (x + 0.044715 x^3)`: the same function with
/// a sigmoid and two products in place of `tanh` and `powf`, half the time where those are scalar code.
fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE_SQRT_2_OVER_PI: f64 = 1.595_769_121_605_731;
    let square = x.clone() * x.clone();
    let slope = square * (0.044715 * TWICE_SQRT_2_OVER_PI) + TWICE_SQRT_2_OVER_PI;
    x.clone() * activation::sigmoid(x * slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, values};

    #[test]
    fn values_are_the_textbook_ones() {
        let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &device());
        for (activation, expected) in [
            (Activation::Gelu, [-0.158_655_25, 0.0, 1.954_499_7]),
            (Activation::GeluTanh, [-0.158_808, 0.0, 1.954_597_7]),
            (Activation::Relu, [0.0, 0.0, 2.0]),
        ] {
            let expected = Tensor::from_floats(expected, &device());
            assert!(
                difference(activation.forward(x.clone()), expected) < 1e-6,
                "{activation:?}"
            );
        }
    }

    /// Of `x Phi(x)`: `Phi(x) + x phi(x)`, at -1, 0 and 2.
    #[test]
    fn the_gradient_of_gelu_is_the_exact_one() {
        let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &device()).require_grad();
        let gradients = Activation::Gelu.forward(x.clone()).sum().backward();
        let expected = Tensor::from_floats([-0.083_315_47, 0.5, 1.085_231_8], &device());
        assert!(difference(x.grad(&gradients).unwrap(), expected.inner()) < 1e-6);
    }

    #[test]
    fn gelu_tanh_is_burns_and_so_is_its_gradient() {
        let x = values([50], 1, &device()) * 5.0;
        let (a, b) = (x.clone().require_grad(), x.require_grad());
        let (ours, burns) = (
            Activation::GeluTanh.forward(a.clone()),
            activation::gelu_approximate(b.clone()),
        );
        assert!(difference(ours.clone(), burns.clone()) < 1e-6);
        let (ours, burns) = (ours.sum().backward(), burns.sum().backward());
        assert!(difference(a.grad(&ours).unwrap(), b.grad(&burns).unwrap()) < 1e-5);
    }
}
