//! The comparison of arms over seeds: as a page, as text for the terminal, as numbers for JSON.

mod html;

use super::{Axis, number};
use crate::accuracy::Group;
use crate::statistics::Summary;
use crate::table::{Align, text_table};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything a comparison shows. What is left empty is left out.
#[derive(Clone, Debug, Default)]
pub struct CompareReport {
    /// The heading.
    pub title: String,
    /// One line below it.
    pub subtitle: String,
    /// Label and value of what holds for all arms: recipe, data, budget, the command.
    pub facts: Vec<(String, String)>,
    /// What the arms are compared by; higher is better.
    pub metric: Metric,
    /// Further metrics of the test split, a column each.
    pub more_metrics: Vec<Metric>,
    /// The arms, in the order to show them.
    pub arms: Vec<Arm>,
    /// The configuration that all arms share.
    pub config_toml: String,
}

/// A metric of the test split.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its key in [`ArmRun::test`].
    pub key: String,
    /// Its name for the reader.
    pub label: String,
    /// How it is shown.
    pub axis: Axis,
}

impl Default for Metric {
    /// `accuracy`, shown as `Test accuracy` in per cent.
    fn default() -> Self {
        Self {
            key: "accuracy".into(),
            label: "Test accuracy".into(),
            axis: Axis::Percent,
        }
    }
}

/// One arm: everything the same but the seed.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    /// What was varied, such as `late`.
    pub label: String,
    /// Trainable parameters.
    pub parameters: Option<u64>,
    /// One run a seed.
    pub runs: Vec<ArmRun>,
}

/// One finished run of an arm.
#[derive(Clone, Debug, Default)]
pub struct ArmRun {
    /// Its seed.
    pub seed: u64,
    /// Metrics of the test split by key.
    pub test: BTreeMap<String, f64>,
    /// Hits by group, such as question type.
    pub groups: Vec<Group>,
    /// Time spent training.
    pub seconds: Option<f64>,
    /// Training throughput.
    pub samples_per_second: Option<f64>,
    /// Measurements along the run; tracks of the same name are drawn into one chart.
    pub tracks: Vec<Track>,
}

/// One measurement along one run.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// What it is and the heading of its chart, such as `Validation accuracy`.
    pub name: String,
    /// How it is shown.
    pub axis: Axis,
    /// The measured values.
    pub points: Vec<Point>,
}

/// One value along a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// After how many steps.
    pub step: f64,
    /// After how many seconds of training; a chart over time is drawn when every point of every run has it.
    pub seconds: Option<f64>,
    /// The value.
    pub value: f64,
}

/// The numbers of one arm, as the table shows them and `--json` prints them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmSummary {
    /// See [`Arm::label`].
    pub label: String,
    /// See [`Arm::parameters`].
    pub parameters: Option<u64>,
    /// The seed of each value below.
    pub seeds: Vec<u64>,
    /// Metrics of the test split by key; a run that lacks one counts as NaN.
    pub test: BTreeMap<String, Summary>,
    /// Time spent training; `None` unless every run has it.
    pub seconds: Option<Summary>,
    /// Training throughput; `None` unless every run has it.
    pub samples_per_second: Option<Summary>,
}

impl CompareReport {
    /// The numbers of each arm.
    pub fn summaries(&self) -> Vec<ArmSummary> {
        self.arms.iter().map(|arm| self.summarised(arm)).collect()
    }

    fn summarised(&self, arm: &Arm) -> ArmSummary {
        let over_runs = |value: fn(&ArmRun) -> Option<f64>| -> Option<Summary> {
            let values: Option<Vec<f64>> = arm.runs.iter().map(value).collect();
            values.filter(|values| !values.is_empty()).map(Summary::of)
        };
        let test = |metric: &Metric| {
            let values = arm
                .runs
                .iter()
                .map(|run| run.test.get(&metric.key).copied().unwrap_or(f64::NAN));
            (metric.key.clone(), Summary::of(values.collect()))
        };
        ArmSummary {
            label: arm.label.clone(),
            parameters: arm.parameters,
            seeds: arm.runs.iter().map(|run| run.seed).collect(),
            test: self.metrics().map(test).collect(),
            seconds: over_runs(|run| run.seconds),
            samples_per_second: over_runs(|run| run.samples_per_second),
        }
    }

    fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.metric).chain(&self.more_metrics)
    }

    /// The comparison as an aligned plain-text table for the terminal.
    pub fn text(&self) -> String {
        let (header, rows) = self.cells(" ");
        text_table(&aligned(&header), &rows)
    }

    /// Header and cells, as text, of the table that both the page and the terminal show. `gap` stands between
    /// the values of single seeds.
    fn cells(&self, gap: &str) -> (Vec<String>, Vec<Vec<String>>) {
        let summaries = self.summaries();
        let has = |value: fn(&ArmSummary) -> bool| summaries.iter().any(value);
        let (parameters, seconds, throughput) = (
            has(|arm| arm.parameters.is_some()),
            has(|arm| arm.seconds.is_some()),
            has(|arm| arm.samples_per_second.is_some()),
        );
        let mut header = vec!["Arm".to_owned()];
        header.extend(parameters.then(|| "Parameters".to_owned()));
        header.extend([self.metric.label.clone(), "Each seed".to_owned()]);
        header.extend(self.more_metrics.iter().map(|metric| metric.label.clone()));
        header.extend(seconds.then(|| "Training time".to_owned()));
        header.extend(throughput.then(|| "Samples/s".to_owned()));
        let none = || number::NONE.to_owned();
        let mean = |summary: &Option<Summary>| summary.as_ref().and_then(|summary| summary.mean);
        let row = |arm: &ArmSummary| {
            let test = |metric: &Metric| metric.axis.format_summary(&arm.test[&metric.key]);
            let seeds: Vec<String> = arm.test[&self.metric.key]
                .values
                .iter()
                .map(|&value| self.metric.axis.format(value))
                .collect();
            let mut row = vec![arm.label.clone()];
            row.extend(parameters.then(|| arm.parameters.map_or_else(none, number::count)));
            row.extend([test(&self.metric), seeds.join(gap)]);
            row.extend(self.more_metrics.iter().map(test));
            row.extend(seconds.then(|| mean(&arm.seconds).map_or_else(none, number::duration)));
            row.extend(
                throughput.then(|| mean(&arm.samples_per_second).map_or_else(none, number::number)),
            );
            row
        };
        (header, summaries.iter().map(row).collect())
    }
}

/// Columns of numbers after one of names.
fn aligned<S: AsRef<str>>(header: &[S]) -> Vec<(&str, Align)> {
    let align = |index| {
        if index == 0 {
            Align::Left
        } else {
            Align::Right
        }
    };
    header
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_ref(), align(index)))
        .collect()
}
