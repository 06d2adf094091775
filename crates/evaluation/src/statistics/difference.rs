//! By how much two arms differ, as strategies: trained again with new seeds and asked new items.

use super::distribution::{t_quantile, t_two_sided};
use super::sample::{Components, ItemComponents, without_rounding};
use serde::Serialize;

/// A difference with what is known about its error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The difference of the means, first arm less second.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom of the t distribution it is judged by.
    pub df: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Two-sided p value of no difference.
    pub p: f64,
}

impl Estimate {
    /// The estimate whose `value / standard_error` follows Student's t.
    ///
    /// Without a spread there is nothing to hold a difference against: no runs, however many agree, show that the
    /// next one will. So a standard error of zero gives `None`, unless the value is zero too: then nothing speaks
    /// for a difference, and `p` is 1.
    pub(super) fn of(value: f64, standard_error: f64, df: f64, level: f64) -> Option<Self> {
        let (reach, p) = if standard_error == 0.0 && value == 0.0 {
            (0.0, 1.0)
        } else if standard_error > 0.0 {
            (
                standard_error * t_quantile((1.0 - level) / 2.0, df)?,
                t_two_sided(value / standard_error, df)?,
            )
        } else {
            return None;
        };
        let (low, high) = (value - reach, value + reach);
        (low.is_finite() && high.is_finite()).then_some(Self {
            value,
            standard_error,
            df,
            low,
            high,
            p,
        })
    }
}

/// The difference of two arms, with an interval that holds it in a share `level` of studies: the primary test.
///
/// The variance of a difference of means over `n` seeds and `m` shared items, both random, is
///
/// ```text
/// V = s_A^2 / n_A + s_B^2 / n_B + max(0, Var_i(D_i) - MSE_A / n_A - MSE_B / n_B) / m
/// ```
///
/// with the variance `s^2` of the seeds' scores, the differences `D_i` of the means over seeds on each item, and
/// the residual mean square `MSE` of seed x item. What the seeds do on single items is already in `s^2`, hence the
/// subtraction: without it the residual would count twice (Clark 1973,
/// <https://doi.org/10.1016/S0022-5371(73)80014-3>, whose quasi-F this is; Cameron, Gelbach and Miller 2011,
/// <https://doi.org/10.1198/jbes.2010.07136>). Without items it is Welch's test, and speaks only of the items that
/// were asked.
///
/// The degrees of freedom are those of the seeds' part (Welch 1947, <https://doi.org/10.1093/biomet/34.1-2.28>):
/// fewer than the sum has, for it is the seeds that are few.
///
/// The seeds of the two arms count as independent. Where equal seeds mean an equal order of the data, they vary
/// together, and the test is conservative.
///
/// `None` when an arm has one seed, when the arms were asked unequal numbers of items, or when there is a
/// difference and no spread at all.
pub fn difference(a: &Components, b: &Components, level: f64) -> Option<Estimate> {
    let (value, seeds) = (value(a, b), seed_part(a, b)?);
    let items = match (&a.items, &b.items) {
        (Some(of_a), Some(of_b)) => item_part(of_a, a.seeds, of_b, b.seeds)?,
        _ => 0.0,
    };
    Estimate::of(value, (seeds.variance + items).sqrt(), seeds.df, level)
}

/// The difference of the means, nothing where only rounding differs.
pub(super) fn value(a: &Components, b: &Components) -> f64 {
    without_rounding(a.mean - b.mean, a.mean.abs().max(b.mean.abs()))
}

/// The variance that the seeds give to a difference of means.
pub(super) struct SeedPart {
    pub(super) variance: f64,
    pub(super) df: f64,
}

/// Welch's variance and degrees of freedom.
pub(super) fn seed_part(a: &Components, b: &Components) -> Option<SeedPart> {
    let of_mean = |arm: &Components| Some(arm.between_seeds? / arm.seeds as f64);
    let (of_a, of_b) = (of_mean(a)?, of_mean(b)?);
    let variance = of_a + of_b;
    let (df_a, df_b) = ((a.seeds - 1) as f64, (b.seeds - 1) as f64);
    let df = if variance > 0.0 {
        let share = of_a / variance;
        1.0 / (share.powi(2) / df_a + (1.0 - share).powi(2) / df_b)
    } else {
        // The limit is not unique; this is the least it can be.
        df_a.min(df_b)
    };
    variance.is_finite().then_some(SeedPart { variance, df })
}

/// The variance that the items give to a difference of means; `None` for unequal numbers of items.
pub(super) fn item_part(
    a: &ItemComponents,
    seeds_a: usize,
    b: &ItemComponents,
    seeds_b: usize,
) -> Option<f64> {
    if a.means.len() != b.means.len() {
        return None;
    }
    let count = a.means.len() as f64;
    let differences = || a.means.iter().zip(&b.means).map(|(a, b)| a - b);
    let mean = differences().sum::<f64>() / count;
    let squares: f64 = differences().map(|value| (value - mean).powi(2)).sum();
    let residual = a.residual / seeds_a as f64 + b.residual / seeds_b as f64;
    Some((squares / (count - 1.0) - residual).max(0.0) / count)
}
