use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fused::Fused;
use crate::route::is_fused;

/// The non-linearity of a feed-forward network or of a convolutional stem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x * Phi(x)` with the exact error function (BERT, ViT).
    #[default]
    Gelu,
    /// The tanh approximation of GELU (GPT-2, SigLIP).
    GeluTanh,
    /// `max(x, 0)`: the cheapest.
    Relu,
    /// `x sigmoid(1.702 x)`, the older approximation of GELU (CLIP).
    QuickGelu,
    /// `x sigmoid(x)`, also called swish (Llama, where it opens a gate).
    Silu,
}

/// What the sigmoid of [`Activation::QuickGelu`] is steeper by.
pub(crate) const QUICK: f32 = 1.702;

/// Applies a function to each element (Hendrycks and Gimpel 2016 for GELU and its approximation).
///
/// # Shapes
/// - input and output: any
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match is_fused(&x) {
        true => Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), activation)),
        false => composed(x, activation),
    }
}

/// [`activate`], composed.
pub fn composed<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_tanh(x),
        Activation::Relu => activation::relu(x),
        Activation::QuickGelu => x.clone() * activation::sigmoid(x * QUICK),
        Activation::Silu => x.clone() * activation::sigmoid(x),
    }
}

/// `x/2 (1 + erf(x / sqrt(2)))`: on GPUs the gradient of Burn's own is that of the tanh approximation,
/// which is wrong by 1e-3.
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
