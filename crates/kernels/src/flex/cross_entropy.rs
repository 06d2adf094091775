use burn::backend::tensor::IntTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd};

use super::math::exp;
use super::parallel::{Blocks, Parts};
use super::tensor::{Room, contiguous, tensor, values};
use super::{Float, lanes, rows_and_width};

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 14;

/// The mean loss; the logarithm of each row's normaliser.
pub fn forward(logits: Float, targets: IntTensor<Flex>, smoothing: f32) -> (Float, Float) {
    let logits = contiguous(logits);
    let (rows, classes) = rows_and_width(&logits);
    let targets = indices(targets, classes);
    let [mut kept, mut means] = [(); 2].map(|()| vec![0.0; rows]);
    let (x, keep_to, means_to) = (
        values(&logits),
        Parts::new(&mut kept),
        Parts::new(&mut means),
    );
    Blocks::new(rows, classes, BLOCK).each(|_, block| {
        // SAFETY: blocks do not overlap.
        let [kept, means] = [keep_to, means_to].map(|to| unsafe { to.get(block.clone()) });
        let x = &x[block.start * classes..block.end * classes];
        normalizers(kept, x, classes);
        if smoothing > 0.0 {
            average(means, x, classes);
        }
    });
    // Few numbers, added in double precision.
    let losses = targets.iter().zip(&kept).zip(&means).enumerate();
    let losses = losses.map(|(row, ((target, kept), mean))| {
        let chosen = (1.0 - smoothing) * x[row * classes + target] + smoothing * mean;
        f64::from(kept - chosen)
    });
    let loss = losses.sum::<f64>() / rows as f64;
    (tensor(vec![loss as f32], [1]), tensor(kept, [rows]))
}

pub fn backward(
    logits: Float,
    targets: IntTensor<Flex>,
    kept: Float,
    grad: Float,
    smoothing: f32,
) -> Float {
    let logits = contiguous(logits);
    let (rows, classes) = rows_and_width(&logits);
    let targets = indices(targets, classes);
    let scale = values(&contiguous(grad))[0] / rows as f32;
    let mut output = Room::new(rows * classes);
    let (x, kept, parts) = (values(&logits), values(&kept), output.parts());
    let spread = smoothing / classes as f32;
    Blocks::new(rows, classes, BLOCK).each(|_, block| {
        let elements = block.start * classes..block.end * classes;
        // SAFETY: blocks do not overlap.
        let output = unsafe { parts.get(elements.clone()) };
        let kept = &kept[block.clone()];
        probabilities(output, &x[elements], kept, [scale, spread], classes);
        for (row, target) in targets[block].iter().enumerate() {
            output[row * classes + target] -= scale * (1.0 - smoothing);
        }
    });
    // SAFETY: the blocks cover all of it.
    unsafe { output.filled(logits.shape()) }
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

#[pulp::with_simd(average = Arch::new())]
#[inline(always)]
fn average_simd<'a, 'b, S: Simd>(_: S, means: &'a mut [f32], x: &'b [f32], classes: usize) {
    for (mean, row) in means.iter_mut().zip(x.chunks_exact(classes.max(1))) {
        *mean = lanes::sum(row, |x| x) / classes as f32;
    }
}

/// `scale * (softmax - spread)`.
#[pulp::with_simd(probabilities = Arch::new())]
#[inline(always)]
fn probabilities_simd<'a, 'b, 'c, S: Simd>(
    _: S,
    output: &'a mut [f32],
    x: &'b [f32],
    kept: &'c [f32],
    [scale, spread]: [f32; 2],
    classes: usize,
) {
    let rows = output.chunks_exact_mut(classes.max(1));
    for ((output, x), kept) in rows.zip(x.chunks_exact(classes.max(1))).zip(kept) {
        for (y, x) in output.iter_mut().zip(x) {
            *y = scale * (exp(x - kept) - spread);
        }
    }
}
