//! What trained models still know when their input is spoilt, or one modality is gone.

use super::super::chart::Chart;
use super::super::scale::Axis;
use super::attribution::{WITHOUT_BOTH, WITHOUT_IMAGE, WITHOUT_QUESTION, accuracy, probe};
use super::conditions::ArmLines;
use super::ranking::arm_table;
use super::standing::{Ranked, Standing, names};
use super::summary::over_runs;
use super::{ArmRun, CompareReport};

impl CompareReport {
    /// A chart for each way to spoil the input that has levels, and a table of what is on or off.
    pub(super) fn robustness(&self, standing: &Standing) -> String {
        let found = names(
            standing
                .runs()
                .flat_map(|run| &run.probes)
                .map(|probe| probe.name.as_str()),
        );
        let away = [WITHOUT_IMAGE, WITHOUT_QUESTION, WITHOUT_BOTH];
        let mut charts = String::new();
        let mut switches: Vec<&str> = Vec::new();
        for (index, name) in found.into_iter().enumerate() {
            let levels = levels(standing, name);
            if levels.len() > 1 && !away.contains(&name) {
                charts += &self.spoilt(standing, name, &levels, index);
            } else {
                switches.push(name);
            }
        }
        if !charts.is_empty() {
            charts = format!("<div class=\"charts\">\n{charts}</div>\n");
        }
        // The order in which they say something: less and less is left.
        switches.sort_by_key(|name| away.iter().position(|away| away == name).unwrap_or(3));
        charts + &self.missing(standing, &switches)
    }

    fn spoilt(&self, standing: &Standing, name: &str, levels: &[f64], index: usize) -> String {
        let lines = ArmLines::of(standing, |arm| {
            let Some(arm) = self.arms.get(arm) else {
                return Vec::new();
            };
            let at = |level: f64| {
                let value = |run: &ArmRun| at_level(run, name, level);
                Some((level, over_runs(arm, value)?.mean?))
            };
            let whole = over_runs(arm, accuracy).and_then(|whole| Some((0.0, whole.mean?)));
            let whole = whole.filter(|_| levels.iter().all(|&level| level > 0.0));
            whole
                .into_iter()
                .chain(levels.iter().filter_map(|&level| at(level)))
                .collect()
        });
        Chart {
            title: format!("Accuracy by {name}"),
            x_label: format!("{name}, strength"),
            x_axis: Axis::Linear,
            axis: Axis::Percent,
            legend: lines.legend,
            lines: lines.lines,
            note: "Means over seeds of the same trained models on spoilt test input; 0 is the input as it is.".to_owned(),
        }
        .html(&format!("probe-{index}"))
    }

    fn missing(&self, standing: &Standing, switches: &[&str]) -> String {
        if switches.is_empty() {
            return String::new();
        }
        let cell = |value: &dyn Fn(&ArmRun) -> Option<f64>, ranked: &Ranked| {
            let summary = over_runs(ranked.arm, value)?;
            summary.mean.map(|_| Axis::Percent.format_summary(&summary))
        };
        let mut columns = vec![(
            "Input as it is",
            standing
                .all()
                .map(|(_, ranked)| cell(&accuracy, ranked))
                .collect::<Vec<_>>(),
        )];
        for name in switches {
            let value = |run: &ArmRun| probe(run, name);
            let cells = standing.all().map(|(_, ranked)| cell(&value, ranked));
            columns.push((name, cells.collect()));
        }
        let note = "Accuracy of the same trained models, mean ± sample standard deviation over seeds. A missing \
                    modality is blanked in the test split only; most models were not trained for it.";
        arm_table(standing, "Missing modalities", note, &columns)
    }
}

/// The levels of a probe over all runs, in their order.
fn levels(standing: &Standing, name: &str) -> Vec<f64> {
    let probes = standing.runs().flat_map(|run| &run.probes);
    let mut levels: Vec<f64> = probes
        .filter(|probe| probe.name == name && probe.level.is_finite())
        .map(|probe| probe.level)
        .collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}

fn at_level(run: &ArmRun, name: &str, level: f64) -> Option<f64> {
    let mut probes = run.probes.iter();
    let probe = probes.find(|probe| probe.name == name && probe.level == level)?;
    Some(probe.accuracy).filter(|value| value.is_finite())
}
