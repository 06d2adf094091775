//! Strips: one row an arm, its name at the left, marks along a common axis in the middle, a value at the right.
//! In a narrow window the marks come below the name.

use super::super::chart::{colour, percent, tick};
use super::super::page::{caption, escape, shortened};
use super::super::scale::Scale;

/// A figure of strips.
pub(super) struct Strips<'a> {
    pub(super) scale: Scale,
    /// What the axis is.
    pub(super) label: &'a str,
    /// Whether a line stands at zero.
    pub(super) zero: bool,
    pub(super) rows: Vec<Strip<'a>>,
    /// Class and name of each kind of mark that the caption alone does not explain.
    pub(super) key: Vec<(&'static str, &'static str)>,
    /// What the reader must know to read it, as text.
    pub(super) note: String,
}

/// One row.
pub(super) struct Strip<'a> {
    /// Place in the ranking, from 0.
    pub(super) place: usize,
    pub(super) colour: Option<usize>,
    /// Whether the row stands on a shade.
    pub(super) shaded: bool,
    /// Letters of the arms that cannot be told apart; may be empty.
    pub(super) letters: &'a str,
    pub(super) name: &'a str,
    /// One line below the name; may be empty.
    pub(super) about: String,
    pub(super) value: String,
    /// One line below the value; may be empty.
    pub(super) detail: String,
    pub(super) marks: Vec<Mark>,
}

/// What is drawn into a row. Places are in the units of the scale, lanes in pixels below the middle.
pub(super) enum Mark {
    /// A line from end to end.
    Interval { low: f64, high: f64 },
    /// A dot.
    Dot {
        at: f64,
        shift: f64,
        class: &'static str,
        title: String,
    },
    /// An upright bar at a mean.
    Mean { at: f64 },
    /// A bar along the axis.
    Bar {
        from: f64,
        to: f64,
        lane: i32,
        class: &'static str,
    },
}

impl Strips<'_> {
    /// The figure.
    pub(super) fn html(&self) -> String {
        let grid: String = self
            .scale
            .ticks
            .iter()
            .map(|&tick| upright("grid", percent(self.scale.place(tick))))
            .collect();
        let zero = if self.zero {
            upright("zero", percent(self.scale.place(0.0)))
        } else {
            String::new()
        };
        let rows: String = self
            .rows
            .iter()
            .map(|row| self.row(row, &format!("{grid}{zero}")))
            .collect();
        let ticks: String = (0..self.scale.ticks.len())
            .map(|index| tick(&self.scale, index))
            .collect();
        let entry = |(class, name): &(&str, &str)| {
            format!(
                "<li><i class=\"swatch {class}\"></i>{}</li>\n",
                escape(name)
            )
        };
        let key: String = self.key.iter().map(entry).collect();
        let key = if key.is_empty() {
            key
        } else {
            format!("<ul class=\"legend\">\n{key}</ul>\n")
        };
        format!(
            "<figure class=\"strips\">\n{key}<ol>\n{rows}</ol>\n<div class=\"ticks\" aria-hidden=\"true\"><svg>{ticks}\
             <text class=\"axis\" x=\"50%\" y=\"100%\" dy=\"3.1em\" text-anchor=\"middle\">{}</text></svg></div>\n{}</figure>\n",
            escape(&shortened(self.label, 48)),
            caption(&self.note),
        )
    }

    fn row(&self, row: &Strip, back: &str) -> String {
        let small = |text: &str| match text {
            "" => String::new(),
            text => format!("<small>{}</small>", escape(text)),
        };
        let marks: String = row.marks.iter().map(|mark| self.mark(mark)).collect();
        format!(
            "<li class=\"{}{}\"><div class=\"who\"><span class=\"place\">{}</span><span><b>{}</b>{}{}</span></div>\
             <div class=\"lane\"><svg aria-hidden=\"true\">{back}{marks}</svg></div><div class=\"what\"><b>{}</b>{}</div></li>\n",
            colour(row.colour),
            if row.shaded { " shaded" } else { "" },
            row.place + 1,
            escape(row.name),
            letters(row.letters),
            small(&row.about),
            escape(&row.value),
            small(&row.detail),
        )
    }

    fn mark(&self, mark: &Mark) -> String {
        let place = |value: f64| percent(self.scale.place(value));
        match mark {
            Mark::Interval { low, high } => format!(
                "<line class=\"spread\" x1=\"{}\" x2=\"{}\" y1=\"50%\" y2=\"50%\"/>",
                place(*low),
                place(*high)
            ),
            Mark::Dot {
                at,
                shift,
                class,
                title,
            } => format!(
                "<circle class=\"{class}\" cx=\"{}\" cy=\"50%\" r=\"4.5\" transform=\"translate(0 {shift:.1})\"><title>{}</title></circle>",
                place(*at),
                escape(title)
            ),
            Mark::Mean { at } => format!(
                "<rect class=\"at\" x=\"{}\" y=\"50%\" width=\"4\" height=\"22\" transform=\"translate(-2 -11)\"/>",
                place(*at)
            ),
            Mark::Bar {
                from,
                to,
                lane,
                class,
            } => {
                let (from, to) = (self.scale.place(*from), self.scale.place(*to));
                format!(
                    "<rect class=\"{class}\" x=\"{}\" y=\"50%\" width=\"{}\" height=\"10\" transform=\"translate(0 {})\"/>",
                    percent(from.min(to)),
                    percent((to - from).abs()),
                    lane - 5
                )
            }
        }
    }
}

fn upright(class: &str, place: String) -> String {
    format!("<line class=\"{class}\" x1=\"{place}\" x2=\"{place}\" y1=\"0\" y2=\"100%\"/>")
}

/// The letters behind the name of an arm.
pub(super) fn letters(letters: &str) -> String {
    match letters {
        "" => String::new(),
        letters => format!(" <sup>{}</sup>", escape(letters)),
    }
}
