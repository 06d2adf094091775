use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};

use crate::fused::Fused;
use crate::route::is_fused;

/// Softmax over the last axis.
///
/// # Shapes
/// - input and output: `[..., classes]`
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match is_fused(&x) {
        true => Tensor::from_dispatch(Dispatch::softmax(x.into_dispatch())),
        false => composed(x),
    }
}

/// [`softmax`], with a backward pass that takes no exponential.
///
/// Burn differentiates softmax op by op and takes `exp` again on the way back. Here the weights `p` are
/// computed once, outside the tape, and meet on it a zero that carries the gradient of the scores: the
/// result is `p` to the bit, its derivative `p * (g - sum(p * g))`, the exact one of softmax.
pub fn composed<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let constant = x.clone().inner();
    let p = activation::softmax(constant.clone(), D - 1);
    if !x.is_autodiff() {
        return p;
    }
    let zero = x - constant;
    let mean = (zero.clone() * p.clone()).sum_dim(D - 1);
    (zero - mean + 1.0) * p
}
