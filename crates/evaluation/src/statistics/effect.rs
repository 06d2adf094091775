//! Effect sizes over seeds.

use super::noncentral::{noncentral_t_cdf, root};
use super::sample::without_rounding;
use super::{mean, standard_deviation};
use serde::Serialize;

/// A standardised mean difference with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EffectSize {
    /// Hedges' g, in standard deviations of one seed.
    pub value: f64,
    /// Large-sample standard error of `value`.
    pub standard_error: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Hedges' g: the difference of the means in units of the pooled standard deviation, less its bias in few seeds, `1
/// - 3 / (4 N - 9)` (Hedges 1981, <https://doi.org/10.3102/10769986006002107>). The standard error is that of
/// Hedges and Olkin 1985, `sqrt(N / (n_A n_B) + g^2 / (2 (N - 3.94)))`.
///
/// The interval is not built from it, which would need many seeds, but from the noncentral t distribution, which is
/// exact for normal scores of equal spread (Steiger and Fouladi 1997): it leaves out 0 where the t test
/// with a pooled variance rejects. Both speak of strategies on these items, not on new ones.
///
/// `None` when an arm has one seed, a value is not finite, or nothing spreads.
pub fn hedges_g(a: &[f64], b: &[f64], level: f64) -> Option<EffectSize> {
    let (n_a, n_b) = (a.len() as f64, b.len() as f64);
    let (mean_a, mean_b) = (mean(a)?, mean(b)?);
    let (s_a, s_b) = (standard_deviation(a)?, standard_deviation(b)?);
    let df = n_a + n_b - 2.0;
    let pooled = (((n_a - 1.0) * s_a.powi(2) + (n_b - 1.0) * s_b.powi(2)) / df).sqrt();
    let pooled = without_rounding(pooled, mean_a.abs().max(mean_b.abs()));
    if pooled == 0.0 {
        return None;
    }
    let unbiased = 1.0 - 3.0 / (4.0 * (df + 2.0) - 9.0);
    let per_t = (1.0 / n_a + 1.0 / n_b).sqrt();
    let t = (mean_a - mean_b) / pooled / per_t;
    let value = unbiased * per_t * t;
    // Ten standard deviations of what the noncentrality may be, given t.
    let reach = 10.0 * (1.0 + t * t / (2.0 * df)).sqrt();
    let end = |share: f64| {
        let excess = |delta| Some(noncentral_t_cdf(t, df, delta)? - share);
        Some(unbiased * per_t * root(excess, t - reach, t + reach)?)
    };
    let tail = (1.0 - level) / 2.0;
    Some(EffectSize {
        value,
        standard_error: (per_t.powi(2) + value.powi(2) / (2.0 * (df - 1.94))).sqrt(),
        low: end(1.0 - tail)?,
        high: end(tail)?,
    })
}
