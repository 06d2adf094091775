use super::dropout::Dropped;
use super::parallel::{Blocks, Parts};
use super::tensor::owned;
use super::{Float, activation, linear, rows_and_width};
use crate::Activation;
use crate::dropout::Dropout;

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 15;

/// Output, and what the derivative of the activation is computed from.
pub fn forward(
    x: Float,
    [inner, outer]: [Float; 2],
    [inner_bias, outer_bias]: [Float; 2],
    activation: Activation,
    dropout: Dropout,
    keep: bool,
) -> (Float, Option<Float>) {
    let (hidden, kept) = linear::forward(x, inner, Some(inner_bias), Some(activation), keep);
    let hidden = drop_some(hidden, dropout);
    let (output, _) = linear::forward(hidden, outer, Some(outer_bias), None, false);
    (output, kept)
}

/// The hidden units are computed again from what was kept.
pub fn backward(
    x: Float,
    [inner, outer]: [Float; 2],
    kept: Option<Float>,
    grad: Float,
    activation: Activation,
    dropout: Dropout,
    [
        wants_x,
        wants_inner,
        wants_inner_bias,
        wants_outer,
        wants_outer_bias,
    ]: [bool; 5],
) -> [Option<Float>; 5] {
    let kept = kept.expect("the forward pass of an activation keeps what its derivative needs");
    let below = wants_x || wants_inner || wants_inner_bias;
    let hidden = drop_some(activation::forward(kept.clone(), activation), dropout);
    let wanted = [below, wants_outer, wants_outer_bias];
    let [of_hidden, of_outer, of_outer_bias] =
        linear::backward(hidden, outer, None, grad, None, wanted);
    let [of_x, of_inner, of_inner_bias] = match of_hidden {
        Some(grad) => {
            let grad = drop_some(grad, dropout);
            let wanted = [wants_x, wants_inner, wants_inner_bias];
            linear::backward(x, inner, Some(kept), grad, Some(activation), wanted)
        }
        None => [None, None, None],
    };
    [of_x, of_inner, of_inner_bias, of_outer, of_outer_bias]
}

/// Zeroes what is dropped and scales up the rest: in the forward pass of the hidden units, in the backward pass
/// of their gradient.
fn drop_some(hidden: Float, dropout: Dropout) -> Float {
    if !dropout.acts() {
        return hidden;
    }
    let (rows, width) = rows_and_width(&hidden);
    let mut hidden = owned(hidden);
    let parts = Parts::new(hidden.storage_mut::<f32>());
    Blocks::new(rows, width, BLOCK).each(|_, block| {
        for row in block {
            // SAFETY: rows do not overlap.
            let values = unsafe { parts.get(row * width..(row + 1) * width) };
            Dropped::new(dropout, row as u64).apply(values, 0);
        }
    });
    hidden
}
