//! The report of one run.

use super::chart::{Chart, Entry, Line, Weight, percent};
use super::page::{base64, config, document, escape, facts, header, section, table};
use super::series::{is_noisy, ordered, smoothed, window};
use super::{Axis, Curve, Figure, number};
use crate::accuracy::{Confusion, Group, Tally};
use crate::table::Align;

/// Everything the report of one run shows. What is left empty is left out.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// The heading, such as the recipe and its preset.
    pub title: String,
    /// One line below it, such as the run's folder.
    pub subtitle: String,
    /// Label and value of what the reader wants to know first: parameters, seed, backend, time.
    pub facts: Vec<(String, String)>,
    /// Hits on the test split; a tally of nothing is not shown.
    pub test: Tally,
    /// Hits by group, such as question type.
    pub groups: Vec<Group>,
    /// The most frequent mistakes.
    pub confusions: Vec<Confusion>,
    /// Measurements along the run, a chart each.
    pub curves: Vec<Curve>,
    /// What else the recipe has to show.
    pub figures: Vec<Figure>,
    /// Some test items with their answers.
    pub samples: Vec<SampleCard>,
    /// The resolved configuration.
    pub config_toml: String,
}

/// One test item with the model's answer.
#[derive(Clone, Debug, Default)]
pub struct SampleCard {
    /// The picture as a PNG file; without one, a blank stands in its place.
    pub image_png: Vec<u8>,
    /// What was asked; may be empty.
    pub question: String,
    /// The right answer.
    pub target: String,
    /// The model's answer.
    pub prediction: String,
    /// The probability the model gave to its answer.
    pub score: f64,
}

impl RunReport {
    /// The report as one self-contained HTML document.
    pub fn html(&self) -> String {
        let curves: String = self
            .curves
            .iter()
            .enumerate()
            .map(|(index, curve)| chart(curve).html(&format!("curve-{index}")))
            .collect();
        let curves = if curves.is_empty() {
            curves
        } else {
            format!("<div class=\"charts\">\n{curves}</div>\n")
        };
        let body = header("Run", &self.title, &self.subtitle)
            + &self.hero()
            + &facts(&self.facts)
            + &section("Learning curves", &curves)
            + "<div class=\"pair\">\n"
            + &section("Test accuracy by group", &self.groups())
            + &section("Most frequent mistakes", &self.confusions())
            + "</div>\n"
            + &self
                .figures
                .iter()
                .map(|figure| section(figure.title(), &figure.html()))
                .collect::<String>()
            + &section("Samples", &self.samples())
            + &config(&self.config_toml);
        document(&self.title, "", &body)
    }

    fn hero(&self) -> String {
        let Some(accuracy) = self.test.accuracy() else {
            return String::new();
        };
        let (accuracy, correct, total) = (
            number::percent(accuracy),
            number::count(self.test.correct as u64),
            number::count(self.test.total as u64),
        );
        format!(
            "<p class=\"hero\"><b>{accuracy}</b><span>test accuracy, {correct} of {total} right</span></p>\n"
        )
    }

    fn groups(&self) -> String {
        if self.groups.is_empty() {
            return String::new();
        }
        let columns = [
            ("Group", Align::Left),
            ("Accuracy", Align::Right),
            ("Right", Align::Right),
            ("0 to 100%", Align::Left),
        ];
        let row = |Group { name, tally }: &Group| {
            let accuracy = tally.accuracy().unwrap_or(f64::NAN);
            let right = format!(
                "{} <small>of {}</small>",
                number::count(tally.correct as u64),
                number::count(tally.total as u64)
            );
            vec![
                escape(name),
                number::percent(accuracy),
                right,
                bar(accuracy),
            ]
        };
        let rows: Vec<_> = self.groups.iter().map(row).collect();
        table("Test accuracy by group", "", &columns, &rows)
    }

    fn confusions(&self) -> String {
        if self.confusions.is_empty() {
            return String::new();
        }
        let columns = [
            ("Right answer", Align::Left),
            ("Taken for", Align::Left),
            ("Times", Align::Right),
            ("Share", Align::Right),
        ];
        let row = |confusion: &Confusion| {
            let share = confusion.count as f64 / confusion.of as f64;
            vec![
                escape(&confusion.target),
                escape(&confusion.prediction),
                format!(
                    "{} <small>of {}</small>",
                    number::count(confusion.count as u64),
                    number::count(confusion.of as u64)
                ),
                number::percent(share),
            ]
        };
        let rows: Vec<_> = self.confusions.iter().map(row).collect();
        let note = "The share is of all test items with this right answer.";
        table("Most frequent mistakes", note, &columns, &rows)
    }

    fn samples(&self) -> String {
        if self.samples.is_empty() {
            return String::new();
        }
        format!(
            "<ul class=\"samples\">\n{}</ul>\n",
            self.samples
                .iter()
                .map(SampleCard::html)
                .collect::<String>()
        )
    }
}

impl SampleCard {
    fn html(&self) -> String {
        let picture = if self.image_png.is_empty() {
            "<p class=\"empty\">no picture</p>".to_owned()
        } else {
            let alt = if self.question.is_empty() {
                "test item"
            } else {
                "picture the question is about"
            };
            format!(
                "<img src=\"data:image/png;base64,{}\" alt=\"{alt}\">",
                base64(&self.image_png)
            )
        };
        let right = self.prediction == self.target;
        let (class, mark, verdict) = if right {
            ("right", "✓", "right")
        } else {
            ("wrong", "✗", "wrong")
        };
        let target = if right {
            String::new()
        } else {
            format!(
                "<p><small>right answer: {}</small></p>",
                escape(&self.target)
            )
        };
        format!(
            "<li>{picture}<p>{question}</p><p class=\"answer {class}\"><span role=\"img\" aria-label=\"{verdict}\">{mark}</span> {answer} <small>{score}</small></p>{target}</li>\n",
            question = escape(&self.question),
            answer = escape(&self.prediction),
            score = number::probability(self.score),
        )
    }
}

/// A bar that is full at 1; empty for NaN.
fn bar(share: f64) -> String {
    let width = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    format!(
        "<span class=\"bar s0\" aria-hidden=\"true\"><i style=\"width:{}\"></i></span>",
        percent(width)
    )
}

/// The chart of one curve: noisy series faint, with their moving mean above.
fn chart(curve: &Curve) -> Chart {
    let mut lines = Vec::new();
    let mut legend = Vec::new();
    let mut notes = Vec::new();
    for (colour, series) in curve.series.iter().enumerate() {
        let points = ordered(&series.points);
        let line = |weight, points| Line {
            colour: Some(colour),
            weight,
            name: series.label.clone(),
            points,
        };
        let read = if is_noisy(&points) {
            let window = window(points.len());
            let smooth = smoothed(&points, window);
            notes.push(format!(
                "Bold {}: centred moving mean over {window} points; faint: the points themselves.",
                series.label
            ));
            // Behind everything that is meant to be read.
            lines.insert(0, line(Weight::Faint, points));
            smooth
        } else {
            points
        };
        legend.push(Entry {
            colour: Some(colour),
            label: series.label.clone(),
            last: read.last().map(|point| point.1),
        });
        lines.push(line(Weight::Bold, read));
    }
    notes.insert(0, "Legend: last value.".to_owned());
    Chart {
        title: curve.name.clone(),
        x_label: curve.x_label.clone(),
        x_axis: Axis::Linear,
        axis: curve.axis,
        legend,
        lines,
        note: notes.join(" "),
    }
}
