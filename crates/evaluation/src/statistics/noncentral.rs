//! The noncentral t distribution, which rules the power of a t test and the interval of an effect size.

use super::distribution::normal_cdf;

/// `P(T <= t)` for `T = (Z + noncentrality) / S` with a standard normal `Z` and an independent
/// `S = sqrt(chi^2_df / df)`: the distribution of Student's t when there is a difference (Johnson, Kotz and
/// Balakrishnan 1995, *Continuous Univariate Distributions* 2, chapter 31).
///
/// It is the mean of `Phi(t s - noncentrality)` over the density of `S`. In `x = ln s` the integrand is smooth and
/// falls off on both sides, where the trapezoidal rule converges faster than any power of its step
/// (Trefethen and Weideman 2014, <https://doi.org/10.1137/130932132>); it agrees with scipy's `nct` to 1e-9.
///
/// `None` unless `df > 0` and all numbers are finite.
pub fn noncentral_t_cdf(t: f64, df: f64, noncentrality: f64) -> Option<f64> {
    partly_known_cdf(t, df, noncentrality, 0.0)
}

/// [`noncentral_t_cdf`] where a share `known` of the variance is known and the rest estimated: with
/// `sqrt(known + (1 - known) S^2)` instead of `S`.
pub(super) fn partly_known_cdf(t: f64, df: f64, noncentrality: f64, known: f64) -> Option<f64> {
    if !((0.0..=1.0).contains(&known)
        && t.is_finite()
        && noncentrality.is_finite()
        && df.is_finite()
        && df > 0.0)
    {
        return None;
    }
    // The density over x is proportional to exp(df (x + 1/2 - e^2x / 2)); e^-32 of its peak is the end of it.
    let reach = 32.0 / df;
    let upper = |reach: f64| 0.5 * (1.0 + 2.0 * reach.sqrt() + 2.0 * reach).ln();
    let (low, high) = (-reach - reach.sqrt(), upper(reach));
    // How steep Phi gets before it has come to its end, or the density to e^-8 of its peak.
    let end = ((noncentrality.abs() + 8.0) / t.abs()).ln();
    let slope = t.abs() * end.min(upper(reach / 4.0)).exp();
    // As narrow as the product of the two bells; beyond pi / 4 off the real line the density grows.
    let step = 1.0 / ((2.0 * df + slope * slope) / 0.64 + 30.0).sqrt();
    let points = ((high - low) / step).ceil();
    if points > 1e6 {
        return None;
    }
    let (mut total, mut below) = (0.0, 0.0);
    for index in 0..=points as usize {
        let x = low + step * index as f64;
        let s = x.exp();
        let weight = (df * (x + 0.5 - 0.5 * s * s)).exp();
        total += weight;
        below +=
            weight * saturating_cdf(t * (known + (1.0 - known) * s * s).sqrt() - noncentrality);
    }
    Some(below / total)
}

/// [`normal_cdf`], with what differs from 0 or 1 by less than 1e-16 taken for it: most points lie there.
fn saturating_cdf(z: f64) -> f64 {
    if z.abs() > 8.3 {
        f64::from(u8::from(z > 0.0))
    } else {
        normal_cdf(z)
    }
}

/// Where `function`, which is monotone, changes its sign between `low` and `high`: false position with the
/// Illinois rule (Dowell and Jarratt 1971), so that neither end stays where it is.
///
/// `None` when it does not change its sign there or is not defined.
pub(super) fn root(
    function: impl Fn(f64) -> Option<f64>,
    mut low: f64,
    mut high: f64,
) -> Option<f64> {
    let (mut at_low, mut at_high) = (function(low)?, function(high)?);
    if at_low * at_high > 0.0 {
        return None;
    }
    for _ in 0..200 {
        if at_low == at_high {
            break;
        }
        let middle = (low * at_high - high * at_low) / (at_high - at_low);
        let at_middle = function(middle)?;
        if at_middle * at_high <= 0.0 {
            (low, at_low) = (high, at_high);
        } else {
            at_low /= 2.0;
        }
        let moved = (middle - high).abs();
        (high, at_high) = (middle, at_middle);
        if at_middle == 0.0 || moved <= 1e-12 * high.abs().max(1.0) {
            break;
        }
    }
    Some(high)
}
