use burn::nn::Dropout;
use burn::tensor::Tensor;

/// The chance that a fused operation drops an element of `x`; as Burn's [`Dropout`] does it, in training alone and
/// not in a part that is frozen.
pub fn chance(dropout: &Dropout, x: &Tensor<3>) -> f64 {
    match dropout.training.is_enabled() && x.is_autodiff() {
        true => dropout.prob,
        false => 0.0,
    }
}
