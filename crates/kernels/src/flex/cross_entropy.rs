use burn::backend::tensor::IntTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd};

use super::math::exp;
use super::parallel::{Blocks, Parts};
use super::tensor::{contiguous, room, tensor, values};
use super::{Float, lanes, rows_and_width};

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 14;

/// The mean loss; the logarithm of each row's normaliser.
pub fn forward(logits: Float, targets: IntTensor<Flex>) -> (Float, Float) {
    let logits = contiguous(logits);
    let (rows, classes) = rows_and_width(&logits);
    let targets = indices(targets, classes);
    let mut kept = room(rows);
    let (x, parts) = (values(&logits), Parts::new(&mut kept));
    Blocks::new(rows, classes, BLOCK).each(|_, block| {
        // SAFETY: blocks do not overlap.
        let kept = unsafe { parts.get(block.clone()) };
        normalizers(
            kept,
            &x[block.start * classes..block.end * classes],
            classes,
        );
    });
    // Few numbers, added in double precision.
    let losses = targets.iter().zip(&kept).enumerate();
    let losses = losses.map(|(row, (target, kept))| f64::from(kept - x[row * classes + target]));
    let loss = losses.sum::<f64>() / rows as f64;
    (tensor(vec![loss as f32], [1]), tensor(kept, [rows]))
}

pub fn backward(logits: Float, targets: IntTensor<Flex>, kept: Float, grad: Float) -> Float {
    let logits = contiguous(logits);
    let (rows, classes) = rows_and_width(&logits);
    let targets = indices(targets, classes);
    let scale = values(&contiguous(grad))[0] / rows as f32;
    let mut output = room(rows * classes);
    let (x, kept, parts) = (values(&logits), values(&kept), Parts::new(&mut output));
    Blocks::new(rows, classes, BLOCK).each(|_, block| {
        let elements = block.start * classes..block.end * classes;
        // SAFETY: blocks do not overlap.
        let output = unsafe { parts.get(elements.clone()) };
        probabilities(output, &x[elements], &kept[block.clone()], scale, classes);
        for (row, target) in targets[block].iter().enumerate() {
            output[row * classes + target] -= scale;
        }
    });
    tensor(output, logits.shape())
}

/// # Panics
/// When one is not below `classes`.
fn indices(targets: IntTensor<Flex>, classes: usize) -> Vec<usize> {
    let targets = targets.to_contiguous();
    let whole: Vec<i64> = match targets.dtype() {
        DType::I64 => targets.as_slice::<i64>().map(<[i64]>::to_vec),
        DType::I32 => {
            let slice = targets.as_slice::<i32>();
            slice.map(|targets| targets.iter().map(|&target| target.into()).collect())
        }
        other => panic!("targets of type {other:?}"),
    }
    .expect("contiguous");
    let index = |target: i64| match usize::try_from(target) {
        Ok(index) if index < classes => index,
        _ => panic!("target {target} of {classes} classes"),
    };
    whole.into_iter().map(index).collect()
}

#[pulp::with_simd(normalizers = Arch::new())]
#[inline(always)]
fn normalizers_simd<'a, 'b, S: Simd>(_: S, kept: &'a mut [f32], x: &'b [f32], classes: usize) {
    for (kept, row) in kept.iter_mut().zip(x.chunks_exact(classes.max(1))) {
        let max = lanes::max(row);
        *kept = max + lanes::sum(row, |x| exp(x - max)).ln();
    }
}

#[pulp::with_simd(probabilities = Arch::new())]
#[inline(always)]
fn probabilities_simd<'a, 'b, 'c, S: Simd>(
    _: S,
    output: &'a mut [f32],
    x: &'b [f32],
    kept: &'c [f32],
    scale: f32,
    classes: usize,
) {
    let rows = output.chunks_exact_mut(classes.max(1));
    for ((output, x), kept) in rows.zip(x.chunks_exact(classes.max(1))).zip(kept) {
        for (y, x) in output.iter_mut().zip(x) {
            *y = scale * exp(x - kept);
        }
    }
}
