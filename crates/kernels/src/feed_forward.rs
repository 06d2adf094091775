use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::dropout::{self, Dropout};
use crate::fused::Fused;
use crate::route::is_fused;
use crate::{Activation, flops, linear};

/// A linear layer.
///
/// # Shapes
/// - weight: `[d_input, d_output]`; bias: `[d_output]`
#[derive(Clone, Debug)]
pub struct Layer {
    pub weight: Tensor<2>,
    pub bias: Option<Tensor<1>>,
}

/// Two linear layers with an activation and dropout between them, on the last axis: the position-wise network
/// of Vaswani et al. 2017, section 3.3.
///
/// Where it is fused, one tensor of the hidden width is kept for the backward pass, which computes the other
/// one again.
///
/// # Shapes
/// - `x` and output: `[..., d_input]` to `[..., d_output]`
///
/// # Panics
/// When the shapes do not fit.
pub fn feed_forward<const D: usize>(
    x: Tensor<D>,
    [inner, outer]: [Layer; 2],
    activation: Activation,
    dropout: f64,
) -> Tensor<D> {
    linear::check(&x, &inner.weight, inner.bias.as_ref());
    linear::check(&inner.weight, &outer.weight, outer.bias.as_ref());
    for [d_input, d_output] in [inner.weight.dims(), outer.weight.dims()] {
        flops::record(flops::dense(linear::rows(&x), d_input, d_output));
    }
    if !is_fused(&x) {
        return composed(x, [inner, outer], activation, dropout);
    }
    let dropout = Dropout::draw(dropout, &x);
    let [(inner, inner_bias), (outer, outer_bias)] = [inner, outer].map(|layer| {
        let [_, d_output] = layer.weight.dims();
        let zeros = || Tensor::zeros([d_output], &layer.weight.device());
        let bias = layer.bias.unwrap_or_else(zeros);
        (layer.weight.into_dispatch(), bias.into_dispatch())
    });
    let x = x.into_dispatch();
    Tensor::from_dispatch(Dispatch::feed_forward(
        x, inner, inner_bias, outer, outer_bias, activation, dropout,
    ))
}

/// [`feed_forward`], composed.
pub fn composed<const D: usize>(
    x: Tensor<D>,
    [inner, outer]: [Layer; 2],
    activation: Activation,
    dropout: f64,
) -> Tensor<D> {
    let hidden = linear::composed(x, inner.weight, inner.bias, Some(activation));
    let hidden = dropout::composed(hidden, dropout);
    linear::composed(hidden, outer.weight, outer.bias, None)
}
