//! What a study of this size could have seen.

use super::super::{Axis, number};
use super::CompareReport;
use super::standing::Standing;
use crate::statistics::{Design, Detectable, POWER};

impl CompareReport {
    /// The least difference that is seen with a chance of 80% and so many seeds. Correction is by the number of pairs,
    /// which is the strictest step of Holm's method.
    pub(super) fn detectable(&self, standing: &Standing, of: &Detectable) -> Option<f64> {
        let seed_variance =
            2.0 * self.study.power.as_ref()?.seed_deviation.powi(2) / of.seeds as f64;
        let design = Design {
            seeds: of.seeds,
            seed_variance,
            item_variance: (of.standard_error.powi(2) - seed_variance).max(0.0),
        };
        let (tested, _) = standing.tested();
        let least = design.least_difference(self.alpha() / tested.max(1) as f64, POWER)?;
        (least.is_finite() && least > 0.0).then_some(least)
    }

    /// The sentence of the verdict.
    pub(super) fn power(&self, standing: &Standing) -> Option<String> {
        let least = standing.least_difference()?;
        if standing.tested().0 == 0 {
            return None;
        }
        let seeds = match standing.seeds()? {
            1 => return None,
            seeds => format!("{} seeds", number::words(seeds)),
        };
        // Nothing beyond 100% can be the difference of two shares.
        Some(match self.metric.axis == Axis::Percent && least > 1.0 {
            true => format!("With {seeds} and so many pairs any difference might well go unseen."),
            false => format!(
                "With {seeds} a difference of less than {} might well go unseen.",
                self.metric.axis.amount(least)
            ),
        })
    }

    /// What more seeds could see.
    pub(super) fn more_seeds(&self, standing: &Standing) -> String {
        let Some(power) = &self.study.power else {
            return String::new();
        };
        let now = power
            .detectable
            .iter()
            .find(|one| one.present)
            .map_or(0, |one| one.seeds);
        let more = power.detectable.iter().filter(|one| one.seeds > now);
        let more = more.filter_map(|one| {
            let least = self.metric.axis.amount(self.detectable(standing, one)?);
            Some(format!("{} seeds {least}", number::words(one.seeds)))
        });
        match more.collect::<Vec<_>>().join(", ") {
            more if more.is_empty() => more,
            more => format!(" More seeds see less: {more}."),
        }
    }
}
