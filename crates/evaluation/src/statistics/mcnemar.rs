//! McNemar's test: on how many items is one arm right where the other is wrong.

use super::distribution::{chi_squared_tail, f_tail, fair_binomial_cdf};
use super::{Sample, standard_deviation};
use serde::Serialize;

/// The items on which two models disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Discordance {
    /// Items that only the first has right, `b`.
    pub first: u64,
    /// Items that only the second has right, `c`.
    pub second: u64,
}

impl Discordance {
    /// Counts over the scores of two models on the same items; `None` unless all are 0 or 1 and of equal number.
    pub fn of(a: &[f32], b: &[f32]) -> Option<Self> {
        if a.len() != b.len() {
            return None;
        }
        let mut binary = true;
        let mut counts = Self::default();
        for (&a, &b) in a.iter().zip(b) {
            binary &= (a == 0.0 || a == 1.0) && (b == 0.0 || b == 1.0);
            counts.first += u64::from(a > b);
            counts.second += u64::from(b > a);
        }
        binary.then_some(counts)
    }

    /// Two-sided p value of the exact test: twice the binomial tail of the rarer kind, at most 1 (McNemar 1947,
    /// <https://doi.org/10.1007/BF02295996>).
    pub fn exact(&self) -> Option<f64> {
        let rarer = self.first.min(self.second);
        Some((2.0 * fair_binomial_cdf(rarer, self.first + self.second)?).min(1.0))
    }

    /// `(b - c)^2 / (b + c)` and its p value by the chi-squared distribution. `corrected` takes 1 from `|b - c|` for
    /// continuity (Edwards 1948). `None` when there are none.
    pub fn chi_squared(&self, corrected: bool) -> Option<(f64, f64)> {
        let (b, c) = (self.first as f64, self.second as f64);
        let gap = (b - c).abs() - f64::from(u8::from(corrected));
        let statistic = gap.powi(2) / (b + c);
        (b + c > 0.0).then_some((statistic, chi_squared_tail(statistic)?))
    }
}

/// McNemar's test of two arms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// How many seeds the arms have in common.
    pub seeds: usize,
    /// Items that only one of them has right, summed over those seeds.
    pub discordance: Discordance,
    /// How much more the seeds' counts vary than throws of a coin, at least 1; `None` for one seed.
    pub dispersion: Option<f64>,
    /// Two-sided p value of both kinds being equally frequent.
    pub p: f64,
}

impl McNemar {
    /// The test over the seeds that both arms have; `None` where they have none in common, or scores other than
    /// 0 and 1.
    pub fn of(a: &Sample, b: &Sample) -> Option<Self> {
        if !(a.is_sound() && b.is_sound()) {
            return None;
        }
        let (of_a, of_b) = (a.items.as_ref()?, b.items.as_ref()?);
        let mut pairs = Vec::new();
        for (seed, row) in a.seeds.iter().zip(of_a) {
            let other = b.seeds.iter().zip(of_b).find(|(other, _)| *other == seed);
            if let Some((_, other)) = other {
                pairs.push(Discordance::of(row, other)?);
            }
        }
        Self::over_seeds(&pairs)
    }

    /// The test over the discordances of pairs of models, a pair a seed.
    ///
    /// Pooling the counts would take items answered by one run for independent ones. With `d = b - c` and
    /// `n = b + c` of each of `k` seeds,
    ///
    /// ```text
    /// Q = (sum d)^2 / (phi sum n),    phi = max(1, k s_d^2 / sum n)
    /// ```
    ///
    /// follows F with 1 and `k - 1` degrees of freedom: quasi-likelihood (McCullagh and Nelder 1989, *Generalized
    /// Linear Models*, section 4.5), with the sample variance `s_d^2` against the one that throws of a coin would
    /// have. Pearson's dispersion would weigh each seed by `1 / n`, but a run that went astray has a large `d` and
    /// a large `n`; that hides it and rejects too often. Where `phi` is above 1, `Q` is the square of the paired t
    /// test of `d`. It speaks of strategies on these items, not on new ones.
    ///
    /// One seed gives the [exact test](Discordance::exact), which speaks of these two models alone. `None` for no
    /// seeds.
    pub fn over_seeds(pairs: &[Discordance]) -> Option<Self> {
        let mut discordance = Discordance::default();
        for pair in pairs {
            discordance.first += pair.first;
            discordance.second += pair.second;
        }
        let (dispersion, p) = match pairs {
            [] => return None,
            [pair] => (None, pair.exact()?),
            pairs => {
                let dispersion = dispersion(pairs, discordance)?;
                (
                    Some(dispersion),
                    quasi_p(discordance, dispersion, pairs.len())?,
                )
            }
        };
        Some(Self {
            seeds: pairs.len(),
            discordance,
            dispersion,
            p,
        })
    }
}

/// `phi` of [`McNemar::over_seeds`] for two seeds or more.
fn dispersion(pairs: &[Discordance], total: Discordance) -> Option<f64> {
    let gap = |pair: &Discordance| pair.first as f64 - pair.second as f64;
    let deviation = standard_deviation(&pairs.iter().map(gap).collect::<Vec<_>>())?;
    let coins = (total.first + total.second) as f64 / pairs.len() as f64;
    // No discordance at all is 0 / 0, which `max` passes over.
    Some((deviation.powi(2) / coins).max(1.0))
}

fn quasi_p(total: Discordance, dispersion: f64, seeds: usize) -> Option<f64> {
    let Some((statistic, _)) = total.chi_squared(false) else {
        return Some(1.0);
    };
    f_tail(statistic / dispersion, (seeds - 1) as f64)
}
