//! The dot plot: one row an arm, one dot a seed, the mean as a bar with one standard deviation to each side.

use super::chart::{COLOURS, percent, tick};
use super::page::escape;
use super::scale::{Axis, Scale};
use crate::statistics::Summary;

/// Height of a row in pixels: a line of text, and the dots below it.
const ROW: usize = 58;

/// One row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) label: &'a str,
    /// The seed of each value.
    pub(super) seeds: &'a [u64],
    pub(super) summary: &'a Summary,
}

/// The figure. `id` must be unique within the page.
pub(super) fn dot_plot(id: &str, title: &str, axis: Axis, rows: &[Row]) -> String {
    // The ends of the spreads are to be seen as well, but there is nothing beyond 100%.
    let spread = |row: &Row| {
        let (mean, spread) = (row.summary.mean?, row.summary.standard_deviation?);
        Some([mean - spread, mean + spread])
    };
    let values = || {
        let values = rows.iter().flat_map(|row| &row.summary.values).copied();
        values.chain(rows.iter().filter_map(spread).flatten())
    };
    let caption = "Each dot is one seed, the bar is their mean, the line one sample standard deviation to each side.";
    let Some(x) = Scale::horizontal(axis, values(), 0.06) else {
        return "<p class=\"empty\">No finite value to draw.</p>\n".to_owned();
    };
    let height = ROW * rows.len() + 6;
    let description = escape(&format!(
        "{} arms, {title} from {}.",
        rows.len(),
        x.describe()
    ));
    let mut svg = format!(
        "<figure class=\"dots\">\n<div class=\"plot\"><svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\" style=\"height:{height}px\">\n\
         <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{description}</desc>\n",
        escape(title),
    );
    for (index, &value) in x.ticks.iter().enumerate() {
        let place = percent(x.place(value));
        svg +=
            &format!("<line class=\"grid\" x1=\"{place}\" x2=\"{place}\" y1=\"0\" y2=\"100%\"/>");
        svg += &tick(&x, index);
    }
    svg += &format!(
        "<text class=\"axis\" x=\"50%\" y=\"100%\" dy=\"3.1em\" text-anchor=\"middle\">{}</text>\n",
        escape(title)
    );
    for (number, row) in rows.iter().enumerate() {
        svg += &self::row(number, row, axis, &x);
    }
    svg + &format!("</svg></div>\n<figcaption>{caption}</figcaption>\n</figure>\n")
}

fn row(number: usize, row: &Row, axis: Axis, x: &Scale) -> String {
    let top = ROW * number;
    let middle = top + 40;
    let finite = row
        .summary
        .values
        .iter()
        .filter(|value| value.is_finite())
        .count();
    let value = match row.summary.values.len() {
        0 => "no run".to_owned(),
        seeds if finite < seeds => format!("{finite} of {seeds} seeds finite"),
        _ => axis.format_summary(row.summary),
    };
    let mut svg = format!(
        "<g class=\"s{}\">\n<line class=\"guide\" x1=\"0\" x2=\"100%\" y1=\"{middle}\" y2=\"{middle}\"/><text class=\"name\" x=\"0\" y=\"{text}\">{}</text><text class=\"value\" x=\"100%\" y=\"{text}\" text-anchor=\"end\">{value}</text>\n",
        number % COLOURS,
        escape(row.label),
        text = top + 20,
    );
    let place = |value: f64| percent(x.place(value));
    if let (Some(mean), Some(deviation)) = (row.summary.mean, row.summary.standard_deviation) {
        let (left, right) = (place(mean - deviation), place(mean + deviation));
        svg += &format!(
            "<line class=\"spread\" x1=\"{left}\" x2=\"{right}\" y1=\"{middle}\" y2=\"{middle}\"/>\n"
        );
    }
    for (index, (&seed, &value)) in row.seeds.iter().zip(&row.summary.values).enumerate() {
        if axis.can_show(value) {
            // Seeds with the same value stay apart: each has its own height.
            let shift = if row.seeds.len() < 2 {
                0.0
            } else {
                14.0 * (index as f64 / (row.seeds.len() - 1) as f64 - 0.5)
            };
            svg += &format!(
                "<circle class=\"dot\" cx=\"{}\" cy=\"{:.1}\" r=\"5.5\"><title>{}, seed {seed}: {}</title></circle>\n",
                place(value),
                middle as f64 + shift,
                escape(row.label),
                axis.format(value),
            );
        }
    }
    if let Some(mean) = row.summary.mean.filter(|_| row.seeds.len() > 1) {
        let place = place(mean);
        svg += &format!(
            "<line class=\"mean\" x1=\"{place}\" x2=\"{place}\" y1=\"{}\" y2=\"{}\"/>\n",
            middle - 11,
            middle + 11
        );
    }
    svg + "</g>\n"
}
