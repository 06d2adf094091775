//! Calibration: how often an answer given with some confidence is right (Guo et al. 2017,
//! <https://arxiv.org/abs/1706.04599>).

use super::super::chart::{colour, percent};
use super::super::number;
use super::super::page::{caption, escape};
use super::CompareReport;
use super::standing::{Ranked, Standing};
use super::summary::over_runs;
use crate::statistics::Calibration;

impl CompareReport {
    /// A small reliability diagram for each arm that was measured.
    pub(super) fn reliability(&self, standing: &Standing) -> String {
        let diagrams: String = standing
            .all()
            .filter_map(|(place, ranked)| diagram(standing, place, ranked))
            .collect();
        if diagrams.is_empty() {
            return String::new();
        }
        let note = "Across: the confidence of the answers; up: how many of them are right; both from 0 to 100%, all \
                    seeds together. On the diagonal confidence is worth what it says, below it the model is too sure \
                    of itself. The stronger a bar, the more answers it stands for. ECE, the expected calibration error, is the mean \
                    distance from the diagonal, and the Brier score the mean squared error of the confidence; both \
                    are means over seeds, less is better.";
        format!(
            "<figure class=\"many\">\n<ul class=\"reliability\">\n{diagrams}</ul>\n{}</figure>\n",
            caption(note)
        )
    }
}

fn diagram(standing: &Standing, place: usize, ranked: &Ranked) -> Option<String> {
    let runs = ranked.arm.runs.iter();
    let calibrations: Vec<&Calibration> = runs.filter_map(|run| run.calibration.as_ref()).collect();
    let ece = over_runs(ranked.arm, |run| Some(run.calibration.as_ref()?.ece))?.mean?;
    let brier = over_runs(ranked.arm, |run| Some(run.calibration.as_ref()?.brier))?.mean;
    let bars = bars(&pooled(&calibrations));
    let brier = brier.map_or_else(String::new, |brier| {
        format!(" · Brier {}", number::signed(brier, 3).replace('+', ""))
    });
    Some(format!(
        "<li class=\"{}\"><svg aria-hidden=\"true\">{bars}<line class=\"diagonal\" x1=\"0\" y1=\"100%\" x2=\"100%\" y2=\"0\"/></svg>\
         <p><span class=\"place\">{}</span> <b>{}</b></p><p><small>ECE {}{brier}</small></p></li>\n",
        colour(standing.colour(place)),
        place + 1,
        escape(&ranked.arm.label),
        number::percent(ece),
    ))
}

/// The answers of one range of confidence, over all seeds.
#[derive(Default)]
struct Pool {
    count: f64,
    confidence: f64,
    right: f64,
}

/// A bar for each range that has answers.
fn bars(pools: &[Pool]) -> String {
    let width = 1.0 / pools.len().max(1) as f64;
    let largest = pools.iter().map(|pool| pool.count).fold(0.0, f64::max);
    let all: f64 = pools.iter().map(|pool| pool.count).sum();
    let bar = |(index, pool): (usize, &Pool)| {
        if pool.count <= 0.0 {
            return String::new();
        }
        let right = (pool.right / pool.count).clamp(0.0, 1.0);
        format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"opacity:{:.2}\"><title>confidence {}, right {}, {} of the answers</title></rect>",
            percent(index as f64 * width),
            percent(1.0 - right),
            percent(width * 0.92),
            percent(right),
            0.25 + 0.75 * (pool.count / largest).sqrt(),
            number::percent(pool.confidence / pool.count),
            number::percent(right),
            number::percent(pool.count / all),
        )
    };
    pools.iter().enumerate().map(bar).collect()
}

/// The bins of several runs as one.
fn pooled(calibrations: &[&Calibration]) -> Vec<Pool> {
    let bins = calibrations.iter().map(|one| one.bins.len()).max();
    let mut pools: Vec<Pool> = (0..bins.unwrap_or(0)).map(|_| Pool::default()).collect();
    for calibration in calibrations {
        for (pool, bin) in pools.iter_mut().zip(&calibration.bins) {
            let (Some(confidence), Some(accuracy)) = (bin.confidence, bin.accuracy) else {
                continue;
            };
            if confidence.is_finite() && accuracy.is_finite() {
                pool.count += bin.count as f64;
                pool.confidence += bin.count as f64 * confidence;
                pool.right += bin.count as f64 * accuracy;
            }
        }
    }
    pools
}
