//! How many floating-point operations a computation takes.
//!
//! Counted are products of matrices and convolutions, two operations for each multiplication with its addition, as
//! `FlopCounterMode` of PyTorch and fvcore count them. What is done element by element (activations, norms, softmax)
//! is some per cent of that and is left out. Of causal attention all scores count, also those that are not computed.

use std::cell::Cell;

use burn::tensor::Tensor;

thread_local! {
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What `compute` gives, and the operations of its forward passes on this thread. Backward passes are not counted: they
/// take twice as many.
pub fn counted<R>(compute: impl FnOnce() -> R) -> (R, u64) {
    let outer = COUNT.replace(Some(0));
    let result = compute();
    let count = COUNT.replace(outer).unwrap_or(0);
    record(count);
    (result, count)
}

/// Adds to the count of the computation that is under way, if one is counted. Only for operations that multiply matrices
/// in another way than by the functions of this crate.
pub fn record(count: u64) {
    COUNT.with(|cell| cell.set(cell.get().map(|sum| sum + count)));
}

/// The operations of a linear layer on so many rows.
pub fn dense(rows: usize, input: usize, output: usize) -> u64 {
    2 * rows as u64 * input as u64 * output as u64
}

/// The product of matrices, counted.
///
/// # Shapes
/// - `[..., rows, inner]` and `[..., inner, columns]` to `[..., rows, columns]`
pub fn matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    let inner = left.dims()[D - 1];
    let product = left.matmul(right);
    let shape = product.dims();
    let rows: usize = shape[..D - 1].iter().product();
    record(dense(rows, inner, shape[D - 1]));
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Attention, Layer, attention, feed_forward, linear};
    use burn::tensor::Device;

    fn ones<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::ones(shape, &Device::flex())
    }

    #[test]
    fn every_product_counts_once_and_only_while_counted() {
        let work = || {
            linear(ones([2, 3, 4]), ones([4, 5]), None, Some(Activation::Relu));
            let layer = |shape| Layer {
                weight: ones(shape),
                bias: None,
            };
            let layers = [layer([4, 7]), layer([7, 4])];
            feed_forward(ones([2, 3, 4]), layers, Activation::Gelu, 0.0);
            let (query, key) = (ones([2, 3, 4]), ones([2, 5, 4]));
            attention(query, key.clone(), key, Attention::new(2));
            matmul(ones([6, 2, 3]), ones([6, 3, 4]));
        };
        // 2 * rows * input * output, each; attention has scores and their sum of values.
        let expected =
            2 * (6 * 4 * 5) + 2 * (6 * 4 * 7) * 2 + 2 * 2 * (2 * 3 * 5 * 4) + 2 * (12 * 3 * 4);
        assert_eq!(counted(work).1, expected);
        work();
        let (((), inner), outer) = counted(|| {
            work();
            counted(work)
        });
        assert_eq!((inner, outer), (expected, 2 * expected));
    }
}
