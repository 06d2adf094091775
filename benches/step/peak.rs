//! How many floating-point operations a second the threads can do at most.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// Independent sums, enough of them to hide how long one multiply-add takes.
const SUMS: usize = 12;
const ROUNDS: usize = 1 << 20;

struct MultiplyAdd;

impl WithSimd for MultiplyAdd {
    /// Operations; a product and its sum are two.
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (factor, term) = (
            simd.splat_f32s(black_box(0.999)),
            simd.splat_f32s(black_box(0.001)),
        );
        let mut sums = [simd.splat_f32s(black_box(0.5)); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        black_box(sums.map(|sum| simd.reduce_sum_f32s(sum)));
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        2.0 * (SUMS * ROUNDS * lanes) as f64
    }
}

/// Of so many threads at once: the best of three tries, a few milliseconds each.
pub fn flops(threads: usize) -> f64 {
    let once = || {
        let start = Instant::now();
        let done: f64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| Arch::new().dispatch(MultiplyAdd)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("arithmetic"))
                .sum()
        });
        done / start.elapsed().as_secs_f64()
    };
    (0..3).map(|_| once()).fold(0.0, f64::max)
}
