//! All pairs: a matrix to see at a glance, and every test of every pair to look up.

use super::super::number;
use super::super::page::{caption, escape, table};
use super::CompareReport;
use super::ranking::{level, name_with_letters};
use super::standing::{Contrast, Ranked, Standing};
use crate::table::Align;

/// More pairs than this are left to the file of pairs.
const LISTED: usize = 300;

impl CompareReport {
    /// The matrix and the folded list; nothing unless at least one pair was tested.
    pub(super) fn all_pairs(&self, standing: &Standing) -> String {
        let (tested, _) = standing.tested();
        if tested == 0 {
            return String::new();
        }
        self.matrix(standing) + &self.list(standing)
    }

    fn matrix(&self, standing: &Standing) -> String {
        let largest = self.study.pairs.iter();
        let largest = largest.filter_map(|pair| standing.contrast(pair.a, pair.b));
        let largest = largest
            .map(|contrast| contrast.value.abs())
            .fold(0.0, f64::max);
        let head: String = standing
            .ranked
            .iter()
            .enumerate()
            .map(|(place, ranked)| {
                let title = escape(&ranked.arm.label);
                format!("<th scope=\"col\" title=\"{title}\">{}</th>", place + 1)
            })
            .collect();
        let row = |(place, row): (usize, &Ranked)| {
            let cells: String = standing
                .ranked
                .iter()
                .map(|column| self.cell(standing, row, column, largest))
                .collect();
            let name = name_with_letters(standing, place, row);
            format!("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n")
        };
        let rows: String = standing.ranked.iter().enumerate().map(row).collect();
        let note = format!(
            "How much the arm of the row has more than that of the column{}. Filled: the difference holds after Holm's \
             correction, blue for a better row and orange for a worse one. Grey: it may be chance. Columns are places \
             in the ranking.",
            self.metric.axis.unit()
        );
        format!(
            "<figure class=\"table\">\n<div class=\"wide matrix\" role=\"region\" tabindex=\"0\" aria-label=\"All pairs\"><table>\n\
             <thead><tr><th scope=\"col\">Arm</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n{}</figure>\n",
            caption(&note)
        )
    }

    fn cell(&self, standing: &Standing, row: &Ranked, column: &Ranked, largest: f64) -> String {
        if row.index == column.index {
            return "<td class=\"self\"></td>".to_owned();
        }
        let Some(contrast) = standing.contrast(row.index, column.index) else {
            return format!("<td class=\"unsure\">{}</td>", number::NONE);
        };
        let title = escape(&format!(
            "{} − {}: {}",
            row.arm.label,
            column.arm.label,
            self.interval(&contrast)
        ));
        let value = self.metric.axis.signed(contrast.value, 1);
        if !contrast.holds {
            return format!("<td class=\"unsure\" title=\"{title}\">{value}</td>");
        }
        let class = if contrast.better { "above" } else { "below" };
        // Strong from the start: that a difference holds is to be seen before how large it is.
        let share = 12.0 + 33.0 * (contrast.value.abs() / largest).min(1.0);
        format!(
            "<td class=\"{class}\" title=\"{title}\" style=\"--share:{share:.0}%\">{value}</td>"
        )
    }

    /// Difference and interval, with a unit only in the heading.
    fn interval(&self, contrast: &Contrast) -> String {
        let axis = self.metric.axis;
        format!(
            "{} [{}, {}]",
            axis.signed(contrast.value, 2),
            axis.signed(contrast.low, 2),
            axis.signed(contrast.high, 2)
        )
    }

    fn list(&self, standing: &Standing) -> String {
        let mut found = Vec::new();
        for (place, first) in standing.ranked.iter().enumerate() {
            for second in standing.ranked.iter().skip(place + 1) {
                let contrast = standing.contrast(first.index, second.index);
                found.extend(contrast.map(|contrast| (first, second, contrast)));
            }
        }
        let heading = format!(
            "Every test of all {} pairs",
            number::count(found.len() as u64)
        );
        if found.len() > LISTED {
            return format!(
                "<p class=\"aside\">{heading} would not be readable here; the file of pairs has them.</p>\n"
            );
        }
        let difference = format!("Difference{}", self.metric.axis.unit());
        let columns = [
            ("Pair", Align::Left),
            (difference.as_str(), Align::Right),
            ("t", Align::Right),
            ("df", Align::Right),
            ("p", Align::Right),
            ("p, Holm", Align::Right),
            ("p, bootstrap", Align::Right),
            ("p, McNemar", Align::Right),
            ("p, permutation", Align::Right),
            ("Hedges' g", Align::Right),
        ];
        let row = |(first, second, contrast): &(&Ranked, &Ranked, Contrast)| {
            let estimate = contrast.pair.difference.as_ref();
            let or_none = |text: Option<String>| text.unwrap_or_else(|| number::NONE.to_owned());
            let p = |p: Option<f64>| or_none(p.map(|p| escape(&number::p_value(p))));
            let t = estimate.map(|of| number::signed(contrast.value / of.standard_error, 2));
            let holm = p(contrast.holm);
            let names = format!(
                "{} − {}",
                escape(&first.arm.label),
                escape(&second.arm.label)
            );
            vec![
                names,
                self.interval(contrast),
                or_none(t),
                or_none(estimate.map(|of| number::signed(of.df, 1).replace('+', ""))),
                p(estimate.map(|of| of.p)),
                if contrast.holds {
                    format!("<b>{holm}</b>")
                } else {
                    holm
                },
                p(contrast.pair.bootstrap.map(|test| test.p)),
                p(contrast.pair.mcnemar.map(|test| test.p)),
                p(contrast.pair.permutation.map(|test| test.p)),
                or_none(contrast.effect()),
            ]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        let note = format!(
            "Differences with their {} intervals. Only the bold p have stood Holm's correction; the other tests are \
             not corrected and are here to be looked at together.",
            level(self.study.level)
        );
        let table = table(&heading, &note, &columns, &rows);
        format!("<details class=\"inner\"><summary>{heading}</summary>\n{table}</details>\n")
    }
}
