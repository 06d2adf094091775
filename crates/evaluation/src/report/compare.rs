//! The comparison of arms over seeds: as a page, as text for the terminal, as numbers for JSON.

use super::chart::{Chart, Line, Weight};
use super::dots::{Row, dot_plot, summary};
use super::page::{config, document, escape, facts, header, section, table};
use super::series::{Points, is_noisy, mean_line, ordered, smoothed, window};
use super::{Axis, number};
use crate::accuracy::Group;
use crate::statistics::{Summary, mean};
use crate::table::{Align, text_table};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything a comparison shows. What is left empty is left out.
#[derive(Clone, Debug, Default)]
pub struct CompareReport {
    /// The heading.
    pub title: String,
    /// One line below it.
    pub subtitle: String,
    /// Label and value of what holds for all arms: recipe, data, budget, the command.
    pub facts: Vec<(String, String)>,
    /// What the arms are compared by; higher is better.
    pub metric: Metric,
    /// Further metrics of the test split, a column each.
    pub more_metrics: Vec<Metric>,
    /// The arms, in the order to show them.
    pub arms: Vec<Arm>,
    /// The configuration that all arms share.
    pub config_toml: String,
}

/// A metric of the test split.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its key in [`ArmRun::test`].
    pub key: String,
    /// Its name for the reader.
    pub label: String,
    /// How it is shown.
    pub axis: Axis,
}

impl Default for Metric {
    /// `accuracy`, shown as `Test accuracy` in per cent.
    fn default() -> Self {
        Self {
            key: "accuracy".into(),
            label: "Test accuracy".into(),
            axis: Axis::Percent,
        }
    }
}

/// One arm: everything the same but the seed.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    /// What was varied, such as `late`.
    pub label: String,
    /// Trainable parameters.
    pub parameters: Option<u64>,
    /// One run a seed.
    pub runs: Vec<ArmRun>,
}

/// One finished run of an arm.
#[derive(Clone, Debug, Default)]
pub struct ArmRun {
    /// Its seed.
    pub seed: u64,
    /// Metrics of the test split by key.
    pub test: BTreeMap<String, f64>,
    /// Hits by group, such as question type.
    pub groups: Vec<Group>,
    /// Time spent training.
    pub seconds: Option<f64>,
    /// Training throughput.
    pub samples_per_second: Option<f64>,
    /// Measurements along the run; tracks of the same name are drawn into one chart.
    pub tracks: Vec<Track>,
}

/// One measurement along one run.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// What it is and the heading of its chart, such as `Validation accuracy`.
    pub name: String,
    /// How it is shown.
    pub axis: Axis,
    /// The measured values.
    pub points: Vec<Point>,
}

/// One value along a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// After how many steps.
    pub step: f64,
    /// After how many seconds of training; a chart over time is drawn when every point of every run has it.
    pub seconds: Option<f64>,
    /// The value.
    pub value: f64,
}

/// The numbers of one arm, as the table shows them and `--json` prints them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmSummary {
    /// See [`Arm::label`].
    pub label: String,
    /// See [`Arm::parameters`].
    pub parameters: Option<u64>,
    /// The seed of each value below.
    pub seeds: Vec<u64>,
    /// Metrics of the test split by key; a run that lacks one counts as NaN.
    pub test: BTreeMap<String, Summary>,
    /// Time spent training; `None` unless every run has it.
    pub seconds: Option<Summary>,
    /// Training throughput; `None` unless every run has it.
    pub samples_per_second: Option<Summary>,
}

impl CompareReport {
    /// The numbers of each arm.
    pub fn summaries(&self) -> Vec<ArmSummary> {
        self.arms.iter().map(|arm| self.summarised(arm)).collect()
    }

    fn summarised(&self, arm: &Arm) -> ArmSummary {
        let over_runs = |value: fn(&ArmRun) -> Option<f64>| -> Option<Summary> {
            let values: Option<Vec<f64>> = arm.runs.iter().map(value).collect();
            values.filter(|values| !values.is_empty()).map(Summary::of)
        };
        let test = |metric: &Metric| {
            let values = arm
                .runs
                .iter()
                .map(|run| run.test.get(&metric.key).copied().unwrap_or(f64::NAN));
            (metric.key.clone(), Summary::of(values.collect()))
        };
        ArmSummary {
            label: arm.label.clone(),
            parameters: arm.parameters,
            seeds: arm.runs.iter().map(|run| run.seed).collect(),
            test: self.metrics().map(test).collect(),
            seconds: over_runs(|run| run.seconds),
            samples_per_second: over_runs(|run| run.samples_per_second),
        }
    }

    fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.metric).chain(&self.more_metrics)
    }

    /// The comparison as an aligned plain-text table for the terminal.
    pub fn text(&self) -> String {
        let (columns, rows) = self.columns(" ");
        let columns: Vec<(&str, Align)> = columns
            .iter()
            .enumerate()
            .map(|(index, name)| {
                (
                    name.as_str(),
                    if index == 0 {
                        Align::Left
                    } else {
                        Align::Right
                    },
                )
            })
            .collect();
        text_table(&columns, &rows)
    }

    /// Header and cells, as text, of the table that both the page and the terminal show. `gap` stands between
    /// the values of single seeds.
    fn columns(&self, gap: &str) -> (Vec<String>, Vec<Vec<String>>) {
        let summaries = self.summaries();
        let has = |value: fn(&ArmSummary) -> bool| summaries.iter().any(value);
        let (parameters, seconds, throughput) = (
            has(|arm| arm.parameters.is_some()),
            has(|arm| arm.seconds.is_some()),
            has(|arm| arm.samples_per_second.is_some()),
        );
        let mut header = vec!["Arm".to_owned()];
        header.extend(parameters.then(|| "Parameters".to_owned()));
        header.extend([self.metric.label.clone(), "Each seed".to_owned()]);
        header.extend(self.more_metrics.iter().map(|metric| metric.label.clone()));
        header.extend(seconds.then(|| "Training time".to_owned()));
        header.extend(throughput.then(|| "Samples/s".to_owned()));
        let none = || number::NONE.to_owned();
        let mean = |summary: &Option<Summary>| summary.as_ref().and_then(|summary| summary.mean);
        let row = |arm: &ArmSummary| {
            let test = |metric: &Metric| summary(metric.axis, &arm.test[&metric.key]);
            let seeds: Vec<String> = arm.test[&self.metric.key]
                .values
                .iter()
                .map(|&value| self.metric.axis.format(value))
                .collect();
            let mut row = vec![arm.label.clone()];
            row.extend(parameters.then(|| arm.parameters.map_or_else(none, number::count)));
            row.extend([test(&self.metric), seeds.join(gap)]);
            row.extend(self.more_metrics.iter().map(test));
            row.extend(seconds.then(|| mean(&arm.seconds).map_or_else(none, number::duration)));
            row.extend(
                throughput.then(|| mean(&arm.samples_per_second).map_or_else(none, number::number)),
            );
            row
        };
        (header, summaries.iter().map(row).collect())
    }

    /// The comparison as one self-contained HTML document.
    pub fn html(&self) -> String {
        let summaries = self.summaries();
        let curves = self.curves();
        let curves = if curves.is_empty() {
            curves
        } else {
            format!("<div class=\"charts\">\n{curves}</div>\n")
        };
        let body = header("Comparison", &self.title, &self.subtitle)
            + &self.verdict(&summaries)
            + &section(&self.metric.label, &(self.dots(&summaries) + &self.table()))
            + &section("Learning curves", &curves)
            + &section("Accuracy by group", &self.groups())
            + &section("What all arms share", &facts(&self.facts))
            + &config(&self.config_toml);
        document(&self.title, &body)
    }

    /// Who is ahead and by how much, in words, and no more than the numbers say.
    fn verdict(&self, summaries: &[ArmSummary]) -> String {
        let of = |arm: &'_ ArmSummary| arm.test[&self.metric.key].clone();
        let mut ranked: Vec<(&str, Summary, f64)> = summaries
            .iter()
            .filter_map(|arm| of(arm).mean.map(|mean| (arm.label.as_str(), of(arm), mean)))
            .collect();
        ranked.sort_by(|left, right| right.2.total_cmp(&left.2));
        let Some((best, top, mean)) = ranked.first() else {
            return String::new();
        };
        let show = |value: f64| self.metric.axis.format(value);
        let seeds = top.values.len();
        let over = if seeds == 1 {
            "with one seed".to_owned()
        } else {
            format!("on average over {seeds} seeds")
        };
        let mut text = format!(
            "<strong>{}</strong> reaches {} {over}",
            escape(best),
            show(*mean)
        );
        match ranked.get(1) {
            None => text += ".",
            Some((next, second, mean)) => {
                text += &format!(
                    ", <strong>{}</strong> follows with {}. ",
                    escape(next),
                    show(*mean)
                );
                let apart = top.min > second.max;
                text += match (seeds.min(second.values.len()), apart) {
                    (0 | 1, _) => "One seed says nothing about the spread between seeds.",
                    (_, true) => "Every seed of the first beats every seed of the second.",
                    (_, false) => "Their seeds overlap, so the order of the two may be chance.",
                };
            }
        }
        let failed = summaries.len() - ranked.len();
        if failed > 0 {
            text += &format!(
                " {failed} of {} arms have no mean, as a seed gave no finite value.",
                summaries.len()
            );
        }
        format!("<p class=\"verdict\">{text}</p>\n")
    }

    fn dots(&self, summaries: &[ArmSummary]) -> String {
        if summaries.is_empty() {
            return String::new();
        }
        let row = |arm: &'_ ArmSummary| (arm.seeds.clone(), arm.test[&self.metric.key].clone());
        let data: Vec<(Vec<u64>, Summary)> = summaries.iter().map(row).collect();
        let rows: Vec<Row> = summaries
            .iter()
            .zip(&data)
            .map(|(arm, (seeds, summary))| Row {
                label: &arm.label,
                seeds: seeds.clone(),
                summary,
            })
            .collect();
        dot_plot("dots", &self.metric.label, self.metric.axis, &rows)
    }

    fn table(&self) -> String {
        let (header, rows) = self.columns("\u{2002}");
        if rows.is_empty() {
            return String::new();
        }
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let rows: Vec<(String, Vec<String>)> = rows
            .iter()
            .enumerate()
            .map(|(number, row)| {
                (
                    named(number, &row[0]),
                    row[1..].iter().map(|cell| escape(cell)).collect(),
                )
            })
            .collect();
        table(
            "Mean ± sample standard deviation over seeds; times and rates are means.",
            &header,
            &rows,
        )
    }

    /// Mean accuracy over seeds of each arm in each group.
    fn groups(&self) -> String {
        let runs = || self.arms.iter().flat_map(|arm| &arm.runs);
        let mut names: Vec<&str> = Vec::new();
        for group in runs().flat_map(|run| &run.groups) {
            if !names.contains(&group.name.as_str()) {
                names.push(&group.name);
            }
        }
        if names.is_empty() {
            return String::new();
        }
        let accuracy = |run: &ArmRun, name: &str| {
            run.groups
                .iter()
                .find(|group| group.name == name)
                .and_then(|group| group.tally.accuracy())
        };
        let cell = |arm: &Arm, name: &str| {
            let values: Option<Vec<f64>> = arm.runs.iter().map(|run| accuracy(run, name)).collect();
            values.and_then(|values| mean(&values))
        };
        let best: Vec<Option<f64>> = names
            .iter()
            .map(|name| {
                self.arms
                    .iter()
                    .filter_map(|arm| cell(arm, name))
                    .max_by(f64::total_cmp)
            })
            .collect();
        let row = |(number, arm): (usize, &Arm)| {
            let cells = names.iter().zip(&best).map(|(name, best)| {
                let value = cell(arm, name);
                let text = number::percent(value.unwrap_or(f64::NAN));
                if value.is_some() && value == *best {
                    format!("<span class=\"best\">{text}</span>")
                } else {
                    text
                }
            });
            (named(number, &arm.label), cells.collect())
        };
        let rows: Vec<_> = self.arms.iter().enumerate().map(row).collect();
        let header: Vec<&str> = std::iter::once("Arm")
            .chain(names.iter().copied())
            .collect();
        table(
            "Mean over seeds; the highest of each column is bold.",
            &header,
            &rows,
        )
    }

    /// A chart over steps for each track name, and one over seconds where they are known.
    fn curves(&self) -> String {
        let mut names: Vec<(&str, Axis)> = Vec::new();
        for track in self
            .arms
            .iter()
            .flat_map(|arm| &arm.runs)
            .flat_map(|run| &run.tracks)
        {
            if !names.iter().any(|(name, _)| *name == track.name) {
                names.push((&track.name, track.axis));
            }
        }
        let mut html = String::new();
        for (index, (name, axis)) in names.into_iter().enumerate() {
            html += &self
                .chart(name, axis, "step", |point| Some(point.step))
                .html(&format!("steps-{index}"));
            let timed = self
                .tracks(name)
                .flat_map(|track| &track.points)
                .all(|point| point.seconds.is_some());
            if timed {
                html += &self
                    .chart(name, axis, "seconds of training", |point| point.seconds)
                    .html(&format!("seconds-{index}"));
            }
        }
        html
    }

    fn tracks<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Track> {
        self.arms
            .iter()
            .flat_map(|arm| &arm.runs)
            .flat_map(|run| &run.tracks)
            .filter(move |track| track.name == name)
    }

    /// One thin line a seed, one bold line for the mean of an arm.
    fn chart(&self, name: &str, axis: Axis, x_label: &str, x: fn(&Point) -> Option<f64>) -> Chart {
        let points = |track: &Track| -> Points {
            let points: Vec<_> = track
                .points
                .iter()
                .filter_map(|point| Some((x(point)?, point.value)))
                .collect();
            ordered(&points)
        };
        // All arms are smoothed or none is: their lines must be alike to be compared.
        let longest = self
            .tracks(name)
            .map(points)
            .filter(|points| is_noisy(points))
            .map(|points| points.len())
            .max();
        let window = longest.map(window);
        let (mut thin, mut bold, mut legend) = (Vec::new(), Vec::new(), Vec::new());
        for (colour, arm) in self.arms.iter().enumerate() {
            let mut seeds = Vec::new();
            for run in &arm.runs {
                for track in run.tracks.iter().filter(|track| track.name == name) {
                    let points = points(track);
                    let points = window.map_or(points.clone(), |window| smoothed(&points, window));
                    let name = format!("{}, seed {}", arm.label, run.seed);
                    thin.push(Line {
                        colour,
                        weight: Weight::Thin,
                        name,
                        points: points.clone(),
                    });
                    seeds.push(points);
                }
            }
            let points = mean_line(&seeds);
            legend.push((arm.label.clone(), points.last().map(|point| point.1)));
            let name = format!("{}, mean of {} seeds", arm.label, seeds.len());
            bold.push(Line {
                colour,
                weight: Weight::Bold,
                name,
                points,
            });
        }
        let mut note =
            "Thin: each seed. Bold: their mean, its last value in the legend.".to_owned();
        if let Some(window) = window {
            note += &format!(" All lines are centred moving means over {window} points.");
        }
        thin.append(&mut bold);
        Chart {
            title: name.to_owned(),
            x_label: x_label.to_owned(),
            axis,
            legend,
            lines: thin,
            note,
        }
    }
}

/// The name of an arm with its colour before it, as HTML.
fn named(number: usize, label: &str) -> String {
    format!(
        "<span class=\"swatch s{}\"></span>{}",
        number % 7,
        escape(label)
    )
}
