//! Tables to go on with elsewhere: one line a run, one line a pair (RFC 4180).

use super::attribution::Attribution;
use super::standing::{Standing, names};
use super::{Arm, ArmRun, CompareReport};
use crate::statistics::Estimate;

impl CompareReport {
    /// One line a run, with the names of the columns first: arm, seed, costs, metrics, calibration, groups, probes.
    /// Numbers have all their digits; what is not known or not finite is empty.
    pub fn csv(&self) -> String {
        let runs = || self.arms.iter().flat_map(|arm| &arm.runs);
        let groups = names(
            runs()
                .flat_map(|run| &run.groups)
                .map(|group| group.name.as_str()),
        );
        let probes: Vec<String> = runs()
            .flat_map(|run| &run.probes)
            .map(|probe| format!("{} {}", probe.name, probe.level))
            .collect();
        let probes = names(probes.iter().map(String::as_str));
        let mut header: Vec<String> = COLUMNS.iter().map(|(name, _)| text(name)).collect();
        header.splice(
            0..0,
            ["arm".to_owned(), "seed".to_owned(), "digest".to_owned()],
        );
        header.extend(self.metrics().map(|metric| text(&metric.key)));
        header.extend(groups.iter().map(|group| text(&format!("group: {group}"))));
        header.extend(probes.iter().map(|probe| text(&format!("probe: {probe}"))));
        header.push("command".to_owned());
        let line = |arm: &Arm, index: usize, run: &ArmRun| {
            let mut cells = vec![text(&arm.label), run.seed.to_string(), text(&run.digest)];
            cells.extend(COLUMNS.iter().map(|(_, value)| number(value(arm, run))));
            cells.extend(
                self.metrics()
                    .map(|metric| number(run.test.get(&metric.key).copied())),
            );
            cells.extend(groups.iter().map(|name| {
                let group = run.groups.iter().find(|group| group.name == *name);
                number(group.and_then(|group| group.tally.accuracy()))
            }));
            cells.extend(probes.iter().map(|name| {
                let mut found = run.probes.iter();
                let probe = found.find(|probe| format!("{} {}", probe.name, probe.level) == *name);
                number(probe.map(|probe| probe.accuracy))
            }));
            cells.push(text(arm.commands.get(index).map_or("", String::as_str)));
            cells
        };
        let lines = self.arms.iter().flat_map(|arm| {
            let runs = arm.runs.iter().enumerate();
            runs.map(move |(index, run)| line(arm, index, run))
        });
        joined(std::iter::once(header).chain(lines))
    }

    /// One line a pair of arms with every test of it, the names of the columns first.
    pub fn pairs_csv(&self) -> String {
        let header = [
            "a",
            "b",
            "difference",
            "standard_error",
            "df",
            "low",
            "high",
            "p",
            "p_holm",
            "holds",
            "bootstrap_standard_error",
            "bootstrap_low",
            "bootstrap_high",
            "p_bootstrap",
            "p_mcnemar",
            "p_permutation",
            "least_p_permutation",
            "hedges_g",
            "hedges_g_low",
            "hedges_g_high",
        ];
        let standing = Standing::of(self);
        let label = |index: usize| text(self.arms.get(index).map_or("", |arm| arm.label.as_str()));
        let line = |pair: &crate::statistics::Pair| {
            let estimate =
                |of: &Option<Estimate>, value: fn(&Estimate) -> f64| number(of.as_ref().map(value));
            let contrast = standing.contrast(pair.a, pair.b);
            let holds = contrast.as_ref().map(|contrast| contrast.holds.to_string());
            let effect = pair.hedges_g.as_ref();
            vec![
                label(pair.a),
                label(pair.b),
                estimate(&pair.difference, |of| of.value),
                estimate(&pair.difference, |of| of.standard_error),
                estimate(&pair.difference, |of| of.df),
                estimate(&pair.difference, |of| of.low),
                estimate(&pair.difference, |of| of.high),
                estimate(&pair.difference, |of| of.p),
                number(pair.holm),
                holds.unwrap_or_default(),
                estimate(&pair.bootstrap, |of| of.standard_error),
                estimate(&pair.bootstrap, |of| of.low),
                estimate(&pair.bootstrap, |of| of.high),
                estimate(&pair.bootstrap, |of| of.p),
                number(pair.mcnemar.as_ref().map(|test| test.p)),
                number(pair.permutation.as_ref().map(|test| test.p)),
                number(pair.permutation.as_ref().map(|test| test.least_p)),
                number(effect.map(|effect| effect.value)),
                number(effect.map(|effect| effect.low)),
                number(effect.map(|effect| effect.high)),
            ]
        };
        let header = header.map(str::to_owned).to_vec();
        joined(std::iter::once(header).chain(self.study.pairs.iter().map(line)))
    }
}

/// A number of a run, such as its cost.
type Value = fn(&Arm, &ArmRun) -> Option<f64>;

/// The columns of numbers that every recipe has.
const COLUMNS: [(&str, Value); 11] = [
    ("parameters", |arm, _| {
        arm.parameters.map(|count| count as f64)
    }),
    ("flops", |arm, _| arm.flops),
    ("seconds", |_, run| run.seconds),
    ("samples_per_second", |_, run| run.samples_per_second),
    ("peak_bytes", |_, run| {
        run.peak_bytes.map(|bytes| bytes as f64)
    }),
    ("ece", |_, run| run.calibration.as_ref().map(|of| of.ece)),
    ("brier", |_, run| {
        run.calibration.as_ref().map(|of| of.brier)
    }),
    ("image_weight", |_, run| run.image_weight),
    ("shapley_image", |_, run| {
        Attribution::of(run).map(|of| of.image)
    }),
    ("shapley_question", |_, run| {
        Attribution::of(run).map(|of| of.question)
    }),
    ("interaction", |_, run| {
        Attribution::of(run).map(|of| of.interaction)
    }),
];

fn number(value: Option<f64>) -> String {
    let finite = value.filter(|value| value.is_finite());
    finite.map_or_else(String::new, |value| value.to_string())
}

/// A cell of text. A spreadsheet would run one that begins like a formula: an apostrophe before it prevents that.
fn text(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

fn joined(lines: impl Iterator<Item = Vec<String>>) -> String {
    lines.map(|line| line.join(",") + "\r\n").collect()
}
