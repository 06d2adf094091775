//! The page of a comparison.

use super::super::chart::{Chart, Line, Weight, key};
use super::super::dots::{Row, dot_plot};
use super::super::page::{config, document, escape, facts, header, section, table};
use super::super::series::{Points, is_noisy, mean_line, ordered, smoothed, window};
use super::super::{Axis, number};
use super::{Arm, ArmRun, ArmSummary, CompareReport, Point, Track, aligned};
use crate::statistics::mean;

impl CompareReport {
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
            + &section("Test accuracy by group", &self.groups())
            + &section("What all arms share", &facts(&self.facts))
            + &config(&self.config_toml);
        document(&self.title, &body)
    }

    /// Who is ahead and by how much, in words, and no more than the numbers say.
    fn verdict(&self, summaries: &[ArmSummary]) -> String {
        let (mut ranked, mut failed) = (Vec::new(), Vec::new());
        for arm in summaries {
            let summary = &arm.test[&self.metric.key];
            let name = format!("<strong>{}</strong>", escape(&arm.label));
            match summary.mean {
                Some(mean) => ranked.push((mean, name, summary)),
                None => failed.push(name),
            }
        }
        ranked.sort_by(|left, right| right.0.total_cmp(&left.0));
        let mut sentences = Vec::new();
        if let Some((mean, best, summary)) = ranked.first() {
            let mean = self.metric.axis.format(*mean);
            let seeds = match summary.values.len() {
                1 => "with one seed".to_owned(),
                seeds => format!("on average over {seeds} seeds"),
            };
            sentences.push(format!("{best} reaches {mean} {seeds}."));
        }
        if let [(_, best, first), (mean, next, second), ..] = ranked.as_slice() {
            let known = first.values.len().min(second.values.len()) > 1;
            let chance = match (known, first.min > second.max) {
                (false, _) => "one seed tells nothing about the spread between seeds".to_owned(),
                (true, true) => format!("every seed of {best} is above every seed of {next}"),
                (true, false) => {
                    "the seeds of the two overlap, so their order may be chance".to_owned()
                }
            };
            sentences.push(format!(
                "{next} follows with {}; {chance}.",
                self.metric.axis.format(*mean)
            ));
        }
        if !failed.is_empty() {
            sentences.push(format!(
                "Without a mean, as a seed gave no finite value: {}.",
                failed.join(", ")
            ));
        }
        if sentences.is_empty() {
            return String::new();
        }
        format!("<p class=\"verdict\">{}</p>\n", sentences.join(" "))
    }

    fn dots(&self, summaries: &[ArmSummary]) -> String {
        if summaries.is_empty() {
            return String::new();
        }
        let rows: Vec<Row> = summaries
            .iter()
            .map(|arm| Row {
                label: &arm.label,
                seeds: &arm.seeds,
                summary: &arm.test[&self.metric.key],
            })
            .collect();
        dot_plot("dots", &self.metric.label, self.metric.axis, &rows)
    }

    fn table(&self) -> String {
        let (header, rows) = self.cells("\u{2002}");
        if rows.is_empty() {
            return String::new();
        }
        let row = |(number, row): (usize, &Vec<String>)| {
            let mut cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
            cells[0].insert_str(0, &key(number));
            cells
        };
        let rows: Vec<_> = rows.iter().enumerate().map(row).collect();
        let note = "Mean ± sample standard deviation over seeds; times and rates are means.";
        table(&self.metric.label, note, &aligned(&header), &rows)
    }

    /// Mean accuracy over seeds of each arm in each group.
    fn groups(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for group in self
            .arms
            .iter()
            .flat_map(|arm| &arm.runs)
            .flat_map(|run| &run.groups)
        {
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
                .find(|group| group.name == name)?
                .tally
                .accuracy()
        };
        let cell = |arm: &Arm, name: &str| {
            let values: Option<Vec<f64>> = arm.runs.iter().map(|run| accuracy(run, name)).collect();
            values.and_then(|values| mean(&values))
        };
        let highest = |name: &str| {
            self.arms
                .iter()
                .filter_map(|arm| cell(arm, name))
                .max_by(f64::total_cmp)
        };
        let best: Vec<Option<f64>> = names.iter().map(|name| highest(name)).collect();
        let row = |(number, arm): (usize, &Arm)| {
            let cells = names
                .iter()
                .zip(&best)
                .map(|(name, best)| match cell(arm, name) {
                    None => number::NONE.to_owned(),
                    value if value == *best => {
                        format!("<b>{}</b>", Axis::Percent.format(value.unwrap_or_default()))
                    }
                    Some(value) => Axis::Percent.format(value),
                });
            std::iter::once(key(number) + &escape(&arm.label))
                .chain(cells)
                .collect()
        };
        let rows: Vec<Vec<String>> = self.arms.iter().enumerate().map(row).collect();
        let header: Vec<&str> = std::iter::once("Arm")
            .chain(names.iter().copied())
            .collect();
        let note = "Mean over seeds; the highest of each column is bold.";
        table("Test accuracy by group", note, &aligned(&header), &rows)
    }

    fn tracks<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Track> {
        let tracks = self
            .arms
            .iter()
            .flat_map(|arm| &arm.runs)
            .flat_map(|run| &run.tracks);
        tracks.filter(move |track| track.name == name)
    }

    /// A chart over steps for each track name, and one over time where it is known.
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
            let mut chart = self.chart(name, axis, |point| Some(point.step));
            chart.x_label = "step".to_owned();
            chart.note.insert_str(
                0,
                "Thin: each seed. Bold: their mean, its last value in the legend. ",
            );
            html += &chart.html(&format!("steps-{index}"));
            let seconds: Option<Vec<f64>> = self
                .tracks(name)
                .flat_map(|track| &track.points)
                .map(|point| point.seconds)
                .collect();
            let Some(seconds) = seconds else { continue };
            let (unit, length) = time_unit(
                seconds
                    .into_iter()
                    .filter(|time| time.is_finite())
                    .fold(0.0, f64::max),
            );
            let mut chart = self.chart(name, axis, |point| Some(point.seconds? / length));
            chart.title += ", against time";
            chart.x_label = format!("{unit} of training");
            chart.note.insert_str(
                0,
                "Thin: each seed. Bold: their mean, as far as all seeds go. ",
            );
            // The means end at other steps than over there: two last values would confuse.
            chart.legend.iter_mut().for_each(|(_, last)| *last = None);
            html += &chart.html(&format!("time-{index}"));
        }
        html
    }

    /// One thin line a seed, one bold line for the mean of an arm.
    fn chart(&self, name: &str, axis: Axis, x: impl Fn(&Point) -> Option<f64>) -> Chart {
        let points = |track: &Track| -> Points {
            let points: Vec<_> = track
                .points
                .iter()
                .filter_map(|point| Some((x(point)?, point.value)))
                .collect();
            ordered(&points)
        };
        // All arms are smoothed or none is: their lines must be alike to be compared.
        let noisy = self
            .tracks(name)
            .map(points)
            .filter(|points| is_noisy(points));
        let window = noisy.map(|points| window(points.len())).max();
        let note = window.map_or(String::new(), |window| {
            format!("All lines are centred moving means over {window} points.")
        });
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
        thin.append(&mut bold);
        Chart {
            title: name.to_owned(),
            x_label: String::new(),
            axis,
            legend,
            lines: thin,
            note,
        }
    }
}

/// The unit to show times up to `seconds` in, and its length in seconds.
fn time_unit(seconds: f64) -> (&'static str, f64) {
    match seconds {
        _ if seconds >= 3.0 * 3600.0 => ("hours", 3600.0),
        _ if seconds >= 5.0 * 60.0 => ("minutes", 60.0),
        _ => ("seconds", 1.0),
    }
}
