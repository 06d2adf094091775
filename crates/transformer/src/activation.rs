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
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => gelu_tanh(x),
            Self::Relu => activation::relu(x),
        }
    }
}

/// `x/2 (1 + tanh(u)) = x sigmoid(2u)` with `u = sqrt(2/pi) (x + 0.044715 x^3)`: the same function with
/// a sigmoid and two products in place of `tanh` and `powf`, half the time where those are scalar code.
fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE_SQRT_2_OVER_PI: f64 = 1.595_769_121_605_731;
    let square = x.clone() * x.clone();
    let slope = square * (0.044715 * TWICE_SQRT_2_OVER_PI) + TWICE_SQRT_2_OVER_PI;
    x.clone() * activation::sigmoid(x * slope)
}
