//! The comparison for the terminal: the verdict, then a table that fits into a window.

use super::super::number;
use super::super::page::{printable, shortened};
use super::CompareReport;
use super::standing::{Ranked, Standing};
use super::summary::over_runs;
use super::verdict::Voice;
use crate::table::{Align, text_table};

/// Width of a line in letters.
const WIDTH: usize = 100;
/// Longest label.
const LABEL: usize = 28;
/// Longest list of groups.
const LETTERS: usize = 10;

impl CompareReport {
    /// The verdict and the ranking as plain text, no wider than 110 letters.
    pub fn text(&self) -> String {
        let standing = Standing::of(self);
        let mut text = String::new();
        for sentence in self.sentences(&standing, Voice::Terminal) {
            text += &wrapped(&sentence);
        }
        if self.arms.is_empty() {
            return text;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text + &self.ranking_text(&standing)
    }

    fn ranking_text(&self, standing: &Standing) -> String {
        let axis = self.metric.axis;
        type Cell<'a> = &'a dyn Fn(usize, &Ranked) -> Option<String>;
        let letters: Cell =
            &|_, ranked| Some(shortened(ranked.letters, LETTERS)).filter(|text| !text.is_empty());
        let value: Cell = &|_, ranked| {
            let mean = ranked.summary.mean?;
            Some(axis.format_interval(mean, ranked.interval))
        };
        let parameters: Cell = &|_, ranked| {
            ranked
                .arm
                .parameters
                .map(|count| number::magnitude(count as f64))
        };
        let flops: Cell = &|_, ranked| ranked.arm.flops.map(number::magnitude);
        let seconds: Cell = &|_, ranked| {
            over_runs(ranked.arm, |run| run.seconds)?
                .mean
                .map(number::duration)
        };
        let label = shortened(&printable(&self.metric.label), 24);
        let place: Cell = &|place, ranked| ranked.summary.mean.map(|_| (place + 1).to_string());
        let name: Cell = &|_, ranked| Some(shortened(&printable(&ranked.arm.label), LABEL));
        let columns = [
            ("#", Align::Right, place),
            ("Arm", Align::Left, name),
            ("Group", Align::Left, letters),
            (label.as_str(), Align::Right, value),
            ("Params", Align::Right, parameters),
            ("FLOPs", Align::Right, flops),
            ("Time", Align::Right, seconds),
        ];
        // A column that no arm fills is left out.
        let filled = columns.iter().filter(|(_, _, cell)| {
            standing
                .all()
                .any(|(place, ranked)| cell(place, ranked).is_some())
        });
        let filled: Vec<_> = filled.collect();
        let header: Vec<(&str, Align)> = filled
            .iter()
            .map(|(name, align, _)| (*name, *align))
            .collect();
        let row = |(place, ranked): (usize, &Ranked)| {
            let cells = filled.iter().map(|(_, _, cell)| cell(place, ranked));
            cells
                .map(|cell| cell.unwrap_or_else(|| number::NONE.to_owned()))
                .collect()
        };
        let rows: Vec<Vec<String>> = standing.all().map(row).collect();
        text_table(&header, &rows)
    }
}

/// Lines of at most [`WIDTH`] letters, broken at blanks.
fn wrapped(text: &str) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let letters = word.chars().count();
        if width > 0 && width + 1 + letters > WIDTH {
            lines.push('\n');
            width = 0;
        }
        if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += letters;
    }
    lines + "\n"
}
