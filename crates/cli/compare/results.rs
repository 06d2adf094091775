//! What a comparison has come to so far: everything its page shows, from the files of its runs.

use super::arms::Arm;
use super::gallery::gallery;
use super::plan::{Condition, Planned};
use super::probes;
use super::scores::{Scores, less_is_better, metric_of};
use crate::report::groups;
use crate::{options, output};
use crucible_datasets::known::Task;
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::report::{self, ArmRun, Axis, CompareReport, Metric, Point, Track};
use crucible_evaluation::statistics::{Calibration, Options, Study};
use crucible_fusion::STRATEGIES;
use crucible_training::metrics::{self, MetricLine};
use crucible_training::recipe::RunResult;
use crucible_training::{AnyRecipe, Error, RunRecord, run_dir, tell};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The metric of strategies that weigh the image.
const IMAGE_WEIGHT: &str = "image_weight";
/// Characters of a digest that tell runs apart.
const DIGEST: usize = 12;

/// Everything of a comparison that its page is made from.
pub struct Contents<'a> {
    /// What was trained.
    pub recipe: &'static dyn AnyRecipe,
    /// The arms.
    pub arms: &'a [Arm],
    /// What they were trained again under.
    pub conditions: &'a [Condition],
    /// The runs.
    pub plan: &'a [Planned],
    /// Arm and seed of the runs whose loss was no number: they have no result, and count as one.
    pub diverged: Vec<(usize, u64)>,
    /// The command that trains a run of the plan by itself.
    pub command: &'a dyn Fn(&Planned) -> String,
}

impl Contents<'_> {
    /// Reads every finished run.
    ///
    /// # Errors
    ///
    /// When a file of a finished run is missing or broken.
    pub fn read(&self) -> Result<CompareReport, Error> {
        let results = self.results()?;
        let key = metric_of(self.recipe, results.iter().map(|(_, result)| result));
        let metric = shown(&key);
        let mut report = CompareReport {
            arms: self.arms.iter().map(named).collect(),
            ..CompareReport::default()
        };
        let mut scores: Vec<Scores> = self.arms.iter().map(|_| Scores::default()).collect();
        for (planned, result) in &results {
            if planned.condition.is_some() {
                continue;
            }
            let arm = &mut report.arms[planned.arm];
            arm.parameters = Some(result.cost.parameters as u64);
            arm.flops = (result.cost.flops > 0.0).then_some(result.cost.flops);
            arm.commands.push((self.command)(planned));
            let predictions: Vec<Prediction> = planned.dir.read_json_lines(run_dir::PREDICTIONS)?;
            let value = result.test.get(&key).copied().unwrap_or(f64::NAN);
            scores[planned.arm].add(result.seed, value, &predictions, &key);
            arm.runs.push(run(planned, result, &predictions, &key)?);
            // The weight has a place of its own.
            let further = result
                .test
                .keys()
                .filter(|other| **other != key && *other != IMAGE_WEIGHT);
            for key in further {
                if !report.more_metrics.iter().any(|metric| metric.key == *key) {
                    report.more_metrics.push(shown(key));
                }
            }
        }
        for (arm, seed) in &self.diverged {
            scores[*arm].diverged(*seed);
        }
        report.conditions = self.conditions(&results, &key);
        // An arm without a finished run has nothing to show yet.
        let keep: Vec<bool> = report.arms.iter().map(|arm| !arm.runs.is_empty()).collect();
        let place: Vec<Option<usize>> = places(&keep);
        report.arms.retain(|arm| !arm.runs.is_empty());
        let samples = Scores::samples(&scores, self.arms, &keep);
        let options = Options {
            less_is_better: metric.less_is_better,
            ..Options::default()
        };
        let pictures = scores.iter().zip(&keep).find(|(_, keep)| **keep);
        report.study = match pictures.and_then(|(scores, _)| scores.pictures()) {
            Some(pictures) => Study::of_pictures(&samples, pictures, &options),
            None => Study::with(&samples, &options),
        };
        report.metric = metric;
        for condition in &mut report.conditions {
            let arms = std::mem::take(&mut condition.arms).into_iter();
            let kept = arms.filter_map(|(arm, values)| Some((place[arm]?, values)));
            condition.arms = kept.collect();
        }
        if let Some(Planned { record, .. }) = self.plan.first() {
            report.title = format!("{}, {}", record.recipe, record.preset);
            report.facts = facts(record, self.plan);
            let configs: Vec<&Table> = self
                .plan
                .iter()
                .map(|planned| &planned.record.config)
                .collect();
            report.config_toml = shared(&configs).to_string();
            let data = options::data_name(&record.config, &record.data);
            // Without its pictures a report is still one: data can have moved since.
            report.gallery = gallery(data, self.plan, &place).unwrap_or_else(|error| {
                tell!("note: no gallery in the report: {error}");
                Vec::new()
            });
        }
        Ok(report)
    }

    /// The results of the finished runs, all on the same data where it has the same name.
    fn results(&self) -> Result<Vec<(&Planned, RunResult)>, Error> {
        let mut digests: Vec<(&str, String)> = Vec::new();
        let mut results = Vec::new();
        for planned in self.plan.iter().filter(|planned| planned.dir.is_finished()) {
            let result: RunResult = planned.dir.read_json(run_dir::RESULT)?;
            // What was measured on other data cannot be averaged.
            let data = options::data_name(&planned.record.config, &planned.record.data);
            match digests.iter().find(|(name, _)| *name == data) {
                Some((_, digest)) if *digest != result.data_digest => {
                    return Err(Error::Usage(format!(
                        "{}: `{data}` has changed between the runs; remove those of the old data, or choose \
                         another --out",
                        planned.dir.path().display()
                    )));
                }
                Some(_) => {}
                None => digests.push((data, result.data_digest.clone())),
            }
            results.push((planned, result));
        }
        Ok(results)
    }

    /// What the arms came to under each condition.
    fn conditions(&self, results: &[(&Planned, RunResult)], key: &str) -> Vec<report::Condition> {
        let of = |(index, condition): (usize, &Condition)| {
            let mut arms: Vec<(usize, Vec<f64>)> = Vec::new();
            let under = results
                .iter()
                .filter(|(planned, _)| planned.condition == Some(index));
            for (planned, result) in under {
                let value = result.test.get(key).copied().unwrap_or(f64::NAN);
                match arms.iter_mut().find(|(arm, _)| *arm == planned.arm) {
                    Some((_, values)) => values.push(value),
                    None => arms.push((planned.arm, vec![value])),
                }
            }
            report::Condition {
                key: condition.key.clone(),
                value: condition.value.clone(),
                arms,
            }
        };
        let all = self.conditions.iter().enumerate().map(of);
        let mut found: Vec<_> = all.filter(|condition| !condition.arms.is_empty()).collect();
        let mut keys: Vec<String> = found
            .iter()
            .map(|condition| condition.key.clone())
            .collect();
        keys.dedup();
        found.extend(
            keys.iter()
                .filter_map(|key_of| self.usual(results, key_of, key)),
        );
        found
    }

    /// The comparison itself, as the condition that has the value that the key has there.
    fn usual(
        &self,
        results: &[(&Planned, RunResult)],
        key: &str,
        metric: &str,
    ) -> Option<report::Condition> {
        let first = self
            .plan
            .iter()
            .find(|planned| planned.condition.is_none())?;
        let mut names = key.split('.');
        let value = first.record.config.get(names.next()?)?;
        let value = names.try_fold(value, |value, name| value.get(name))?;
        let mut arms: Vec<(usize, Vec<f64>)> =
            (0..self.arms.len()).map(|arm| (arm, Vec::new())).collect();
        for (planned, result) in results
            .iter()
            .filter(|(planned, _)| planned.condition.is_none())
        {
            let score = result.test.get(metric).copied().unwrap_or(f64::NAN);
            arms[planned.arm].1.push(score);
        }
        arms.retain(|(_, values)| !values.is_empty());
        Some(report::Condition {
            key: key.into(),
            value: value
                .as_str()
                .map_or_else(|| value.to_string(), String::from),
            arms,
        })
    }
}

/// Where each kept item stands among those that are kept.
fn places(keep: &[bool]) -> Vec<Option<usize>> {
    let mut next = 0;
    let place = |kept: &bool| {
        next += usize::from(*kept);
        kept.then(|| next - 1)
    };
    keep.iter().map(place).collect()
}

/// An arm by its name, with what there is to say of it where it is a fusion strategy.
fn named(arm: &Arm) -> report::Arm {
    let chosen = arm.sets.iter().find_map(|set| set.strip_prefix("fusion="));
    let known = STRATEGIES.iter().find(|known| Some(known.name) == chosen);
    report::Arm {
        label: arm.label.clone(),
        about: known.map_or(String::new(), |known| known.about.into()),
        ..report::Arm::default()
    }
}

/// A metric of the test split as the page names it.
fn shown(key: &str) -> Metric {
    Metric {
        key: key.into(),
        label: format!("Test {}", key.replace('_', " ")),
        axis: match key.ends_with("accuracy") || is_recall(key) {
            true => Axis::Percent,
            false => Axis::Linear,
        },
        less_is_better: less_is_better(key),
    }
}

/// Such as `i2t_r5`.
fn is_recall(key: &str) -> bool {
    let at = key.rsplit_once("_r").map(|(_, at)| at);
    at.is_some_and(|at| !at.is_empty() && at.bytes().all(|letter| letter.is_ascii_digit()))
}

fn run(
    planned: &Planned,
    result: &RunResult,
    predictions: &[Prediction],
    key: &str,
) -> Result<ArmRun, Error> {
    let lines = metrics::read(&planned.dir)?;
    let track = |name: &str, axis, split, metric| track(name, axis, &lines, split, metric);
    let items: Vec<(f64, bool)> = predictions
        .iter()
        .map(|item| (item.score, item.is_right()))
        .collect();
    let classifies = key == "accuracy";
    let digest = planned.dir.digest(run_dir::PREDICTIONS)?;
    let name = format!("Validation {}", key.replace('_', " "));
    Ok(ArmRun {
        seed: result.seed,
        test: result.test.clone(),
        groups: if classifies {
            groups(predictions)
        } else {
            Vec::new()
        },
        seconds: Some(result.cost.seconds),
        samples_per_second: result.samples_per_second,
        peak_bytes: result.peak_rss_bytes,
        digest: digest.chars().take(DIGEST).collect(),
        calibration: if classifies {
            Calibration::of(&items)
        } else {
            None
        },
        probes: probes::read(&planned.dir)?,
        image_weight: result.test.get(IMAGE_WEIGHT).copied(),
        tracks: vec![
            track(&name, shown(key).axis, "valid", key),
            track("Training loss", Axis::Log, "train", "loss"),
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
    let data = options::data_name(&record.config, &record.data);
    let counts = [finished, plan.len()].map(output::count);
    let mut facts = vec![
        of("Recipe", record.recipe.clone()),
        of("Preset", record.preset.clone()),
        of("Data", data.to_string()),
        of("Seeds", seeds.join(", ")),
        of("Backend", record.backend.clone()),
        of("Threads", record.threads.to_string()),
        of("Runs finished", counts.join(" of ")),
    ];
    if let Some(task) = Task::named(data) {
        facts.push(of("Known answer", task.sentence()));
    }
    facts
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
    fn shares_are_shown_in_per_cent_and_ranks_are_not() {
        let axis = |key| shown(key).axis;
        for key in ["accuracy", "itm_accuracy", "i2t_r5", "t2i_r10"] {
            assert_eq!(axis(key), Axis::Percent, "{key}");
        }
        for key in ["i2t_median_rank", "loss", "i2t_r"] {
            assert_eq!(axis(key), Axis::Linear, "{key}");
        }
        assert!(shown("i2t_median_rank").less_is_better && !shown("i2t_r5").less_is_better);
    }

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
