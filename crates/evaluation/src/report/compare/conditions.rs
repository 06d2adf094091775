//! The arms under other settings: as a curve where the setting is a number, such as the share of the data,
//! and as a table otherwise.

use super::super::chart::{Chart, Entry, Line, Weight};
use super::super::page::escape;
use super::super::scale::Axis;
use super::ranking::arm_table;
use super::standing::{Standing, names};
use super::{CompareReport, Condition};
use crate::statistics::{Summary, mean};

impl CompareReport {
    /// A figure for each key.
    pub(super) fn other_settings(&self, standing: &Standing) -> String {
        let keys = names(
            self.conditions
                .iter()
                .map(|condition| condition.key.as_str()),
        );
        let mut html = String::new();
        for (index, key) in keys.into_iter().enumerate() {
            let of: Vec<&Condition> = self
                .conditions
                .iter()
                .filter(|one| one.key == key)
                .collect();
            let levels: Option<Vec<f64>> = of.iter().map(|one| number(&one.value)).collect();
            let curve = levels.filter(|levels| distinct(levels) > 1).map(|levels| {
                self.curve(standing, key, &levels, &of)
                    .html(&format!("condition-{index}"))
            });
            let table = self.settings_table(standing, key, &of);
            html += &match curve {
                Some(curve) => format!(
                    "{curve}<details class=\"inner\"><summary>The numbers</summary>\n{table}</details>\n"
                ),
                None => format!(
                    "<h3>{} by {}</h3>\n{table}",
                    escape(&self.metric.label),
                    escape(key)
                ),
            };
        }
        html
    }

    fn curve(
        &self,
        standing: &Standing,
        key: &str,
        levels: &[f64],
        conditions: &[&Condition],
    ) -> Chart {
        let high = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = levels.iter().copied().fold(f64::INFINITY, f64::min);
        let lines = ArmLines::of(standing, |index| {
            let mean = |condition: &Condition| mean(values(condition, index)?);
            let points = levels.iter().zip(conditions);
            points
                .filter_map(|(&level, condition)| Some((level, mean(condition)?)))
                .collect()
        });
        Chart {
            title: format!("{} by {key}", self.metric.label),
            x_label: key.to_owned(),
            // Shares of the data come in halves or tenths of each other.
            x_axis: if low > 0.0 && high > 4.0 * low { Axis::Log } else { Axis::Linear },
            axis: self.metric.axis,
            legend: lines.legend,
            lines: lines.lines,
            note: "Each dot is a mean over seeds of arms trained anew with this setting; lines only join them."
                .to_owned(),
        }
    }

    fn settings_table(&self, standing: &Standing, key: &str, conditions: &[&Condition]) -> String {
        let axis = self.metric.axis;
        let column = |condition: &&Condition| {
            let cell = |(_, ranked): (usize, &super::standing::Ranked)| {
                let summary = Summary::of(values(condition, ranked.index)?.to_vec());
                summary.mean.map(|_| axis.format_summary(&summary))
            };
            (
                condition.value.clone(),
                standing.all().map(cell).collect::<Vec<_>>(),
            )
        };
        let columns: Vec<_> = conditions.iter().map(column).collect();
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, cells)| (name.as_str(), cells.clone()))
            .collect();
        let note = "Mean ± sample standard deviation over seeds.";
        arm_table(standing, key, note, &columns)
    }
}

/// Coloured lines for the best arms, grey ones for the rest behind them, and their legend.
pub(super) struct ArmLines {
    pub(super) lines: Vec<Line>,
    pub(super) legend: Vec<Entry>,
}

impl ArmLines {
    /// With a line and its dots for each arm that has points; they are given by its index in the report.
    pub(super) fn of(standing: &Standing, points: impl Fn(usize) -> Vec<(f64, f64)>) -> Self {
        let (mut lines, mut legend) = (Vec::new(), Vec::new());
        for (place, ranked) in standing.all() {
            let mut points = points(ranked.index);
            points.sort_by(|left, right| left.0.total_cmp(&right.0));
            let colour = standing.colour(place);
            if points.is_empty() {
                continue;
            }
            if colour.is_some() {
                legend.push(Entry {
                    colour,
                    label: ranked.arm.label.clone(),
                    last: None,
                });
            }
            let weights = [Weight::Marks, Weight::Bold];
            lines.extend(weights.map(|weight| Line {
                colour,
                weight,
                name: ranked.arm.label.clone(),
                points: points.clone(),
            }));
        }
        // The best is drawn last, above all others.
        lines.reverse();
        legend.extend(rest(standing));
        Self { lines, legend }
    }
}

/// The entry of a legend for the arms without a colour.
pub(super) fn rest(standing: &Standing) -> Option<Entry> {
    let grey = standing.grey();
    (grey > 0).then(|| Entry {
        colour: None,
        label: format!("{grey} others"),
        last: None,
    })
}

/// The values of an arm under a condition.
fn values(condition: &Condition, arm: usize) -> Option<&[f64]> {
    let found = condition.arms.iter().find(|(index, _)| *index == arm);
    found.map(|(_, values)| values.as_slice())
}

fn number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
}

fn distinct(levels: &[f64]) -> usize {
    let mut levels = levels.to_vec();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels.len()
}
