use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use pulp::{Arch, Simd};

use super::activation::{self, apply, needs_input};
use super::few_rows;
use super::gemm::{Target, View, gemm};
use super::parallel::{Blocks, Parts, each};
use super::tensor::{Room, contiguous, tensor, values};
use super::{Float, rows_and_width};
use crate::Activation;

/// Rows and columns of a product that are computed at a time. A narrow strip of the weight is packed once for
/// many rows, and its results are still in cache when bias and activation come.
const TILE: [usize; 2] = [1024, 192];
/// Columns, or rows, of the gradient of a weight that are computed at a time.
const STRIP: usize = 384;
/// Products and sums that are worth a second thread. How many threads there are must not matter: the bits of a
/// product depend on the shape of its tiles.
const WORK: usize = 1 << 20;

/// Rows of a gradient that are added one by one.
const SUMMED: usize = 64;

/// A weight `[inner, width]` as it lies in memory, or transposed where its columns lie there one by one: tied
/// embeddings are too large to be copied.
pub struct Weight {
    pub values: Float,
    pub transposed: bool,
    pub inner: usize,
    pub width: usize,
}

impl Weight {
    fn new(weight: Float) -> Self {
        let (inner, width) = rows_and_width(&weight);
        let turned = weight.transpose(0, 1);
        let transposed = !weight.is_contiguous() && turned.is_contiguous();
        let values = contiguous(if transposed { turned } else { weight });
        Self {
            values,
            transposed,
            inner,
            width,
        }
    }

    fn view(&self) -> View<'_> {
        let (values, inner, width) = (values(&self.values), self.inner, self.width);
        match self.transposed {
            true => View::rows(values, [width, inner], inner).t(),
            false => View::rows(values, [inner, width], width),
        }
    }
}

/// Parts that a product is cut into at least.
fn least(size: usize) -> usize {
    if size < WORK { 1 } else { 2 }
}

/// Tiles of a product `[rows, columns]`.
fn each_tile(
    [rows, columns]: [usize; 2],
    inner: usize,
    f: impl Fn(Range<usize>, Range<usize>) + Send + Sync,
) {
    let across = Blocks::even(columns, columns.div_ceil(TILE[1]));
    let least = least(rows * columns * inner).div_ceil(across.count().max(1));
    let down = Blocks::even(rows, rows.div_ceil(TILE[0]).max(least));
    each(down.count() * across.count(), |tile| {
        f(
            down.get(tile % down.count()),
            across.get(tile / down.count()),
        );
    });
}

/// The rows of a tile of `values`, as one slice where they lie side by side.
///
/// # Safety
/// Nothing else reads or writes the tile meanwhile.
unsafe fn each_slice(
    values: Parts<'_>,
    width: usize,
    rows: &Range<usize>,
    columns: &Range<usize>,
    f: impl Fn(&mut [f32], Range<usize>),
) {
    if columns.len() == width {
        let elements = rows.start * width..rows.end * width;
        // SAFETY: as promised.
        return f(unsafe { values.get(elements.clone()) }, elements);
    }
    for row in rows.clone() {
        let elements = row * width + columns.start..row * width + columns.end;
        // SAFETY: as promised.
        f(unsafe { values.get(elements.clone()) }, elements);
    }
}

/// Output, and what the derivative of the activation is computed from: for ReLU the output itself.
pub fn forward(
    x: Float,
    weight: Float,
    bias: Option<Float>,
    activation: Option<Activation>,
    keep: bool,
) -> (Float, Option<Float>) {
    let (x, weight, bias) = (contiguous(x), Weight::new(weight), bias.map(contiguous));
    let (rows, inner) = rows_and_width(&x);
    let width = weight.width;
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    shape[last] = width;

    let needs_input = activation.is_some_and(needs_input) && keep;
    let mut output = Room::new(rows * width);
    let mut kept = Room::new(if needs_input { rows * width } else { 0 });
    let (to, keep_to) = (output.parts(), kept.parts());
    let (a, bias) = (values(&x), bias.as_ref().map(values));
    let finish = |rows: Range<usize>, columns: Range<usize>| {
        let finish = |output: &mut [f32], elements: Range<usize>| {
            if let Some(bias) = bias {
                add_to_rows(output, &bias[columns.clone()]);
            }
            if needs_input {
                // SAFETY: tiles do not overlap.
                unsafe { keep_to.get(elements) }.copy_from_slice(output);
            }
            if let Some(activation) = activation {
                apply(output, activation);
            }
        };
        // SAFETY: tiles do not overlap, and the product of this one is done.
        unsafe { each_slice(to, width, &rows, &columns, finish) };
    };
    if rows <= few_rows::MOST {
        // SAFETY: nobody else has the output yet.
        unsafe { few_rows::product(to, a, rows, &weight) };
        finish(0..rows, 0..width);
    } else {
        let (a, b) = (View::rows(a, [rows, inner], inner), weight.view());
        each_tile([rows, width], inner, |rows, columns| {
            let shape = [rows.len(), columns.len()];
            let start = rows.start * width + columns.start;
            // SAFETY: tiles do not overlap.
            let target = unsafe { Target::new(to, start, shape, width) };
            let (a, b) = (a.part(rows.clone()), b.columns(columns.clone()));
            gemm(target, a, b, false);
            finish(rows, columns);
        });
    }
    // SAFETY: the tiles cover all of it.
    let output = unsafe { output.filled(shape.clone()) };
    let kept = match activation {
        // SAFETY: as above.
        Some(_) if needs_input => Some(unsafe { kept.filled(shape) }),
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
    let (x, weight) = (contiguous(x), Weight::new(weight));
    let (rows, _) = rows_and_width(&x);
    let [wants_x, wants_weight, wants_bias] = wanted;
    let grad = match (activation, kept) {
        (Some(activation), Some(kept)) => activation::backward(kept, grad, activation),
        _ => contiguous(grad),
    };
    [
        wants_x.then(|| of_x(&grad, &weight, rows, x.shape())),
        wants_weight.then(|| of_weight(&x, &grad, &weight)),
        wants_bias.then(|| of_bias(&grad, rows, weight.width)),
    ]
}

/// `grad weight^T`.
fn of_x(grad: &Float, weight: &Weight, rows: usize, shape: Shape) -> Float {
    let (inner, width) = (weight.inner, weight.width);
    let mut output = Room::new(rows * inner);
    let to = output.parts();
    let (a, b) = (
        View::rows(values(grad), [rows, width], width),
        weight.view().t(),
    );
    each_tile([rows, inner], width, |rows, columns| {
        let shape = [rows.len(), columns.len()];
        // SAFETY: tiles do not overlap.
        let target = unsafe { Target::new(to, rows.start * inner + columns.start, shape, inner) };
        gemm(target, a.part(rows), b.columns(columns), false);
    });
    // SAFETY: the tiles cover all of it.
    unsafe { output.filled(shape) }
}

/// `x^T grad`, laid out as the weight is.
fn of_weight(x: &Float, grad: &Float, weight: &Weight) -> Float {
    let (left, right) = match weight.transposed {
        true => (grad, x),
        false => (x, grad),
    };
    let ((rows, height), (_, width)) = (rows_and_width(left), rows_and_width(right));
    let mut output = Room::new(height * width);
    let to = output.parts();
    let left = View::rows(values(left), [rows, height], height).t();
    let right = View::rows(values(right), [rows, width], width);
    let strips = |length: usize| {
        let count = length.div_ceil(STRIP).max(least(rows * height * width));
        Blocks::even(length, count)
    };
    let multiply = |down: Range<usize>, across: Range<usize>| {
        let shape = [down.len(), across.len()];
        // SAFETY: strips do not overlap.
        let target = unsafe { Target::new(to, down.start * width + across.start, shape, width) };
        gemm(target, left.part(down), right.columns(across), false);
    };
    match height >= width {
        true => strips(height).each(|_, strip| multiply(strip, 0..width)),
        false => strips(width).each(|_, strip| multiply(0..height, strip)),
    }
    // SAFETY: the strips cover all of it.
    let output = unsafe { output.filled([height, width]) };
    if weight.transposed {
        output.transpose(0, 1)
    } else {
        output
    }
}

/// The sum of the rows, in parts: rounding grows with the number of terms that are added one by one.
fn of_bias(grad: &Float, rows: usize, width: usize) -> Float {
    let blocks = Blocks::new(rows, width, 1 << 15);
    let mut sums = vec![0.0; blocks.count().max(1) * width];
    let (to, grad) = (Parts::new(&mut sums), values(grad));
    blocks.each(|number, block| {
        // SAFETY: every block has a row of its own.
        let sum = unsafe { to.get(number * width..(number + 1) * width) };
        let mut part = vec![0.0; width];
        for rows in grad[block.start * width..block.end * width].chunks(SUMMED * width.max(1)) {
            part.fill(0.0);
            add_rows(&mut part, rows);
            add_rows(sum, &part);
        }
    });
    let (first, others) = sums.split_at_mut(width);
    add_rows(first, others);
    tensor(first.to_vec(), [width])
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
