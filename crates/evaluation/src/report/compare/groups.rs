//! The accuracy of each arm in each group of test items, such as a question type.

use super::super::number;
use super::super::page::table;
use super::super::scale::Axis;
use super::ranking::name;
use super::standing::{Ranked, Standing, names};
use super::{Arm, ArmRun, CompareReport};
use crate::statistics::mean;
use crate::table::Align;

impl CompareReport {
    /// The table; nothing without groups.
    pub(super) fn groups(&self, standing: &Standing) -> String {
        let groups = standing.runs().flat_map(|run| &run.groups);
        let names = names(groups.map(|group| group.name.as_str()));
        if names.is_empty() {
            return String::new();
        }
        let columns: Vec<Vec<Option<f64>>> = names
            .iter()
            .map(|group| {
                let arms = standing.all();
                arms.map(|(_, ranked)| accuracy(ranked.arm, group))
                    .collect()
            })
            .collect();
        let ends: Vec<(f64, f64)> = columns
            .iter()
            .map(|column| {
                column
                    .iter()
                    .flatten()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                        (low.min(value), high.max(value))
                    })
            })
            .collect();
        let row = |(place, ranked): (usize, &Ranked)| {
            let cells = columns.iter().zip(&ends).map(|(column, ends)| {
                let value = column.get(place).copied().flatten();
                value.map_or_else(|| number::NONE.to_owned(), |value| cell(value, *ends))
            });
            std::iter::once(name(standing, place, ranked))
                .chain(cells)
                .collect()
        };
        let rows: Vec<Vec<String>> = standing.all().map(row).collect();
        let mut header = vec![("Arm", Align::Left)];
        header.extend(names.iter().map(|name| (*name, Align::Right)));
        let note = "Mean over seeds. Shaded within each column from the lowest to the highest, which is bold; no test \
                    was made of single groups.";
        let table = table("Test accuracy by group", note, &header, &rows);
        format!("<div class=\"heat\">\n{table}</div>\n")
    }
}

/// Mean over seeds; `None` if a run has no such group.
fn accuracy(arm: &Arm, group: &str) -> Option<f64> {
    let of = |run: &ArmRun| {
        let mut groups = run.groups.iter();
        groups.find(|found| found.name == group)?.tally.accuracy()
    };
    let values: Option<Vec<f64>> = arm.runs.iter().map(of).collect();
    mean(&values?)
}

fn cell(value: f64, (low, high): (f64, f64)) -> String {
    let text = Axis::Percent.format(value);
    if high <= low {
        return text;
    }
    let share = 100.0 * (value - low) / (high - low);
    let text = if value == high {
        format!("<b>{text}</b>")
    } else {
        text
    };
    format!("<span class=\"shade\" style=\"--share:{share:.0}%\">{text}</span>")
}
