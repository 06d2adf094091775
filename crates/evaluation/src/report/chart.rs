//! Line charts as SVG that keeps its text and strokes at one size at every width: places are per cent of the
//! picture, and only the lines live in a stretched view box.

use super::page::{caption, escape, shortened};
use super::scale::{Axis, Scale};
use super::series::{Points, thinned};

/// How heavy a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Single measurements behind their average.
    Faint,
    /// One seed of several.
    Thin,
    /// What is meant to be read.
    Bold,
    /// Dots at the points, for lines that join only a few.
    Marks,
}

impl Weight {
    fn class(self) -> &'static str {
        match self {
            Self::Faint => "faint",
            Self::Thin => "thin",
            Self::Bold => "bold",
            Self::Marks => "marks",
        }
    }
}

/// One line of a chart.
#[derive(Debug)]
pub(super) struct Line {
    /// Which colour: the number of the arm or series; grey without.
    pub(super) colour: Option<usize>,
    pub(super) weight: Weight,
    /// What the line is, for who points at it.
    pub(super) name: String,
    /// In the order of x.
    pub(super) points: Points,
}

/// One entry of a legend.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) colour: Option<usize>,
    pub(super) label: String,
    /// The last value of the line.
    pub(super) last: Option<f64>,
}

/// A line chart with its heading, legend and note.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) x_axis: Axis,
    pub(super) axis: Axis,
    pub(super) legend: Vec<Entry>,
    pub(super) lines: Vec<Line>,
    /// What the reader must know to read it, as text.
    pub(super) note: String,
}

/// How many colours the style knows.
const COLOURS: usize = 7;

/// The classes that give a line the colour of its number, and dashes where the colours repeat; grey without.
pub(super) fn colour(number: Option<usize>) -> String {
    number.map_or_else(
        || "rest".to_owned(),
        |number| format!("s{} d{}", number % COLOURS, (number / COLOURS) % 3),
    )
}

/// A short piece of the line of a number, to stand before its name.
pub(super) fn key(number: Option<usize>) -> String {
    let class = colour(number);
    format!(
        "<svg class=\"key {class}\" aria-hidden=\"true\"><line class=\"bold\" x1=\"0\" x2=\"100%\" y1=\"50%\" y2=\"50%\"/></svg>"
    )
}

/// A tick below a chart. Where there are many, every second one is left out of a narrow window.
pub(super) fn tick(x: &Scale, index: usize) -> String {
    let (place, label) = (percent(x.place(x.ticks[index])), x.label(x.ticks[index]));
    let class = if x.ticks.len() > 5 && index % 2 == 1 {
        " class=\"odd\""
    } else {
        ""
    };
    format!(
        "<text{class} x=\"{place}\" y=\"100%\" dy=\"1.6em\" text-anchor=\"middle\">{label}</text>\n"
    )
}

impl Scale {
    /// The rules of a vertical axis across a plot, each with its label.
    pub(super) fn rules(&self) -> String {
        let mut svg = String::new();
        for &tick in &self.ticks {
            let (place, label) = (percent(1.0 - self.place(tick)), self.label(tick));
            svg += &format!(
                "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{place}\" y2=\"{place}\"/><text x=\"-8\" y=\"{place}\" dy=\".32em\" text-anchor=\"end\">{label}</text>\n"
            );
        }
        svg
    }

    /// The foot of a plot: a rule, the ticks of a horizontal axis and what it is.
    pub(super) fn feet(&self, label: &str) -> String {
        let rule = "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/>\n";
        let ticks: String = (0..self.ticks.len())
            .map(|index| tick(self, index))
            .collect();
        format!(
            "{rule}{ticks}<text class=\"axis\" x=\"50%\" y=\"100%\" dy=\"3.1em\" text-anchor=\"middle\">{}</text>\n",
            escape(&shortened(label, 48))
        )
    }
}

impl Chart {
    /// The figure. `id` must be unique within the page.
    pub(super) fn html(&self, id: &str) -> String {
        let title = escape(&self.title);
        let hidden = self
            .lines
            .iter()
            .flat_map(|line| &line.points)
            .filter(|point| !self.axis.can_show(point.1))
            .count();
        let mut note = self.note.clone();
        if self.axis == Axis::Log {
            note += " Logarithmic scale.";
        }
        if hidden > 0 {
            let points = if hidden == 1 {
                "point is"
            } else {
                "points are"
            };
            let why = if self.axis == Axis::Log {
                "not finite or not positive"
            } else {
                "not finite or out of range"
            };
            note += &format!(" {hidden} {points} {why} and not drawn.");
        }
        format!(
            "<figure class=\"chart\">\n<h3>{title}</h3>\n{}{}{}</figure>\n",
            self.legend(),
            self.svg(id)
                .unwrap_or_else(|| "<p class=\"empty\">No finite value to draw.</p>\n".to_owned()),
            caption(note.trim()),
        )
    }

    fn legend(&self) -> String {
        let entry = |entry: &Entry| {
            let last = entry.last.map_or(String::new(), |last| {
                format!(" <b>{}</b>", self.axis.format(last))
            });
            format!(
                "<li>{}{}{last}</li>\n",
                key(entry.colour),
                escape(&entry.label)
            )
        };
        let entries: String = self.legend.iter().map(entry).collect();
        format!("<ul class=\"legend\">\n{entries}</ul>\n")
    }

    fn svg(&self, id: &str) -> Option<String> {
        let shown = || {
            self.lines
                .iter()
                .flat_map(|line| &line.points)
                .filter(|point| self.axis.can_show(point.1))
        };
        let x = Scale::horizontal(self.x_axis, shown().map(|point| point.0), 0.0)?;
        let y = Scale::vertical(self.axis, shown().map(|point| point.1))?;
        let labels = self.legend.iter().map(|entry| entry.label.as_str());
        let labels: Vec<&str> = labels.collect();
        let title = escape(&self.title);
        let description = escape(&format!(
            "{} against {}, {} lines for {}; x from {}, y from {}.",
            self.title,
            self.x_label,
            self.lines.len(),
            labels.join(", "),
            x.describe(),
            y.describe(),
        ));
        let mut svg = format!(
            "<div class=\"plot\"><svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n<title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{description}</desc>\n"
        );
        svg += &y.rules();
        svg += &x.feet(&self.x_label);
        svg += "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\" overflow=\"visible\">\n";
        for line in &self.lines {
            svg += &self.line(line, &x, &y);
        }
        Some(svg + "</svg>\n</svg></div>\n")
    }

    /// One line: a polyline for each stretch without a hole.
    fn line(&self, line: &Line, x: &Scale, y: &Scale) -> String {
        let mut svg = format!(
            "<g class=\"{} {}\"><title>{}</title>",
            colour(line.colour),
            line.weight.class(),
            escape(&line.name)
        );
        let points = thinned(&line.points);
        let stretches: Vec<&[(f64, f64)]> = match line.weight {
            Weight::Marks => points.chunks(1).collect(),
            _ => points.split(|point| !self.axis.can_show(point.1)).collect(),
        };
        let shown = |stretch: &&[(f64, f64)]| {
            stretch
                .iter()
                .any(|point| self.axis.can_show(point.1) && self.x_axis.can_show(point.0))
        };
        for stretch in stretches.into_iter().filter(shown) {
            // A point alone is doubled: a line of no length with round ends is a dot.
            let doubled = if stretch.len() == 1 { stretch } else { &[] };
            let place = |point: &(f64, f64)| {
                format!(
                    "{:.1},{:.1}",
                    1000.0 * x.place(point.0),
                    1000.0 - 1000.0 * y.place(point.1)
                )
            };
            let places: Vec<String> = stretch.iter().chain(doubled).map(place).collect();
            svg += &format!("<polyline points=\"{}\"/>", places.join(" "));
        }
        svg + "</g>\n"
    }
}

/// A place in per cent, for SVG attributes.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}
