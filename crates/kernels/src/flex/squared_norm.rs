use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Arch, Simd};

use super::lanes;
use super::parallel::{Blocks, Parts};
use super::tensor::{contiguous, primitive, tensor, values};

/// Elements that one thread takes at a time.
const BLOCK: usize = 1 << 16;

/// Burn's own sum of a large tensor is added up in the order in which threads are done.
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let x = contiguous(primitive(x));
    let x = values(&x);
    let blocks = Blocks::new(x.len(), 1, BLOCK);
    let mut sums = vec![0.0; blocks.count()];
    let to = Parts::new(&mut sums);
    blocks.each(|number, block| {
        // SAFETY: every block has a sum of its own.
        squares(unsafe { to.get(number..number + 1) }, &x[block]);
    });
    let sum: f64 = sums.iter().copied().map(f64::from).sum();
    Tensor::from_primitive::<Flex>(tensor(vec![sum as f32], [1]))
}

#[pulp::with_simd(squares = Arch::new())]
#[inline(always)]
fn squares_simd<'a, 'b, S: Simd>(_: S, sum: &'a mut [f32], x: &'b [f32]) {
    sum[0] = lanes::sum(x, |x| x * x);
}
