//! What is done to single rows of scores.

use pulp::{Arch, Simd};

use crate::attention::MASKED;
use crate::flex::lanes;
use crate::flex::math::exp;

/// Scaled scores of a row become weights relative to its largest so far. Where that has grown, what was summed
/// before becomes less, in `output` too (Milakov and Gimelshein 2018, section 3).
#[pulp::with_simd(exponentiate = Arch::new())]
#[inline(always)]
pub fn exponentiate_simd<'a, 'b, 'c, 'd, S: Simd>(
    _: S,
    scores: &'a mut [f32],
    largest: &'b mut f32,
    sum: &'c mut f32,
    output: Option<&'d mut [f32]>,
    scale: f32,
) {
    let before = *largest;
    let max = lanes::max(scores) * scale;
    *largest = if before > max { before } else { max };
    let of_before = exp(before - *largest);
    *sum = *sum * of_before + lanes::map_sum(scores, |x| exp(x * scale - *largest));
    for x in output.into_iter().flatten() {
        *x *= of_before;
    }
}

#[pulp::with_simd(scale_row = Arch::new())]
#[inline(always)]
pub fn scale_row_simd<'a, S: Simd>(_: S, row: &'a mut [f32], factor: f32) {
    row.iter_mut().for_each(|x| *x *= factor);
}

/// Whether all keys were hidden from a row, from the logarithm of its normaliser; it then averages over them.
pub fn sees_nothing(kept: f32, keys: usize) -> bool {
    kept <= MASKED as f32 + (keys as f32).ln() + 1.0
}

/// The weights of a row of scores, from the logarithm of its normaliser.
#[pulp::with_simd(weights = Arch::new())]
#[inline(always)]
pub fn weights_simd<'a, S: Simd>(_: S, scores: &'a mut [f32], kept: f32, scale: f32) {
    scores.iter_mut().for_each(|x| *x = exp(*x * scale - kept));
}

/// From the gradient of a row of weights to that of its scores: `p * (ds - sum(p * ds))`, where the sum is
/// that of the output times its gradient.
#[pulp::with_simd(differentiate = Arch::new())]
#[inline(always)]
pub fn differentiate_simd<'a, 'b, 'c, 'd, S: Simd>(
    _: S,
    ds: &'a mut [f32],
    p: &'b [f32],
    grad: &'c [f32],
    output: &'d [f32],
    scale: f32,
) {
    let mean = lanes::sum2(grad, output, |grad, output| grad * output);
    for (ds, p) in ds.iter_mut().zip(p) {
        *ds = scale * p * (*ds - mean);
    }
}
