//! The report of one run, from the files of its directory.

use crate::options::data_name;
use crate::{output, samples};
use crucible_evaluation::accuracy::{Group, Prediction, accuracy, accuracy_by, confusions};
use crucible_evaluation::report::{Axis, Curve, RunReport, Series};
use crucible_training::metrics::{self, MetricLine};
use crucible_training::recipe::RunResult;
use crucible_training::tell;
use crucible_training::{Error, RunDir, RunRecord, run_dir};

/// Most mistakes to show.
const CONFUSIONS: usize = 10;
/// More groups than this make no table to read.
const GROUPS: usize = 100;

/// Writes `report.html`.
///
/// # Errors
///
/// When a file of the run is missing or broken, or the directory cannot be written to.
pub fn write(dir: &RunDir) -> Result<(), Error> {
    let record: RunRecord = dir.read_json(run_dir::RUN)?;
    let result: RunResult = dir.read_json(run_dir::RESULT)?;
    let predictions: Vec<Prediction> = dir.read_json_lines(run_dir::PREDICTIONS)?;
    let figures = match dir.file(run_dir::FIGURES).exists() {
        true => dir.read_json(run_dir::FIGURES)?,
        false => Vec::new(),
    };
    let name = data_name(&record.config, &record.data);
    let report = RunReport {
        title: format!("{}, {}", record.recipe, record.preset),
        subtitle: dir.path().display().to_string(),
        facts: facts(&record, &result),
        test: accuracy(&predictions),
        groups: groups(&predictions),
        confusions: confusions(&predictions, CONFUSIONS),
        curves: curves(&metrics::read(dir)?),
        figures,
        // Without its pictures a report is still one: data can have moved since.
        samples: samples::cards(name, &predictions).unwrap_or_else(|error| {
            tell!("note: no samples in the report: {error}");
            Vec::new()
        }),
        config_toml: record.config.to_string(),
    };
    dir.write(run_dir::REPORT, report.html().as_bytes())
}

fn facts(record: &RunRecord, result: &RunResult) -> Vec<(String, String)> {
    let mut facts = vec![
        ("Parameters", output::count(result.cost.parameters)),
        ("Steps", output::count(result.cost.steps)),
        ("Training time", output::duration(result.cost.seconds)),
        ("Seed", record.seed.to_string()),
        ("Backend", record.backend.clone()),
        ("Device", record.device.clone()),
        ("Kernels", kernels(record)),
        ("Data", data_name(&record.config, &record.data).to_string()),
        ("Data digest", record.data_digest.chars().take(12).collect()),
    ];
    if let Some(bytes) = result.peak_rss_bytes {
        facts.push((
            "Peak memory",
            format!("{} MiB", output::count((bytes >> 20) as usize)),
        ));
    }
    let versions: Vec<String> = record
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    facts.push(("Versions", versions.join(", ")));
    facts
        .into_iter()
        .map(|(label, value)| (label.to_string(), value))
        .collect()
}

/// Such as `fused, 2 threads`.
fn kernels(record: &RunRecord) -> String {
    match record.threads {
        0 => record.kernels.clone(),
        1 => format!("{}, 1 thread", record.kernels),
        threads => format!("{}, {threads} threads", record.kernels),
    }
}

/// Accuracy by answer type (yes/no, number, other), the types of the VQA datasets, when some answers
/// are yes or no; otherwise by class.
pub fn groups(predictions: &[Prediction]) -> Vec<Group> {
    let answers = || predictions.iter().map(|prediction| &prediction.target);
    if answers().any(|target| kind(target) == YES_NO) {
        return accuracy_by(predictions, |prediction| kind(&prediction.target));
    }
    let classes = accuracy_by(predictions, |prediction| prediction.target.clone());
    match classes.len() {
        0..=GROUPS => classes,
        _ => Vec::new(),
    }
}

const YES_NO: &str = "yes/no";

/// The type of an answer.
pub fn kind(target: &str) -> &'static str {
    match target {
        "yes" | "no" => YES_NO,
        target if target.parse::<f64>().is_ok() => "number",
        _ => "other",
    }
}

/// One chart a name, one line a split.
fn curves(lines: &[MetricLine]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for line in lines.iter().filter(|line| line.name != metrics::SECONDS) {
        let (name, axis) = shown(&line.name);
        let curve = find_or_push(
            &mut curves,
            |curve| curve.name == name,
            || Curve {
                name: name.clone(),
                x_label: "step".into(),
                axis,
                series: Vec::new(),
            },
        );
        let series = find_or_push(
            &mut curve.series,
            |series| series.label == line.split,
            || Series {
                label: line.split.clone(),
                points: Vec::new(),
            },
        );
        series.points.push((line.step as f64, line.value));
    }
    curves.extend(throughput(lines));
    curves
}

/// Steps a second up to each logged step, from the one logged before or the validation after it.
fn throughput(lines: &[MetricLine]) -> Option<Curve> {
    let clock = lines.iter().filter(|line| line.name == metrics::SECONDS);
    let clock: Vec<&MetricLine> = clock.collect();
    let mut points = Vec::new();
    for pair in clock.windows(2) {
        let steps = pair[1].step.saturating_sub(pair[0].step);
        let seconds = pair[1].value - pair[0].value;
        if pair[1].split == metrics::TRAIN && steps > 0 && seconds > 0.0 {
            points.push((pair[1].step as f64, steps as f64 / seconds));
        }
    }
    (!points.is_empty()).then(|| Curve {
        name: "Steps a second".into(),
        x_label: "step".into(),
        axis: Axis::Linear,
        series: vec![Series {
            label: metrics::TRAIN.into(),
            points,
        }],
    })
}

fn find_or_push<T>(items: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let index = items.iter().position(is).unwrap_or_else(|| {
        items.push(new());
        items.len() - 1
    });
    &mut items[index]
}

/// `grad_norm` is `Gradient norm` to a reader.
fn shown(name: &str) -> (String, Axis) {
    let (label, axis) = match name {
        "loss" => ("Loss", Axis::Log),
        "accuracy" => ("Accuracy", Axis::Percent),
        "grad_norm" => ("Gradient norm", Axis::Log),
        "learning_rate" => ("Learning rate", Axis::Linear),
        other => (other, Axis::Linear),
    };
    (label.to_string(), axis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(target: &str, prediction: &str) -> Prediction {
        Prediction {
            id: "0".into(),
            target: target.into(),
            prediction: prediction.into(),
            score: 0.5,
            ..Prediction::default()
        }
    }

    fn names(groups: &[Group]) -> Vec<(&str, usize, usize)> {
        groups
            .iter()
            .map(|group| (group.name.as_str(), group.tally.correct, group.tally.total))
            .collect()
    }

    #[test]
    fn answers_group_by_type_and_classes_by_name() {
        let answers = [("yes", "no"), ("no", "no"), ("3", "3"), ("red", "blue")]
            .map(|(target, answer)| prediction(target, answer));
        assert_eq!(
            names(&groups(&answers)),
            [("number", 1, 1), ("other", 0, 1), ("yes/no", 1, 2)]
        );
        assert_eq!(names(&groups(&answers[2..])), [("3", 1, 1), ("red", 0, 1)]);
    }

    #[test]
    fn lines_of_the_log_become_curves() {
        let line = |step, split: &str, name: &str, value| MetricLine {
            step,
            epoch: 0.0,
            split: split.into(),
            name: name.into(),
            value,
        };
        let curves = curves(&[
            line(1, "train", "loss", 2.0),
            line(2, "train", "loss", 1.0),
            line(2, "valid", "loss", 1.5),
            line(2, "valid", "accuracy", 0.5),
            line(2, "valid", "seconds", 9.5),
        ]);
        assert_eq!((curves.len(), curves[0].series.len()), (2, 2));
        assert_eq!(curves[0].series[0].points, [(1.0, 2.0), (2.0, 1.0)]);
        assert_eq!(
            (curves[1].name.as_str(), curves[1].axis),
            ("Accuracy", Axis::Percent)
        );
    }

    #[test]
    fn throughput_leaves_validations_out() {
        let line = |step, split: &str, value| MetricLine {
            step,
            epoch: 0.0,
            split: split.into(),
            name: metrics::SECONDS.into(),
            value,
        };
        let lines = [
            line(1, "train", 1.0),
            line(5, "train", 3.0),
            line(10, "train", 4.0),
            line(10, "valid", 9.0),
            line(20, "train", 14.0),
            line(30, "train", 18.0),
        ];
        let points = throughput(&lines).unwrap().series.remove(0).points;
        assert_eq!(points, [(5.0, 2.0), (10.0, 5.0), (20.0, 2.0), (30.0, 2.5)]);
        assert!(throughput(&lines[..1]).is_none());
    }
}
