//! Summaries over seeds.
//!
//! A value that is not finite makes the summary `None` instead of being dropped: a seed that diverged is a
//! result, and a mean over the seeds that survived would flatter the arm.

use super::distribution::t_quantile;
use serde::Serialize;

/// Arithmetic mean, `m = (x_1 + ... + x_n) / n`.
///
/// `None` for no values, or when one of them is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    finite(values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation, `s = sqrt(sum_i (x_i - m)^2 / (n - 1))`: the estimate of the spread of all
/// seeds from the few that were run (Bessel's correction, numpy's `ddof=1`).
///
/// `None` for fewer than two values, or when one of them is not finite.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    finite((squares / (values.len() - 1) as f64).sqrt())
}

/// Values near the end of the range of `f64` can be finite and their sum not.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Smallest and largest value.
///
/// `None` for no values, or when one of them is not finite.
pub fn range(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    Some(
        values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value))
            }),
    )
}

/// The values of several seeds and what they sum up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The values themselves, in the order of the seeds.
    pub values: Vec<f64>,
    /// See [`mean`].
    pub mean: Option<f64>,
    /// See [`standard_deviation`].
    pub standard_deviation: Option<f64>,
    /// See [`range`].
    pub min: Option<f64>,
    /// See [`range`].
    pub max: Option<f64>,
}

impl Summary {
    /// Interval of the mean by Student's t, which holds the true mean in a share `level` of studies; `None` for one
    /// value, or where one is not finite.
    pub fn interval(&self, level: f64) -> Option<(f64, f64)> {
        let count = self.values.len() as f64;
        let error = self.standard_deviation? / count.sqrt();
        let reach = error * t_quantile((1.0 - level) / 2.0, count - 1.0)?;
        let mean = self.mean?;
        let ends = (mean - reach, mean + reach);
        (ends.0.is_finite() && ends.1.is_finite()).then_some(ends)
    }

    /// Sums up `values`.
    pub fn of(values: Vec<f64>) -> Self {
        let range = range(&values);
        Self {
            mean: mean(&values),
            standard_deviation: standard_deviation(&values),
            min: range.map(|(low, _)| low),
            max: range.map(|(_, high)| high),
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values with numpy's `mean()`, `std(ddof=1)`, `min()` and `max()`.
    const NUMPY: [(&[f64], [f64; 4]); 4] = [
        (
            &[0.9931, 0.9952, 0.9946],
            [0.9943, 0.0010816653826392008, 0.9931, 0.9952],
        ),
        (
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            [5.5, 3.0276503540974917, 1.0, 10.0],
        ),
        (
            &[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0],
            [1e9 + 10.0, 5.477225575051661, 1e9 + 4.0, 1e9 + 16.0],
        ),
        (
            &[-3.5, 0.25, 1e-3, 12.125, 7.0],
            [3.1752, 6.283284387961443, -3.5, 12.125],
        ),
    ];

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-12 * right.abs().max(1.0)
    }

    #[test]
    fn agrees_with_numpy() {
        for (values, [mean, deviation, min, max]) in NUMPY {
            let summary = Summary::of(values.to_vec());
            assert!(
                close(summary.mean.unwrap(), mean),
                "mean of {values:?}: {summary:?}"
            );
            assert!(
                close(summary.standard_deviation.unwrap(), deviation),
                "deviation of {values:?}: {summary:?}"
            );
            assert_eq!((summary.min, summary.max), (Some(min), Some(max)));
        }
    }

    #[test]
    fn one_seed_has_a_mean_and_no_spread() {
        let summary = Summary::of(vec![0.5]);
        assert_eq!(
            (summary.mean, summary.standard_deviation),
            (Some(0.5), None)
        );
        assert_eq!((summary.min, summary.max), (Some(0.5), Some(0.5)));
    }

    #[test]
    fn a_diverged_seed_is_never_averaged_away() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let summary = Summary::of(vec![0.9, bad, 0.8]);
            assert_eq!((summary.mean, summary.standard_deviation), (None, None));
            assert_eq!((summary.min, summary.max), (None, None));
            assert_eq!(summary.values.len(), 3);
        }
        assert_eq!(Summary::of(Vec::new()), Summary::default());
    }

    #[test]
    fn what_overflows_is_not_known() {
        assert_eq!(mean(&[f64::MAX, f64::MAX]), None);
        assert_eq!(standard_deviation(&[1e200, -1e200]), None);
    }
}
