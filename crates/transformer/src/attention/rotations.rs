//! Standard normal numbers from a seed alone: the device's random numbers would differ from backend to backend, and
//! drawing them would shift all that are drawn after.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

/// The same numbers each time.
pub fn standard_normal<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let mut uniform = uniform(seed);
    let pairs = std::iter::from_fn(|| Some([uniform.next()?, uniform.next()?]));
    // Box and Muller 1958; of each pair the cosine suffices.
    let normal = pairs.map(|[a, b]| ((-2.0 * a.ln()).sqrt() * (TAU * b).cos()) as f32);
    let values: Vec<f32> = normal.take(count).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Uniform over (0, 1]: the upper 53 bits of SplitMix64 (Steele et al. 2014).
fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Some(((z >> 11) + 1) as f64 / (1u64 << 53) as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference};

    #[test]
    fn numbers_are_normal_and_the_seed_decides_them() {
        let numbers = |seed| standard_normal([10_000], seed, &device());
        assert_eq!(difference(numbers(1), numbers(1)), 0.0);
        assert!(difference(numbers(1), numbers(2)) > 1.0);
        let [mean, square, fourth] =
            [1, 2, 4].map(|power| numbers(3).powi_scalar(power).mean().into_scalar::<f32>());
        assert!(mean.abs() < 0.05 && (square - 1.0).abs() < 0.05 && (fourth - 3.0).abs() < 0.3);
    }
}
