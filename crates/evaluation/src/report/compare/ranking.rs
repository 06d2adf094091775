//! The ranking: where each arm and each of its seeds stands, and what it costs.

use super::super::chart::key;
use super::super::number;
use super::super::page::{escape, table};
use super::super::scale::Scale;
use super::standing::{Ranked, Standing};
use super::strips::{Mark, Strip, Strips, letters};
use super::summary::over_runs;
use super::{Arm, ArmRun, CompareReport, Metric};
use crate::table::Align;
use std::collections::BTreeSet;

/// As many columns are shown without being asked for.
const FEW: usize = 8;

/// A column of the table: its name, and the cell of an arm if it has one.
type Column<'a> = (&'a str, Vec<Option<String>>);

impl CompareReport {
    /// The figure and the tables.
    pub(super) fn ranking(&self, standing: &Standing) -> String {
        if self.arms.is_empty() {
            return String::new();
        }
        self.dots(standing)
            + &self.costs(standing)
            + &self.each_seed(standing)
            + &self.further(standing)
    }

    /// Every seed as a dot, the mean and its interval.
    fn dots(&self, standing: &Standing) -> String {
        let axis = self.metric.axis;
        let ends = standing.all().flat_map(|(_, ranked)| {
            let interval = ranked.interval.into_iter();
            let interval = interval.flat_map(|(low, high)| [low, high]);
            ranked.summary.values.iter().copied().chain(interval)
        });
        // An interval may reach beyond what the metric can be; the axis does not.
        let Some(scale) = Scale::horizontal(axis, ends, 0.03) else {
            return "<p class=\"empty\">No finite value to draw.</p>\n".to_owned();
        };
        let rows = standing.all().map(|(place, ranked)| {
            let mut marks = Vec::new();
            let interval = ranked.interval;
            marks.extend(interval.map(|(low, high)| Mark::Interval { low, high }));
            let seeds = ranked.summary.values.len();
            if let Some(mean) = ranked.summary.mean.filter(|_| seeds > 1) {
                marks.push(Mark::Mean { at: mean });
            }
            let values = ranked.summary.values.iter().zip(&ranked.arm.runs);
            for (index, (&value, run)) in values.enumerate() {
                // Seeds with the same value stay apart: each has its own height.
                let share = index as f64 / (seeds.max(2) - 1) as f64 - 0.5;
                if axis.can_show(value) {
                    marks.push(Mark::Dot {
                        at: value,
                        shift: if seeds > 1 { 14.0 * share } else { 0.0 },
                        class: "dot",
                        title: format!("seed {}: {}", run.seed, axis.format(value)),
                    });
                }
            }
            Strip {
                place,
                colour: standing.colour(place),
                shaded: standing.is_tied(ranked),
                letters: standing.letters(ranked),
                name: &ranked.arm.label,
                about: ranked.arm.about.clone(),
                value: self.value(ranked),
                detail: match (ranked.interval, ranked.summary.mean) {
                    (Some((low, high)), Some(_)) => {
                        format!("{} to {}", axis.short(low), axis.short(high))
                    }
                    _ => String::new(),
                },
                marks,
            }
        });
        let rows: Vec<Strip> = rows.collect();
        let lettered = rows.iter().any(|row| !row.letters.is_empty());
        let shaded = rows.iter().any(|row| row.shaded);
        let mut note = format!(
            "Each dot is one seed, the bar their mean, the line its {} interval over seeds.",
            level(self.study.level)
        );
        if shaded {
            note += " Shaded: the best arm, and those that cannot be told apart from it.";
        }
        if lettered {
            note += " Arms that share a letter cannot be told apart.";
        }
        Strips {
            scale,
            label: &self.metric.label,
            zero: false,
            rows,
            key: Vec::new(),
            note,
        }
        .html()
    }

    fn value(&self, ranked: &Ranked) -> String {
        let seeds = ranked.summary.values.len();
        let finite = ranked.summary.values.iter();
        let finite = finite.filter(|value| value.is_finite()).count();
        match ranked.summary.mean {
            Some(mean) => self.metric.axis.format(mean),
            None if seeds == 0 => "no run".to_owned(),
            None => format!("{finite} of {seeds} seeds finite"),
        }
    }

    /// Numbers and costs, an arm a row; a column that no arm fills is left out.
    fn costs(&self, standing: &Standing) -> String {
        let column = |name, cell: &dyn Fn(&Ranked) -> Option<String>| -> Column {
            (
                name,
                standing.all().map(|(_, ranked)| cell(ranked)).collect(),
            )
        };
        let mean = |arm: &Arm, value: fn(&ArmRun) -> Option<f64>| over_runs(arm, value)?.mean;
        let axis = self.metric.axis;
        let columns = [
            column("Group", &|ranked| {
                Some(escape(ranked.letters)).filter(|letters| !letters.is_empty())
            }),
            column(&self.metric.label, &|ranked| {
                Some(axis.format_interval(ranked.summary.mean?, ranked.interval))
            }),
            column("Parameters", &|ranked| {
                let parameters = ranked.arm.parameters?;
                Some(number::magnitude(parameters as f64))
            }),
            column("FLOPs", &|ranked| ranked.arm.flops.map(number::magnitude)),
            column("Training time", &|ranked| {
                mean(ranked.arm, |run| run.seconds).map(number::duration)
            }),
            column("Samples/s", &|ranked| {
                mean(ranked.arm, |run| run.samples_per_second).map(number::number)
            }),
            column("Peak memory", &|ranked| {
                mean(ranked.arm, |run| run.peak_bytes.map(|bytes| bytes as f64)).map(number::bytes)
            }),
            column("ECE", &|ranked| {
                mean(ranked.arm, |run| Some(run.calibration.as_ref()?.ece)).map(number::percent)
            }),
        ];
        let note = format!(
            "Mean with its {} interval; times, rates, memory and ECE (expected calibration error) are means over \
             seeds, FLOPs are those of a forward pass of one item.",
            level(self.study.level)
        );
        arm_table(standing, "Ranking", &note, &columns)
    }

    /// The metric of each run, an arm a row and a seed a column.
    fn each_seed(&self, standing: &Standing) -> String {
        let seeds: BTreeSet<u64> = standing.runs().map(|run| run.seed).collect();
        let names: Vec<String> = seeds.iter().map(|seed| format!("Seed {seed}")).collect();
        let column = |seed: u64| -> Vec<Option<String>> {
            let cell = |(_, ranked): (usize, &Ranked)| {
                let mut runs = ranked.arm.runs.iter();
                let run = runs.find(|run| run.seed == seed)?;
                let value = run.test.get(&self.metric.key).copied();
                Some(self.metric.axis.format(value.unwrap_or(f64::NAN)))
            };
            standing.all().map(cell).collect()
        };
        let columns = names.iter().zip(&seeds);
        let columns: Vec<Column> = columns
            .map(|(name, &seed)| (name.as_str(), column(seed)))
            .collect();
        if columns.is_empty() {
            return String::new();
        }
        let open = columns.len() <= FEW && standing.report.arms.len() <= FEW;
        let table = arm_table(standing, "Each seed", "", &columns);
        folded("Each seed", open, &table)
    }

    /// The other metrics, folded if they are many.
    fn further<'a>(&'a self, standing: &Standing) -> String {
        let column = |metric: &'a Metric| {
            let cell = |(_, ranked): (usize, &Ranked)| {
                let summary = self.summary(ranked.arm, &metric.key);
                summary.mean.map(|_| metric.axis.format_summary(&summary))
            };
            (metric.label.as_str(), standing.all().map(cell).collect())
        };
        let columns: Vec<Column<'a>> = self.more_metrics.iter().map(column).collect();
        let note = "Mean ± sample standard deviation over seeds.";
        let table = match columns
            .iter()
            .any(|(_, cells)| cells.iter().any(Option::is_some))
        {
            true => arm_table(standing, "Further metrics", note, &columns),
            false => return String::new(),
        };
        folded("Further metrics", columns.len() <= FEW, &table)
    }
}

/// A table below a summary, to be opened.
fn folded(summary: &str, open: bool, table: &str) -> String {
    let open = if open { " open=\"\"" } else { "" };
    format!("<details class=\"inner\"{open}><summary>{summary}</summary>\n{table}</details>\n")
}

/// A table with the name of an arm before its cells, best arm first, without the columns that have no cell.
pub(super) fn arm_table(
    standing: &Standing,
    label: &str,
    note: &str,
    columns: &[(&str, Vec<Option<String>>)],
) -> String {
    let columns: Vec<_> = columns
        .iter()
        .filter(|(_, cells)| cells.iter().any(Option::is_some))
        .collect();
    let mut header = vec![("Arm", Align::Left)];
    header.extend(columns.iter().map(|(name, _)| (*name, Align::Right)));
    let row = |(place, ranked): (usize, &Ranked)| {
        let cells = columns.iter().map(|(_, cells)| {
            let cell = cells.get(place).cloned().flatten();
            cell.unwrap_or_else(|| number::NONE.to_owned())
        });
        std::iter::once(name(standing, place, ranked))
            .chain(cells)
            .collect()
    };
    let rows: Vec<Vec<String>> = standing.all().map(row).collect();
    table(label, note, &header, &rows)
}

/// The head of a row: colour, place, name.
pub(super) fn name(standing: &Standing, place: usize, ranked: &Ranked) -> String {
    format!(
        "{}<span class=\"place\">{}</span> <span class=\"arm\">{}</span>",
        key(standing.colour(place)),
        place + 1,
        escape(&ranked.arm.label),
    )
}

/// As [`name`], with the letters.
pub(super) fn name_with_letters(standing: &Standing, place: usize, ranked: &Ranked) -> String {
    name(standing, place, ranked) + &letters(standing.letters(ranked))
}

/// A confidence level or a risk in whole per cent: `95%`.
pub(super) fn level(share: f64) -> String {
    number::signed(100.0 * share, 0)
        .trim_start_matches('+')
        .to_owned()
        + "%"
}
