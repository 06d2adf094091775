//! Features without correlation.

use burn::tensor::{Tensor, TensorData};

/// What gives features the mean 0, the deviation 1 and no correlation, so that gradient descent finds a line as easily
/// in one basis as in any other.
pub struct Whitening {
    /// `[1, width]`
    mean: Tensor<2>,
    /// `[width, width]`
    inverse: Tensor<2>,
}

/// Added to each variance, as a share of their mean: directions in which nothing varies stay small.
const RIDGE: f64 = 1e-4;

impl Whitening {
    /// Of `features`, `[items, width]`.
    pub fn of(features: Tensor<2>) -> Self {
        let ([items, width], device) = (features.dims(), features.device());
        let mean = features.clone().mean_dim(0);
        let centred = features - mean.clone();
        let covariance = centred.clone().transpose().matmul(centred) / items.max(1) as f64;
        let covariance: Vec<f64> = covariance.into_data().iter().collect();
        let inverse = inverse(&cholesky(&covariance, width), width);
        let inverse: Vec<f32> = inverse.into_iter().map(|entry| entry as f32).collect();
        let inverse = TensorData::new(inverse, [width, width]);
        Self {
            mean,
            inverse: Tensor::from_data(inverse, &device),
        }
    }

    /// # Shapes
    /// - features: `[items, width]`
    /// - output: the same
    pub fn apply(&self, features: Tensor<2>) -> Tensor<2> {
        (features - self.mean.clone()).matmul(self.inverse.clone().transpose())
    }
}

/// The lower triangular factor of `covariance`, which is `width` square, with the ridge.
fn cholesky(covariance: &[f64], width: usize) -> Vec<f64> {
    let variances = (0..width).map(|i| covariance[i * width + i]).sum::<f64>();
    let ridge = (RIDGE * variances / width.max(1) as f64).max(f64::MIN_POSITIVE);
    let mut factor = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..=row {
            let [own, other] = [row, column].map(|i| &factor[i * width..][..column]);
            let known = own.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
            let rest = covariance[row * width + column] - known;
            factor[row * width + column] = match row == column {
                true => (rest + ridge).max(ridge).sqrt(),
                false => rest / factor[column * width + column],
            };
        }
    }
    factor
}

/// The inverse of a lower triangular matrix.
fn inverse(factor: &[f64], width: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; width * width];
    for column in 0..width {
        for row in column..width {
            let known: f64 = (column..row)
                .map(|i| factor[row * width + i] * inverse[i * width + column])
                .sum();
            let unit = f64::from(u8::from(row == column));
            inverse[row * width + column] = (unit - known) / factor[row * width + row];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::super::tests::mixed;
    use super::*;

    #[test]
    fn nothing_is_correlated() {
        let features = mixed(0, 1.5, |[x, y]| [x + 30.0 * y, 30.0 * y - 0.1 * x + 7.0]).features;
        let white = Whitening::of(features.clone()).apply(features);
        let covariance = white.clone().transpose().matmul(white.clone()) / 60.0;
        let found: Vec<f32> = covariance.into_data().iter().collect();
        for (found, expected) in found.into_iter().zip([1.0, 0.0, 0.0, 1.0]) {
            // The ridge is a share of the larger variance, and the smaller one is 2,000 times less.
            assert!((found - expected).abs() < 0.25, "{found} {expected}");
        }
        let mean: Vec<f32> = white.mean_dim(0).into_data().iter().collect();
        assert!(mean.iter().all(|mean| mean.abs() < 1e-3), "{mean:?}");
    }

    #[test]
    fn a_feature_that_never_varies_does_no_harm() {
        let features = mixed(0, 1.0, |[x, _]| [x, 3.0]).features;
        let white = Whitening::of(features.clone()).apply(features);
        let largest: f32 = white.abs().max().into_scalar();
        assert!(largest < 10.0, "{largest}");
    }
}
