//! The comparison of arms over seeds: as a page, as text for the terminal, as tables to go on with.
//!
//! This file is what goes in; below it one file a part of what comes out.

mod attribution;
mod conditions;
mod csv;
mod curves;
mod forest;
mod gallery;
mod groups;
mod html;
mod latex;
mod methods;
mod pairs;
mod pareto;
mod power;
mod ranking;
mod reliability;
mod repeat;
mod robustness;
mod standing;
mod strips;
mod summary;
mod text;
mod verdict;

pub use attribution::Attribution;
pub use summary::ArmSummary;

use super::Axis;
use crate::accuracy::Group;
use crate::statistics::{Calibration, Study};
use std::collections::BTreeMap;

/// Everything a comparison shows. What is left empty is left out.
#[derive(Clone, Debug)]
pub struct CompareReport {
    /// The heading.
    pub title: String,
    /// One line below it.
    pub subtitle: String,
    /// Label and value of what holds for all arms: recipe, data, budget, the command.
    pub facts: Vec<(String, String)>,
    /// What the arms are compared by.
    pub metric: Metric,
    /// Further metrics of the test split.
    pub more_metrics: Vec<Metric>,
    /// The arms, in the order of [`Study::arms`].
    pub arms: Vec<Arm>,
    /// The configuration that all arms share.
    pub config_toml: String,
    /// The tests of [`Self::metric`] between all arms.
    pub study: Study,
    /// The arms trained again under other settings.
    pub conditions: Vec<Condition>,
    /// Test items on which the arms disagree.
    pub gallery: Vec<Example>,
    /// How the arms were given equal budgets, in a sentence; `None` when they were not.
    pub budget: Option<String>,
    /// Runs that did not get to their end, in words.
    pub failed: Vec<String>,
}

impl Default for CompareReport {
    /// Of no arms.
    fn default() -> Self {
        Self {
            title: String::new(),
            subtitle: String::new(),
            facts: Vec::new(),
            metric: Metric::default(),
            more_metrics: Vec::new(),
            arms: Vec::new(),
            config_toml: String::new(),
            study: Study::of(&[]),
            conditions: Vec::new(),
            gallery: Vec::new(),
            budget: None,
            failed: Vec::new(),
        }
    }
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
    /// Whether the smaller of two values is the better one, as of a loss.
    pub less_is_better: bool,
}

impl Default for Metric {
    /// `accuracy`, shown as `Test accuracy` in per cent.
    fn default() -> Self {
        Self {
            key: "accuracy".into(),
            label: "Test accuracy".into(),
            axis: Axis::Percent,
            less_is_better: false,
        }
    }
}

/// One arm: everything the same but the seed.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    /// What was varied, such as `late`.
    pub label: String,
    /// What it is in one line, with its paper; may be empty.
    pub about: String,
    /// Trainable parameters.
    pub parameters: Option<u64>,
    /// Floating-point operations of a forward pass of one item.
    pub flops: Option<f64>,
    /// The command that repeats each run, in the order of [`Self::runs`].
    pub commands: Vec<String>,
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
    /// The most memory the process held.
    pub peak_bytes: Option<u64>,
    /// A short digest of the predictions: the same run again gives the same.
    pub digest: String,
    /// How far the confidence of the answers can be trusted.
    pub calibration: Option<Calibration>,
    /// The trained run tested again on spoilt input.
    pub probes: Vec<Probe>,
    /// Mean weight that a gate gives to the image, 0 to 1, where there is a gate.
    pub image_weight: Option<f64>,
    /// Measurements along the run; tracks of the same name are drawn into one chart.
    pub tracks: Vec<Track>,
}

/// Accuracy of a trained run when its test input is spoilt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// How it is spoilt: `image noise`, `word dropout`, `without image`, `without question`, `without both`.
    pub name: String,
    /// How strongly; 1 for what is either on or off.
    pub level: f64,
    /// The accuracy, 0 to 1.
    pub accuracy: f64,
}

/// The arms trained again under another setting, such as a tenth of the data or a split of held-out combinations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// The key of the setting, such as `loader.share`. Conditions of one key are shown together.
    pub key: String,
    /// Its value, such as `0.1`. If all values of a key are numbers, they are drawn as a curve.
    pub value: String,
    /// Index of the arm, and [`CompareReport::metric`] of each seed.
    pub arms: Vec<(usize, Vec<f64>)>,
}

/// A test item on which the arms disagree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    /// The picture as a PNG file; without one, a blank stands in its place.
    pub image_png: Vec<u8>,
    /// What was asked.
    pub question: String,
    /// The right answer.
    pub target: String,
    /// Its group, such as the question type; may be empty.
    pub group: String,
    /// Index of the arm, and the answer of each seed.
    pub answers: Vec<(usize, Vec<String>)>,
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
