use burn::backend::TensorMetadata;
use pulp::{Arch, Simd};

use super::activation::{apply, differentiate, needs_input};
use super::gemm::{Target, View, gemm};
use super::parallel::{Blocks, Parts};
use super::tensor::{contiguous, owned, room, tensor, values};
use super::{Float, rows_and_width};
use crate::Activation;

/// Rows that are multiplied at a time: enough that packing the weight costs little beside the product, few
/// enough that their results are still in cache when bias and activation come.
const ROWS: usize = 384;

/// Output, and what the derivative of the activation is computed from: for ReLU the output itself.
pub fn forward(
    x: Float,
    weight: Float,
    bias: Option<Float>,
    activation: Option<Activation>,
    keep: bool,
) -> (Float, Option<Float>) {
    let (x, weight, bias) = (contiguous(x), contiguous(weight), bias.map(contiguous));
    let (rows, inner) = rows_and_width(&x);
    let (_, width) = rows_and_width(&weight);
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    shape[last] = width;

    let needs_input = activation.is_some_and(needs_input) && keep;
    let mut output = room(rows * width);
    let mut kept = room(if needs_input { rows * width } else { 0 });
    let (to, keep_to) = (Parts::new(&mut output), Parts::new(&mut kept));
    let (x_values, weight, bias) = (values(&x), values(&weight), bias.as_ref().map(values));
    Blocks::new(rows, 1, ROWS).each(|_, block| {
        let elements = block.start * width..block.end * width;
        // SAFETY: blocks do not overlap.
        let output = unsafe { to.get(elements.clone()) };
        let x = &x_values[block.start * inner..block.end * inner];
        let a = View::rows(x, [block.len(), inner], inner);
        let b = View::rows(weight, [inner, width], width);
        gemm(Target::rows(output, [block.len(), width]), a, b, false);
        if let Some(bias) = bias {
            add_to_rows(output, bias);
        }
        if needs_input {
            // SAFETY: as above.
            unsafe { keep_to.get(elements) }.copy_from_slice(output);
        }
        if let Some(activation) = activation {
            apply(output, activation);
        }
    });
    let output = tensor(output, shape.clone());
    let kept = match activation {
        Some(_) if needs_input => Some(tensor(kept, shape)),
        Some(_) if keep => Some(output.clone()),
        _ => None,
    };
    (output, kept)
}

pub fn backward(
    x: Float,
    weight: Float,
    kept: Option<Float>,
    grad: Float,
    activation: Option<Activation>,
    wanted: [bool; 3],
) -> [Option<Float>; 3] {
    let (x, weight) = (contiguous(x), contiguous(weight));
    let (rows, inner) = rows_and_width(&x);
    let (_, width) = rows_and_width(&weight);
    let [wants_x, wants_weight, wants_bias] = wanted;
    let kept = kept.map(contiguous);
    let mut grad = match activation {
        Some(_) => owned(grad),
        None => contiguous(grad),
    };

    let blocks = Blocks::new(rows, 1, ROWS);
    let mut of_x = room(if wants_x { rows * inner } else { 0 });
    let sums = blocks.count().max(1);
    // Zeros, for there may be no rows.
    let mut of_bias = vec![0.0; if wants_bias { sums * width } else { 0 }];
    if let (Some(activation), Some(kept)) = (activation, &kept) {
        let (parts, kept) = (Parts::new(grad.storage_mut::<f32>()), values(kept));
        blocks.each(|_, block| {
            let elements = block.start * width..block.end * width;
            // SAFETY: blocks do not overlap.
            let grad = unsafe { parts.get(elements.clone()) };
            differentiate(grad, &kept[elements], activation);
        });
    }
    let of_output = values(&grad);
    let (to_x, to_bias) = (Parts::new(&mut of_x), Parts::new(&mut of_bias));
    let weight_values = values(&weight);
    blocks.each(|number, block| {
        let grad = &of_output[block.start * width..block.end * width];
        if wants_bias {
            // SAFETY: every block has a row of its own.
            sum_rows(
                unsafe { to_bias.get(number * width..(number + 1) * width) },
                grad,
            );
        }
        if wants_x {
            // SAFETY: blocks do not overlap.
            let to = unsafe { to_x.get(block.start * inner..block.end * inner) };
            let grad = View::rows(grad, [block.len(), width], width);
            let weight = View::rows(weight_values, [inner, width], width).t();
            gemm(Target::rows(to, [block.len(), inner]), grad, weight, false);
        }
    });

    let mut of_weight = room(if wants_weight { inner * width } else { 0 });
    if wants_weight {
        let to = Parts::new(&mut of_weight);
        let (x, grad) = (values(&x), View::rows(of_output, [rows, width], width));
        Blocks::new(inner, 1, inner.div_ceil(2)).each(|_, block| {
            // SAFETY: blocks do not overlap.
            let to = unsafe { to.get(block.start * width..block.end * width) };
            let x = View::rows(
                x.get(block.start..).unwrap_or(&[]),
                [rows, block.len()],
                inner,
            );
            gemm(Target::rows(to, [block.len(), width]), x.t(), grad, false);
        });
    }

    let (first, others) = of_bias.split_at_mut(if wants_bias { width } else { 0 });
    add_rows(first, others);
    let of_bias = wants_bias.then(|| tensor(first.to_vec(), [width]));
    [
        wants_x.then(|| tensor(of_x, x.shape())),
        wants_weight.then(|| tensor(of_weight, [inner, width])),
        of_bias,
    ]
}

/// Adds a vector to every row.
#[pulp::with_simd(add_to_rows = Arch::new())]
#[inline(always)]
pub fn add_to_rows_simd<'a, 'b, S: Simd>(_: S, rows: &'a mut [f32], vector: &'b [f32]) {
    for row in rows.chunks_exact_mut(vector.len().max(1)) {
        for (x, y) in row.iter_mut().zip(vector) {
            *x += y;
        }
    }
}

/// Sets a vector to the sum of rows.
pub fn sum_rows(vector: &mut [f32], rows: &[f32]) {
    vector.fill(0.0);
    add_rows(vector, rows);
}

/// Adds rows to a vector.
#[pulp::with_simd(add_rows = Arch::new())]
#[inline(always)]
pub fn add_rows_simd<'a, 'b, S: Simd>(_: S, vector: &'a mut [f32], rows: &'b [f32]) {
    for row in rows.chunks_exact(vector.len().max(1)) {
        for (x, y) in vector.iter_mut().zip(row) {
            *x += y;
        }
    }
}
