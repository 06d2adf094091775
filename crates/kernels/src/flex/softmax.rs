use burn::backend::TensorMetadata;
use pulp::{Arch, Simd};

use super::math::exp;
use super::parallel::{Blocks, Parts};
use super::tensor::{contiguous, owned, values};
use super::{Float, lanes, rows_and_width};

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 14;

pub fn forward(x: Float) -> Float {
    let (rows, width) = rows_and_width(&x);
    let mut output = owned(x);
    let parts = Parts::new(output.storage_mut::<f32>());
    Blocks::new(rows, width, BLOCK).each(|_, block| {
        // SAFETY: blocks do not overlap.
        let rows = unsafe { parts.get(block.start * width..block.end * width) };
        normalize(rows, width);
    });
    output
}

pub fn backward(output: Float, grad: Float) -> Float {
    let (rows, width) = rows_and_width(&grad);
    let (output, mut grad) = (contiguous(output), owned(grad));
    let (p, parts) = (values(&output), Parts::new(grad.storage_mut::<f32>()));
    Blocks::new(rows, width, BLOCK).each(|_, block| {
        let elements = block.start * width..block.end * width;
        // SAFETY: blocks do not overlap.
        let grad = unsafe { parts.get(elements.clone()) };
        differentiate(grad, &p[elements], width);
    });
    debug_assert_eq!(grad.shape(), output.shape());
    grad
}

#[pulp::with_simd(normalize = Arch::new())]
#[inline(always)]
fn normalize_simd<'a, S: Simd>(_: S, rows: &'a mut [f32], width: usize) {
    for row in rows.chunks_exact_mut(width.max(1)) {
        let max = lanes::max(row);
        let sum = lanes::map_sum(row, |x| exp(x - max));
        row.iter_mut().for_each(|x| *x /= sum);
    }
}

/// `p * (grad - sum(p * grad))`.
#[pulp::with_simd(differentiate = Arch::new())]
#[inline(always)]
fn differentiate_simd<'a, 'b, S: Simd>(_: S, grad: &'a mut [f32], p: &'b [f32], width: usize) {
    let rows = grad.chunks_exact_mut(width.max(1));
    for (grad, p) in rows.zip(p.chunks_exact(width.max(1))) {
        let mean = lanes::sum2(grad, p, |grad, p| grad * p);
        for (grad, p) in grad.iter_mut().zip(p) {
            *grad = p * (*grad - mean);
        }
    }
}
