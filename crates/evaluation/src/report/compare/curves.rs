//! Learning curves: each measurement against steps, and against time where it is known.

use super::super::Axis;
use super::super::chart::{Chart, Entry, Line, Weight};
use super::super::series::{Points, is_noisy, mean_line, ordered, smoothed, thinned_to, window};
use super::conditions::rest;
use super::standing::{Standing, names};
use super::{CompareReport, Point, Track};

/// Points that one chart holds, so that the page of a thousand runs can still be opened.
const POINTS: usize = 24_000;

impl CompareReport {
    /// A chart over steps for each track name, and one over time where it is known.
    pub(super) fn curves(&self, standing: &Standing) -> String {
        let tracks = || standing.runs().flat_map(|run| &run.tracks);
        let mut html = String::new();
        for (index, name) in names(tracks().map(|track| track.name.as_str()))
            .into_iter()
            .enumerate()
        {
            let of = || tracks().filter(|track| track.name == name);
            let axis = of().next().map_or(Axis::Linear, |track| track.axis);
            let mut chart = self.track(standing, name, axis, |point| Some(point.step));
            chart.x_label = "step".to_owned();
            html += &chart.html(&format!("steps-{index}"));
            let times = of()
                .flat_map(|track| &track.points)
                .map(|point| point.seconds);
            let seconds: Option<Vec<f64>> = times.collect();
            let Some(seconds) = seconds.filter(|seconds| !seconds.is_empty()) else {
                continue;
            };
            let longest = seconds.into_iter().filter(|time| time.is_finite());
            let (unit, length) = time_unit(longest.fold(0.0, f64::max));
            let mut chart = self.track(standing, name, axis, |point| Some(point.seconds? / length));
            chart.title += ", against time";
            chart.x_label = format!("{unit} of training");
            chart.note += " As far as all seeds go.";
            // The means end at other steps than over there: two last values would confuse.
            chart.legend.iter_mut().for_each(|entry| entry.last = None);
            html += &chart.html(&format!("time-{index}"));
        }
        match html.as_str() {
            "" => html,
            _ => format!("<div class=\"charts\">\n{html}</div>\n"),
        }
    }

    /// One bold line for the mean of an arm, one thin line a seed; of arms without a colour the mean alone, thin.
    fn track(
        &self,
        standing: &Standing,
        name: &str,
        axis: Axis,
        x: impl Fn(&Point) -> Option<f64>,
    ) -> Chart {
        let points = |track: &Track| -> Points {
            let points = track.points.iter();
            let points: Points = points
                .filter_map(|point| Some((x(point)?, point.value)))
                .collect();
            ordered(&points)
        };
        let of_arm = |ranked: &super::standing::Ranked| -> Vec<(u64, Points)> {
            let runs = ranked.arm.runs.iter();
            let tracks = runs.flat_map(|run| run.tracks.iter().map(move |track| (run.seed, track)));
            let tracks = tracks.filter(|(_, track)| track.name == name);
            tracks.map(|(seed, track)| (seed, points(track))).collect()
        };
        let arms: Vec<_> = standing
            .all()
            .map(|(place, ranked)| (place, ranked, of_arm(ranked)))
            .collect();
        // All arms are smoothed or none is: their lines must be alike to be compared.
        let seeds = || arms.iter().flat_map(|(_, _, seeds)| seeds);
        let noisy = seeds().filter(|(_, points)| is_noisy(points));
        let window = noisy.map(|(_, points)| window(points.len())).max();
        let most = (POINTS / seeds().count().max(1)).clamp(40, 400);
        let (mut thin, mut bold, mut legend) = (Vec::new(), Vec::new(), Vec::new());
        for (place, ranked, seeds) in arms {
            let colour = standing.colour(place);
            let smooth = |points: &Points| {
                window.map_or_else(|| points.clone(), |window| smoothed(points, window))
            };
            let lines: Vec<Points> = seeds.iter().map(|(_, points)| smooth(points)).collect();
            let mean = mean_line(&lines);
            let line = |weight, name, points: &Points| Line {
                colour,
                weight,
                name,
                points: thinned_to(points, most),
            };
            let label = &ranked.arm.label;
            let mean_name = format!("{label}, mean of {} seeds", lines.len());
            let Some(_) = colour else {
                thin.push(line(Weight::Thin, mean_name, &mean));
                continue;
            };
            for ((seed, _), points) in seeds.iter().zip(&lines) {
                thin.push(line(Weight::Thin, format!("{label}, seed {seed}"), points));
            }
            legend.push(Entry {
                colour,
                label: label.clone(),
                last: mean.last().map(|point| point.1),
            });
            bold.push(line(Weight::Bold, mean_name, &mean));
        }
        // The grey ones go behind all others, and the best comes before all others.
        thin.sort_by_key(|line| line.colour.is_some());
        bold.reverse();
        thin.append(&mut bold);
        legend.extend(rest(standing));
        let mut note =
            "Thin: each seed. Bold: their mean, its last value in the legend.".to_owned();
        if standing.grey() > 0 {
            note = "The best arms in colour, thin each seed and bold their mean; of the others the mean, grey.".to_owned();
        }
        if let Some(window) = window {
            note += &format!(" All lines are centred moving means over {window} points.");
        }
        Chart {
            title: name.to_owned(),
            x_label: String::new(),
            x_axis: Axis::Linear,
            axis,
            legend,
            lines: thin,
            note,
        }
    }
}

/// The unit to show times up to `seconds` in, and its length in seconds.
pub(super) fn time_unit(seconds: f64) -> (&'static str, f64) {
    match seconds {
        _ if seconds >= 3.0 * 3600.0 => ("hours", 3600.0),
        _ if seconds >= 5.0 * 60.0 => ("minutes", 60.0),
        _ => ("seconds", 1.0),
    }
}
