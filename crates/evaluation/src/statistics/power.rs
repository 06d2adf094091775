//! What a comparison could have seen at all.

use super::distribution::t_quantile;
use super::noncentral::{partly_known_cdf, root};
use std::f64::consts::FRAC_PI_4;

/// The chance that a two-sided t test at `alpha` sees a difference of `noncentrality` standard errors: the share of
/// the noncentral t distribution beyond its quantiles (Cohen 1988, *Statistical Power Analysis*, chapter 2).
///
/// `None` unless `0 < alpha < 1`, `df > 0` and all are finite.
pub fn power(noncentrality: f64, df: f64, alpha: f64) -> Option<f64> {
    beyond(t_quantile(alpha / 2.0, df)?, df, noncentrality, 0.0)
}

/// The least difference that a two-sided t test at `alpha` sees with the chance `wanted`, in the units of
/// `standard_error`.
///
/// `None` unless `alpha < wanted < 1`, `df > 0` and all are finite.
pub fn least_difference(standard_error: f64, df: f64, alpha: f64, wanted: f64) -> Option<f64> {
    let chance = |noncentrality| power(noncentrality, df, alpha);
    Some(standard_error * least(chance, alpha, wanted)?)
}

/// A comparison of two arms with the same number of seeds and the same spread, judged by
/// [`difference`](super::difference()).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Design {
    /// Seeds of each arm.
    pub seeds: usize,
    /// Variance of the difference that the seeds give it, `2 s^2 / seeds`.
    pub seed_variance: f64,
    /// Variance of the difference that the items give it.
    pub item_variance: f64,
}

impl Design {
    /// Standard error of the difference.
    pub fn standard_error(&self) -> f64 {
        (self.seed_variance + self.item_variance).sqrt()
    }

    /// The chance that a true difference of `value` is seen at `alpha`.
    ///
    /// This is not [`power`] with `2 (n - 1)` degrees of freedom, which is that of the test with a pooled variance:
    /// with 2 seeds Welch's test sees half as much. The share of one arm in the sum of both variances follows a
    /// Beta distribution with `(n - 1) / 2` twice, and does not depend on the sum. So the power is the mean, over
    /// that share, of the chance to be beyond the quantile of Welch's degrees of freedom, with the `2 (n - 1)` of
    /// the sum. The variance that the items give counts as known, as in the test.
    ///
    /// `None` for fewer than two seeds, no variance at all, or what is not finite.
    pub fn power(&self, value: f64, alpha: f64) -> Option<f64> {
        self.chance(value / self.standard_error(), &self.quantiles(alpha)?)
    }

    /// The least true difference that is seen at `alpha` with the chance `wanted`; `None` as for [`Self::power`].
    pub fn least_difference(&self, alpha: f64, wanted: f64) -> Option<f64> {
        let quantiles = self.quantiles(alpha)?;
        let chance = |noncentrality| self.chance(noncentrality, &quantiles);
        Some(self.standard_error() * least(chance, alpha, wanted)?)
    }

    /// Quantiles of Welch's degrees of freedom with their weights. With a share of `(1 - cos x) / 2` they are
    /// `2 (n - 1) / (1 + cos^2 x)`, and the density of `x` is `sin^(n - 2) x`.
    fn quantiles(&self, alpha: f64) -> Option<Vec<(f64, f64)>> {
        let spread = self.seeds.checked_sub(1).filter(|&df| df > 0)? as f64;
        [-1.0, 1.0]
            .iter()
            .flat_map(|sign| GAUSS_LEGENDRE.map(|(node, weight)| (sign * node, weight)))
            .map(|(node, weight)| {
                let (sin, cos) = (FRAC_PI_4 * (1.0 + node)).sin_cos();
                let quantile = t_quantile(alpha / 2.0, 2.0 * spread / (1.0 + cos * cos))?;
                Some((quantile, weight * sin.powf(spread - 1.0)))
            })
            .collect()
    }

    fn chance(&self, noncentrality: f64, quantiles: &[(f64, f64)]) -> Option<f64> {
        let known = self.item_variance / (self.seed_variance + self.item_variance);
        let df = 2.0 * (self.seeds as f64 - 1.0);
        let (mut total, mut sum) = (0.0, 0.0);
        for &(quantile, weight) in quantiles {
            total += weight;
            sum += weight * beyond(quantile, df, noncentrality, known)?;
        }
        Some(sum / total)
    }
}

/// The chance of `|T| > critical`.
fn beyond(critical: f64, df: f64, noncentrality: f64, known: f64) -> Option<f64> {
    let above = 1.0 - partly_known_cdf(critical, df, noncentrality, known)?;
    let below = partly_known_cdf(-critical, df, noncentrality, known)?;
    Some((above + below).clamp(0.0, 1.0))
}

/// The noncentrality at which `chance`, which is at most `alpha` at 0, reaches `wanted`.
fn least(chance: impl Fn(f64) -> Option<f64>, alpha: f64, wanted: f64) -> Option<f64> {
    if !(wanted > alpha && wanted < 1.0) {
        return None;
    }
    let lack = |noncentrality| Some(chance(noncentrality)? - wanted);
    let mut high = 1.0;
    while lack(high)? < 0.0 {
        high *= 2.0;
    }
    root(lack, 0.0, high)
}

/// Positive nodes of the Gauss-Legendre rule of 16 points, and their weights.
const GAUSS_LEGENDRE: [(f64, f64); 8] = [
    (0.09501250983763744, 0.18945061045506864),
    (0.2816035507792589, 0.18260341504492364),
    (0.45801677765722737, 0.16915651939500265),
    (0.6178762444026438, 0.1495959888165767),
    (0.755404408355003, 0.12462897125553407),
    (0.8656312023878318, 0.0951585116824926),
    (0.9445750230732326, 0.062253523938647456),
    (0.9894009349916499, 0.027152459411754176),
];
