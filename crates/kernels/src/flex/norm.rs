use burn::backend::TensorMetadata;
use pulp::{Arch, Simd};

use super::linear::add_rows;
use super::parallel::{Blocks, Parts};
use super::tensor::{Room, contiguous, owned, tensor, values};
use super::{Float, lanes, rows_and_width};
use crate::fused::Norm;

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 15;

/// Output; mean and reciprocal deviation of each row.
pub fn forward(
    x: Float,
    gamma: Float,
    beta: Option<Float>,
    norm: Norm,
    epsilon: f32,
) -> (Float, Float) {
    let (gamma, beta) = (contiguous(gamma), beta.map(contiguous));
    let (rows, width) = rows_and_width(&x);
    let x = contiguous(x);
    let (mut output, mut kept) = (Room::new(rows * width), vec![0.0; 2 * rows]);
    let (to, keep_to) = (output.parts(), Parts::new(&mut kept));
    let (x_values, gamma, beta) = (values(&x), values(&gamma), beta.as_ref().map(values));
    Blocks::new(rows, width, BLOCK).each(|_, block| {
        let elements = block.start * width..block.end * width;
        // SAFETY: blocks do not overlap.
        let output = unsafe { to.get(elements.clone()) };
        // SAFETY: as above.
        let kept = unsafe { keep_to.get(2 * block.start..2 * block.end) };
        normalize(
            output,
            kept,
            &x_values[elements],
            gamma,
            beta.unwrap_or(&[]),
            norm,
            epsilon,
        );
    });
    // SAFETY: the blocks cover all of it.
    let output = unsafe { output.filled(x.shape()) };
    (output, tensor(kept, [rows, 2]))
}

/// Gradients of input, scale and shift.
pub fn backward(x: Float, gamma: Float, kept: Float, grad: Float, norm: Norm) -> [Float; 3] {
    let (x, gamma, kept, mut grad) = (
        contiguous(x),
        contiguous(gamma),
        contiguous(kept),
        owned(grad),
    );
    let (rows, width) = rows_and_width(&x);
    let blocks = Blocks::new(rows, width, BLOCK);
    let mut sums = vec![0.0; blocks.count().max(1) * 2 * width];
    let (to, sum_to) = (Parts::new(grad.storage_mut::<f32>()), Parts::new(&mut sums));
    let (x, gamma, kept) = (values(&x), values(&gamma), values(&kept));
    blocks.each(|number, block| {
        let elements = block.start * width..block.end * width;
        // SAFETY: blocks do not overlap.
        let grad = unsafe { to.get(elements.clone()) };
        // SAFETY: every block has a row of its own.
        let sums = unsafe { sum_to.get(number * 2 * width..(number + 1) * 2 * width) };
        let kept = &kept[2 * block.start..2 * block.end];
        differentiate(grad, sums, &x[elements], kept, gamma, norm);
    });
    let (first, others) = sums.split_at_mut(2 * width);
    add_rows(first, others);
    let (of_gamma, of_beta) = first.split_at(width);
    let [of_gamma, of_beta] = [of_gamma, of_beta].map(|sums| tensor(sums.to_vec(), [width]));
    [grad, of_gamma, of_beta]
}

#[pulp::with_simd(normalize = Arch::new())]
#[inline(always)]
#[allow(clippy::too_many_arguments)] // what a row needs
fn normalize_simd<'a, 'b, 'c, 'd, 'e, S: Simd>(
    _: S,
    output: &'a mut [f32],
    kept: &'b mut [f32],
    x: &'c [f32],
    gamma: &'d [f32],
    beta: &'e [f32],
    norm: Norm,
    epsilon: f32,
) {
    let width = gamma.len();
    if width == 0 {
        return;
    }
    let rows = output.chunks_exact_mut(width).zip(x.chunks_exact(width));
    for ((output, x), kept) in rows.zip(kept.chunks_exact_mut(2)) {
        let mean = match norm {
            Norm::Layer => lanes::sum(x, |x| x) / width as f32,
            Norm::RootMeanSquare => 0.0,
        };
        let variance = lanes::sum(x, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        kept.copy_from_slice(&[mean, scale]);
        for ((y, x), gamma) in output.iter_mut().zip(x).zip(gamma) {
            *y = (x - mean) * scale * gamma;
        }
        for (y, beta) in output.iter_mut().zip(beta) {
            *y += beta;
        }
    }
}

/// With `y = (x - mean) * scale` and `h = grad * gamma`: `scale * (h - mean(h) - y * mean(h * y))`, where
/// `mean(h)` is left out when no mean has been subtracted.
#[pulp::with_simd(differentiate = Arch::new())]
#[inline(always)]
fn differentiate_simd<'a, 'b, 'c, 'd, 'e, S: Simd>(
    _: S,
    grad: &'a mut [f32],
    sums: &'b mut [f32],
    x: &'c [f32],
    kept: &'d [f32],
    gamma: &'e [f32],
    norm: Norm,
) {
    let width = gamma.len();
    if width == 0 {
        return;
    }
    let (of_gamma, of_beta) = sums.split_at_mut(width);
    let rows = grad.chunks_exact_mut(width).zip(x.chunks_exact(width));
    for ((grad, x), kept) in rows.zip(kept.chunks_exact(2)) {
        let (mean, scale) = (kept[0], kept[1]);
        let columns = of_gamma.iter_mut().zip(of_beta.iter_mut());
        for (((of_gamma, of_beta), grad), x) in columns.zip(&mut *grad).zip(x) {
            *of_gamma += *grad * ((x - mean) * scale);
            *of_beta += *grad;
        }
        for (grad, gamma) in grad.iter_mut().zip(gamma) {
            *grad *= gamma;
        }
        let mean_h = match norm {
            Norm::Layer => lanes::sum(grad, |h| h) / width as f32,
            Norm::RootMeanSquare => 0.0,
        };
        let mean_hy = lanes::sum2(grad, x, |h, x| h * ((x - mean) * scale)) / width as f32;
        for (h, x) in grad.iter_mut().zip(x) {
            *h = scale * (*h - mean_h - (x - mean) * scale * mean_hy);
        }
    }
}
