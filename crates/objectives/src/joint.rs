//! Several losses as one.

use burn::tensor::Tensor;

/// The weighted sum of losses.
///
/// # Shapes
/// - each loss and the output: `[1]`
///
/// # Panics
/// Without a loss.
pub fn weighted(losses: impl IntoIterator<Item = (Tensor<1>, f64)>) -> Tensor<1> {
    let sum = losses.into_iter().map(|(loss, weight)| loss * weight);
    sum.reduce(|a, b| a + b)
        .unwrap_or_else(|| panic!("no losses to add up"))
}

/// Losses weighted by what the model thinks of their noise: the sum of `exp(-s) loss + s / 2` over learnt `s`, the
/// logarithms of variances (Kendall et al. 2018, equation 10, in the form for losses that are log-likelihoods: the
/// weight is a precision).
///
/// # Shapes
/// - each loss: `[1]`; `log_variances`: `[losses]`; output: `[1]`
///
/// # Panics
/// When there is not one variance for each loss.
pub fn uncertainty(losses: Vec<Tensor<1>>, log_variances: Tensor<1>) -> Tensor<1> {
    assert_eq!(
        log_variances.dims(),
        [losses.len()],
        "a variance for each loss"
    );
    let losses = Tensor::cat(losses, 0);
    (losses * log_variances.clone().neg().exp() + log_variances / 2.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, number};

    #[test]
    fn weights_multiply() {
        let loss = |value: f32| Tensor::<1>::from_floats([value], &device());
        assert_eq!(number(weighted([(loss(2.0), 1.5), (loss(4.0), 0.25)])), 4.0);
    }

    /// The best log-variance of a constant loss is `ln(2 loss)`, where the gradient is 0.
    #[test]
    fn a_loss_twice_as_large_is_worth_half_as_much() {
        let losses = || {
            vec![
                Tensor::<1>::from_floats([3.0], &device()),
                Tensor::from_floats([6.0], &device()),
            ]
        };
        let best = [6.0_f32.ln(), 12.0_f32.ln()];
        let variances = Tensor::<1>::from_floats(best, &device()).require_grad();
        let gradients = uncertainty(losses(), variances.clone()).backward();
        let gradient = variances.grad(&gradients).unwrap();
        assert!(number(gradient.abs().max()) < 1e-6);
    }
}
