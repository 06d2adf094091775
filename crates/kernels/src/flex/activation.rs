use pulp::{Arch, Simd};

use super::Float;
use super::math::{normal, sigmoid};
use super::parallel::{Blocks, Parts};
use super::tensor::{contiguous, owned, values};
use crate::Activation;
use crate::activation::QUICK;

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 15;

pub fn forward(x: Float, activation: Activation) -> Float {
    let mut output = owned(x);
    let output_values = output.storage_mut::<f32>();
    let blocks = Blocks::new(output_values.len(), 1, BLOCK);
    let parts = Parts::new(output_values);
    blocks.each(|_, range| {
        // SAFETY: blocks do not overlap.
        apply(unsafe { parts.get(range) }, activation);
    });
    output
}

pub fn backward(x: Float, grad: Float, activation: Activation) -> Float {
    let (x, mut output) = (contiguous(x), owned(grad));
    let (x, grad) = (values(&x), output.storage_mut::<f32>());
    let blocks = Blocks::new(grad.len(), 1, BLOCK);
    let parts = Parts::new(grad);
    blocks.each(|_, range| {
        // SAFETY: blocks do not overlap.
        differentiate(unsafe { parts.get(range.clone()) }, &x[range], activation);
    });
    output
}

/// What [`differentiate`] needs beside the gradient: for all but ReLU, whose output is as good, the input.
pub fn needs_input(activation: Activation) -> bool {
    activation != Activation::Relu
}

/// Replaces each element by the function of it.
#[pulp::with_simd(apply = Arch::new())]
#[inline(always)]
pub fn apply_simd<'a, S: Simd>(_: S, x: &'a mut [f32], activation: Activation) {
    match activation {
        Activation::Gelu => x.iter_mut().for_each(|x| *x *= normal(*x).0),
        Activation::GeluTanh => x
            .iter_mut()
            .for_each(|x| *x *= sigmoid(tanh_slope(*x) * *x)),
        // Keeps what is not a number.
        Activation::Relu => x
            .iter_mut()
            .for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
        Activation::QuickGelu => x.iter_mut().for_each(|x| *x *= sigmoid(QUICK * *x)),
        Activation::Silu => x.iter_mut().for_each(|x| *x *= sigmoid(*x)),
    }
}

/// Replaces the gradient of each output by that of its input.
#[pulp::with_simd(differentiate = Arch::new())]
#[inline(always)]
fn differentiate_simd<'a, 'b, S: Simd>(
    _: S,
    grad: &'a mut [f32],
    x: &'b [f32],
    activation: Activation,
) {
    let pairs = grad.iter_mut().zip(x);
    match activation {
        Activation::Gelu => pairs.for_each(|(grad, x)| {
            let (below, density) = normal(*x);
            *grad *= below + x * density;
        }),
        Activation::GeluTanh => pairs.for_each(|(grad, x)| {
            let s = sigmoid(tanh_slope(*x) * x);
            let slope = TWICE_SQRT_2_OVER_PI + 3.0 * CUBIC * x * x;
            *grad *= s + x * s * (1.0 - s) * slope;
        }),
        Activation::Relu => {
            pairs.for_each(|(grad, x)| *grad = if *x > 0.0 { *grad } else { 0.0 });
        }
        Activation::QuickGelu => pairs.for_each(|(grad, x)| *grad *= gate_slope(*x, QUICK)),
        Activation::Silu => pairs.for_each(|(grad, x)| *grad *= gate_slope(*x, 1.0)),
    }
}

/// The derivative of `x sigmoid(steepness x)`.
#[inline(always)]
fn gate_slope(x: f32, steepness: f32) -> f32 {
    let s = sigmoid(steepness * x);
    s + steepness * x * s * (1.0 - s)
}

const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715 * TWICE_SQRT_2_OVER_PI;

/// The approximation of GELU is `x sigmoid(x slope)`.
#[inline(always)]
fn tanh_slope(x: f32) -> f32 {
    CUBIC * x * x + TWICE_SQRT_2_OVER_PI
}
