//! What a comparison has come to so far: its table, its page, its numbers.

use crate::arms::Arm;
use crate::report::groups;
use crate::{options, output};
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::report::{
    self, ArmRun, ArmSummary, Axis, CompareReport, Metric, Point, Track,
};
use crucible_training::metrics::{self, MetricLine};
use crucible_training::recipe::RunResult;
use crucible_training::{Error, RunDir, RunRecord, run_dir};
use serde::Serialize;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// One run of the plan.
pub struct Planned {
    /// Index of its arm.
    pub arm: usize,
    pub dir: RunDir,
    pub record: RunRecord,
}

/// A run that did not get to its end.
#[derive(Serialize)]
pub struct Failed {
    pub arm: String,
    pub seed: u64,
    pub error: String,
}

/// `compare.json`, and what `--json` prints.
#[derive(Serialize)]
pub struct Summary<'a> {
    pub recipe: &'a str,
    pub preset: &'a str,
    pub vary: &'a [String],
    pub arms: Vec<ArmSummary>,
    pub failed: &'a [Failed],
    /// Runs that are planned and not yet finished.
    pub unfinished: usize,
}

/// Reads every finished run of the plan.
///
/// # Errors
///
/// When a file of a finished run is missing or broken.
pub fn read(arms: &[Arm], plan: &[Planned]) -> Result<CompareReport, Error> {
    let mut report = CompareReport {
        arms: arms
            .iter()
            .map(|arm| report::Arm {
                label: arm.label.clone(),
                ..report::Arm::default()
            })
            .collect(),
        ..CompareReport::default()
    };
    let mut digests: Vec<(&str, String)> = Vec::new();
    for Planned { arm, dir, record } in plan.iter().filter(|planned| planned.dir.is_finished()) {
        let result: RunResult = dir.read_json(run_dir::RESULT)?;
        // What was measured on other data cannot be averaged.
        let data = options::data_name(&record.config, &record.data);
        match digests.iter().find(|(name, _)| *name == data) {
            Some((_, digest)) if *digest != result.data_digest => {
                return Err(Error::Usage(format!(
                    "{}: `{data}` has changed between the runs; remove those of the old data, or choose \
                     another --out",
                    dir.path().display()
                )));
            }
            Some(_) => {}
            None => digests.push((data, result.data_digest.clone())),
        }
        for key in result.test.keys().filter(|key| **key != report.metric.key) {
            if !report.more_metrics.iter().any(|metric| metric.key == *key) {
                report.more_metrics.push(Metric {
                    key: key.clone(),
                    label: format!("Test {key}"),
                    axis: Axis::Linear,
                });
            }
        }
        report.arms[*arm].parameters = Some(result.cost.parameters as u64);
        report.arms[*arm].runs.push(read_run(dir, result)?);
    }
    // An arm without a finished run has nothing to show yet.
    report.arms.retain(|arm| !arm.runs.is_empty());
    if let Some(Planned { record, .. }) = plan.first() {
        report.title = format!("{}, {}", record.recipe, record.preset);
        report.facts = facts(record, plan);
        let configs: Vec<&Table> = plan.iter().map(|planned| &planned.record.config).collect();
        report.config_toml = shared(&configs).to_string();
    }
    Ok(report)
}

fn read_run(dir: &RunDir, result: RunResult) -> Result<ArmRun, Error> {
    let predictions: Vec<Prediction> = dir.read_json_lines(run_dir::PREDICTIONS)?;
    let lines = metrics::read(dir)?;
    Ok(ArmRun {
        seed: result.seed,
        test: result.test,
        groups: groups(&predictions),
        seconds: Some(result.cost.seconds),
        samples_per_second: result.samples_per_second,
        tracks: vec![
            track(
                "Validation accuracy",
                Axis::Percent,
                &lines,
                "valid",
                "accuracy",
            ),
            track("Training loss", Axis::Log, &lines, "train", "loss"),
        ],
    })
}

fn track<'a>(
    name: &str,
    axis: Axis,
    lines: &'a [MetricLine],
    split: &'a str,
    metric: &'a str,
) -> Track {
    let of = |metric| {
        let found = move |line: &&MetricLine| line.split == split && line.name == metric;
        lines.iter().filter(found)
    };
    let seconds: BTreeMap<usize, f64> = of(metrics::SECONDS)
        .map(|line| (line.step, line.value))
        .collect();
    let points = of(metric).map(|line| Point {
        step: line.step as f64,
        seconds: seconds.get(&line.step).copied(),
        value: line.value,
    });
    Track {
        name: name.into(),
        axis,
        points: points.collect(),
    }
}

fn facts(record: &RunRecord, plan: &[Planned]) -> Vec<(String, String)> {
    let mut seeds: Vec<u64> = plan.iter().map(|planned| planned.record.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let finished = plan
        .iter()
        .filter(|planned| planned.dir.is_finished())
        .count();
    let of = |label: &str, value: String| (label.to_string(), value);
    vec![
        of("Recipe", record.recipe.clone()),
        of("Preset", record.preset.clone()),
        of(
            "Data",
            options::data_name(&record.config, &record.data).to_string(),
        ),
        of("Seeds", seeds.join(", ")),
        of("Backend", record.backend.clone()),
        of(
            "Runs finished",
            format!(
                "{} of {}",
                output::count(finished),
                output::count(plan.len())
            ),
        ),
    ]
}

/// The keys that have the same value in all tables.
fn shared(tables: &[&Table]) -> Table {
    let Some((first, others)) = tables.split_first() else {
        return Table::new();
    };
    let mut common = Table::new();
    for (key, value) in *first {
        let values: Option<Vec<&Value>> = others.iter().map(|table| table.get(key)).collect();
        let Some(values) = values else { continue };
        if values.iter().all(|other| *other == value) {
            common.insert(key.clone(), value.clone());
        } else if let (Value::Table(inner), Some(inners)) = (
            value,
            values
                .iter()
                .map(|value| value.as_table())
                .collect::<Option<Vec<_>>>(),
        ) {
            let inner = shared(&[&[inner][..], &inners].concat());
            if !inner.is_empty() {
                common.insert(key.clone(), Value::Table(inner));
            }
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_arms_share_is_shown_as_shared() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let early =
            table("data = 'a'\n[fusion]\nstrategy = 'early'\nlayers = 2\n[training]\nsteps = 5\n");
        let mid =
            table("data = 'a'\n[fusion]\nstrategy = 'mid'\nlayers = 2\n[training]\nsteps = 6\n");
        assert_eq!(
            shared(&[&early, &mid]),
            table("data = 'a'\n[fusion]\nlayers = 2\n")
        );
        assert_eq!(shared(&[&early]), early);
    }
}
