//! What the findings mean for who has to choose: what the arms cost, and whether their budgets were equal.

use super::Findings;
use super::voice::Voice;
use crate::report::compare::CompareReport;
use crate::report::compare::ranking::level;
use crate::report::compare::standing::{Ranked, Standing};
use crate::report::compare::summary::over_runs;
use crate::report::number;
use crate::statistics::Summary;

/// Costs that differ by less than this share count as equal.
const EQUAL: f64 = 0.05;

impl CompareReport {
    /// What that means for who has to choose.
    pub(super) fn choice(&self, findings: &Findings, voice: Voice) -> Option<String> {
        if findings.tied.is_empty() && findings.beaten.is_empty() {
            return None;
        }
        let best = findings.best;
        let candidates: Vec<&Ranked> = std::iter::once(best)
            .chain(findings.tied.iter().copied())
            .collect();
        let (cost, costs, unit) = COSTS.iter().find_map(|(cost, unit)| {
            let costs: Option<Vec<f64>> = candidates.iter().map(|ranked| cost(ranked)).collect();
            costs.map(|costs| (cost, costs, *unit))
        })?;
        let first = costs.first().copied()?;
        let (cheapest, least) = candidates
            .iter()
            .zip(&costs)
            .min_by(|left, right| left.1.total_cmp(right.1))?;
        let name = voice.name(best);
        let choice = if candidates.len() == 1 {
            format!("To choose: {name}, at {}.", unit.say(first))
        } else if *least > (1.0 - EQUAL) * first {
            format!(
                "To choose: {name}, at {}; none of those that cannot be told apart from it is more than {} cheaper.",
                unit.say(first),
                level(EQUAL)
            )
        } else {
            let behind = (best.mean() - cheapest.mean()).abs();
            let behind = match behind > 0.0 {
                true => format!(
                    ", but it came out {} {}: not to be told apart is no proof of being as good",
                    self.metric.axis.amount(behind),
                    if self.metric.less_is_better {
                        "higher"
                    } else {
                        "lower"
                    }
                ),
                false => String::new(),
            };
            format!(
                "To choose: the cheapest of those that cannot be told apart from the best is {}, at {} against {} for \
                 {name}{behind}.",
                voice.name(cheapest),
                unit.say(*least),
                unit.amount(first),
            )
        };
        Some(choice + &self.cheaper(findings, (*cost, unit), *least, voice))
    }

    /// A beaten arm that costs less than all that are worth choosing, and how far it is behind.
    fn cheaper(
        &self,
        findings: &Findings,
        (cost, unit): (Cost, Unit),
        least: f64,
        voice: Voice,
    ) -> String {
        let costs = findings
            .beaten
            .iter()
            .filter_map(|ranked| Some((ranked, cost(ranked)?)));
        let found = costs.min_by(|left, right| left.1.total_cmp(&right.1));
        let Some((ranked, price)) = found.filter(|(_, price)| *price < (1.0 - EQUAL) * least)
        else {
            return String::new();
        };
        format!(
            " Cheaper still is {}, at {}, but it is {} behind.",
            voice.name(ranked),
            unit.amount(price),
            self.metric
                .axis
                .amount(findings.best.mean() - ranked.mean())
        )
    }

    /// Whether the arms were given equal budgets.
    pub(super) fn budgets(&self, standing: &Standing, voice: Voice) -> Option<String> {
        if let Some(budget) = &self.budget {
            return Some(voice.text(budget));
        }
        let parameters = |ranked: &Ranked| ranked.arm.parameters.map(|count| count as f64);
        let uneven = |cost: &dyn Fn(&Ranked) -> Option<f64>| {
            let costs = Summary::of(standing.ranked.iter().filter_map(cost).collect());
            let ends = costs.min.zip(costs.max);
            ends.filter(|(low, high)| *low < (1.0 - EQUAL) * high)
        };
        let flops = |ranked: &Ranked| ranked.arm.flops;
        let (unit, (low, high)) = match (uneven(&flops), uneven(&parameters)) {
            (Some(ends), _) => (Unit::Flops, ends),
            (None, Some(ends)) => (Unit::Parameters, ends),
            (None, None) => return None,
        };
        Some(format!(
            "The arms were not given equal budgets (from {} to {}), so part of a difference may be size.",
            unit.amount(low),
            unit.say(high),
        ))
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Flops,
    Seconds,
    Parameters,
}

impl Unit {
    fn say(self, value: f64) -> String {
        match self {
            Self::Flops => format!("{} a forward pass", self.amount(value)),
            Self::Seconds => format!("{} of training", self.amount(value)),
            Self::Parameters => format!("{} parameters", self.amount(value)),
        }
    }

    /// As [`Self::say`], without what it is.
    fn amount(self, value: f64) -> String {
        match self {
            Self::Flops => number::flops(value),
            Self::Seconds => number::duration(value),
            Self::Parameters => number::count(value as u64),
        }
    }
}

/// What an arm costs, if it is known.
type Cost = fn(&Ranked) -> Option<f64>;

/// The kinds of cost, the most telling first.
const COSTS: [(Cost, Unit); 3] = [
    (
        |ranked| ranked.arm.flops.filter(|value| value.is_finite()),
        Unit::Flops,
    ),
    (
        |ranked| over_runs(ranked.arm, |run| run.seconds)?.mean,
        Unit::Seconds,
    ),
    (
        |ranked| ranked.arm.parameters.map(|count| count as f64),
        Unit::Parameters,
    ),
];
