//! The numbers of each arm, for `--json` and for every table.

use super::standing::Standing;
use super::{Arm, ArmRun, Attribution, CompareReport, Metric};
use crate::statistics::Summary;
use serde::Serialize;
use std::collections::BTreeMap;

/// The numbers of one arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmSummary {
    /// See [`Arm::label`].
    pub label: String,
    /// Place by the mean, 1 for the best; `None` without a mean.
    pub rank: Option<usize>,
    /// Arms that share a letter cannot be told apart.
    pub letters: String,
    /// Interval of the mean of the metric that the arms are compared by.
    pub interval: Option<(f64, f64)>,
    /// See [`Arm::parameters`].
    pub parameters: Option<u64>,
    /// See [`Arm::flops`].
    pub flops: Option<f64>,
    /// The seed of each value below.
    pub seeds: Vec<u64>,
    /// Metrics of the test split by key; a run that lacks one counts as NaN.
    pub test: BTreeMap<String, Summary>,
    /// Time spent training; `None` unless every run has it, as of all below.
    pub seconds: Option<Summary>,
    /// Training throughput.
    pub samples_per_second: Option<Summary>,
    /// The most memory the process held, in bytes.
    pub peak_bytes: Option<Summary>,
    /// Expected calibration error.
    pub ece: Option<Summary>,
    /// Brier score.
    pub brier: Option<Summary>,
    /// Mean weight that a gate gives to the image.
    pub image_weight: Option<Summary>,
    /// What each modality contributes, as means over seeds.
    pub attribution: Option<Attribution>,
}

/// Sums up what every run of an arm has; `None` if one has it not, or there is none.
pub(super) fn over_runs(arm: &Arm, value: impl Fn(&ArmRun) -> Option<f64>) -> Option<Summary> {
    let values: Option<Vec<f64>> = arm.runs.iter().map(value).collect();
    values.filter(|values| !values.is_empty()).map(Summary::of)
}

impl CompareReport {
    /// The numbers of each arm, in the order of [`Self::arms`].
    pub fn summaries(&self) -> Vec<ArmSummary> {
        let standing = Standing::of(self);
        let mut summaries: Vec<(usize, ArmSummary)> = standing
            .all()
            .map(|(place, ranked)| {
                let arm = ranked.arm;
                let test = |metric: &Metric| (metric.key.clone(), self.summary(arm, &metric.key));
                let summary = ArmSummary {
                    label: arm.label.clone(),
                    rank: ranked.summary.mean.map(|_| place + 1),
                    letters: ranked.letters.to_owned(),
                    interval: ranked.interval,
                    parameters: arm.parameters,
                    flops: arm.flops,
                    seeds: arm.runs.iter().map(|run| run.seed).collect(),
                    test: self.metrics().map(test).collect(),
                    seconds: over_runs(arm, |run| run.seconds),
                    samples_per_second: over_runs(arm, |run| run.samples_per_second),
                    peak_bytes: over_runs(arm, |run| run.peak_bytes.map(|bytes| bytes as f64)),
                    ece: over_runs(arm, |run| Some(run.calibration.as_ref()?.ece)),
                    brier: over_runs(arm, |run| Some(run.calibration.as_ref()?.brier)),
                    image_weight: over_runs(arm, |run| run.image_weight),
                    attribution: Attribution::mean(&arm.runs),
                };
                (ranked.index, summary)
            })
            .collect();
        summaries.sort_by_key(|(index, _)| *index);
        summaries.into_iter().map(|(_, summary)| summary).collect()
    }

    /// A test metric of an arm over its seeds; a run that lacks it counts as NaN.
    pub(super) fn summary(&self, arm: &Arm, key: &str) -> Summary {
        let values = arm.runs.iter();
        let values = values.map(|run| run.test.get(key).copied().unwrap_or(f64::NAN));
        Summary::of(values.collect())
    }

    /// The metric that the arms are compared by, and the others.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.metric).chain(&self.more_metrics)
    }
}
