//! Who stands where: the order of the arms, and what the tests say of two of them.

use super::super::number;
use super::{Arm, ArmRun, CompareReport};
use crate::statistics::{Pair, Summary};
use std::cell::OnceCell;
use std::collections::HashMap;

/// As many arms can be told apart by the colour of a line.
const COLOURS: usize = 7;
/// As many letters can stand behind a name.
const LETTERS: usize = 4;

/// The arms in order, and the tests between them from either side.
pub(super) struct Standing<'a> {
    pub(super) report: &'a CompareReport,
    /// The arms that have a mean, the best first.
    pub(super) ranked: Vec<Ranked<'a>>,
    /// The others, in the order of the report: an arm with a diverged seed has no mean.
    pub(super) unranked: Vec<Ranked<'a>>,
    pairs: HashMap<(usize, usize), &'a Pair>,
    /// See [`Self::least_difference`].
    least: OnceCell<Option<f64>>,
}

/// One arm with its place.
pub(super) struct Ranked<'a> {
    /// Its index in the report.
    pub(super) index: usize,
    pub(super) arm: &'a Arm,
    /// The metric of the comparison.
    pub(super) summary: Summary,
    /// Arms that share a letter cannot be told apart.
    pub(super) letters: &'a str,
    /// Interval of the mean over seeds, by Student's t.
    pub(super) interval: Option<(f64, f64)>,
}

/// The difference of two arms, seen from the first.
pub(super) struct Contrast<'a> {
    /// In the units of the metric; positive if the first has the larger value.
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// p after the correction for all pairs.
    pub(super) holm: Option<f64>,
    /// Whether the difference holds after that correction.
    pub(super) holds: bool,
    /// Whether the first arm is the better one by the mean.
    pub(super) better: bool,
    /// −1 if the pair was tested the other way round.
    sign: f64,
    pub(super) pair: &'a Pair,
}

impl<'a> Standing<'a> {
    pub(super) fn of(report: &'a CompareReport) -> Self {
        let letters: HashMap<usize, &str> = report
            .study
            .ranking
            .iter()
            .filter_map(|rank| Some((rank.arm, rank.letters.as_deref()?)))
            .collect();
        let arm = |(index, arm): (usize, &'a Arm)| {
            let summary = report.summary(arm, &report.metric.key);
            Ranked {
                index,
                arm,
                interval: summary.interval(report.study.level),
                summary,
                letters: letters.get(&index).copied().unwrap_or_default(),
            }
        };
        let arms = report.arms.iter().enumerate().map(arm);
        let (mut ranked, unranked): (Vec<_>, Vec<_>) =
            arms.partition(|arm| arm.summary.mean.is_some());
        // Arms of equal means stay in the order of the report.
        ranked.sort_by(|left, right| {
            let order = left.mean().total_cmp(&right.mean());
            if report.metric.less_is_better {
                order
            } else {
                order.reverse()
            }
        });
        let pairs = report.study.pairs.iter();
        Self {
            report,
            ranked,
            unranked,
            pairs: pairs.map(|pair| ((pair.a, pair.b), pair)).collect(),
            least: OnceCell::new(),
        }
    }

    /// Every arm, those with a mean first, with its place from 0.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Ranked<'a>)> {
        self.ranked.iter().chain(&self.unranked).enumerate()
    }

    /// The colour of the arm at a place: if there are more arms than colours, only the best have one.
    pub(super) fn colour(&self, place: usize) -> Option<usize> {
        let arms = self.report.arms.len();
        // One colour less if some are grey, for the last one is nearly so.
        (arms <= COLOURS || place < COLOURS - 1).then_some(place)
    }

    /// How many arms have no colour.
    pub(super) fn grey(&self) -> usize {
        let places = 0..self.report.arms.len();
        places.filter(|&place| self.colour(place).is_none()).count()
    }

    /// The place of an arm by its index in the report.
    pub(super) fn place(&self, index: usize) -> Option<usize> {
        let found = self.all().find(|(_, arm)| arm.index == index);
        found.map(|(place, _)| place)
    }

    /// The difference of two arms, by their index in the report; `None` where there is no test.
    pub(super) fn contrast(&self, first: usize, second: usize) -> Option<Contrast<'a>> {
        let straight = self.pairs.get(&(first, second));
        let (pair, sign) = match straight {
            Some(pair) => (*pair, 1.0),
            None => (*self.pairs.get(&(second, first))?, -1.0),
        };
        let difference = pair.difference.as_ref()?;
        let ends = (sign * difference.low, sign * difference.high);
        let value = sign * difference.value;
        if ![value, ends.0, ends.1].iter().all(|end| end.is_finite()) {
            return None;
        }
        let metric = &self.report.metric;
        Some(Contrast {
            value,
            low: ends.0.min(ends.1),
            high: ends.0.max(ends.1),
            holm: pair.holm,
            holds: value != 0.0 && pair.holm.is_some_and(|p| p < self.report.alpha()),
            sign,
            better: if metric.less_is_better {
                value < 0.0
            } else {
                value > 0.0
            },
            pair,
        })
    }

    /// Number of pairs that were tested, and of those whose difference holds.
    pub(super) fn tested(&self) -> (usize, usize) {
        let contrasts = self.report.study.pairs.iter();
        let contrasts = contrasts.filter_map(|pair| self.contrast(pair.a, pair.b));
        contrasts.fold((0, 0), |(tested, hold), contrast| {
            (tested + 1, hold + usize::from(contrast.holds))
        })
    }

    /// The letters of an arm, to stand behind its name; none where the groups are too tangled to be read there.
    pub(super) fn letters(&self, ranked: &Ranked<'a>) -> &'a str {
        let longest = self
            .ranked
            .iter()
            .map(|ranked| ranked.letters.chars().count())
            .max();
        if longest.is_some_and(|longest| longest <= LETTERS) {
            ranked.letters
        } else {
            ""
        }
    }

    /// Whether an arm is the best or cannot be told from it, where some other arm can.
    pub(super) fn is_tied(&self, ranked: &Ranked) -> bool {
        let Some(best) = self.ranked.first() else {
            return false;
        };
        let beaten = |other: &Ranked| {
            self.contrast(best.index, other.index)
                .is_some_and(|found| found.holds)
        };
        ranked.summary.mean.is_some() && !beaten(ranked) && self.ranked.iter().any(beaten)
    }

    /// How many seeds each arm in the ranking has, if all have as many.
    pub(super) fn seeds(&self) -> Option<usize> {
        let mut counts = self.ranked.iter().map(|ranked| ranked.summary.values.len());
        let first = counts.next()?;
        counts.all(|count| count == first).then_some(first)
    }

    /// The least difference of two arms that is seen with a chance of 80%, if all pairs are corrected for. It is
    /// solved for once: that takes milliseconds.
    pub(super) fn least_difference(&self) -> Option<f64> {
        *self.least.get_or_init(|| {
            let power = self.report.study.power.as_ref()?;
            let present = power.detectable.iter().find(|one| one.present)?;
            self.report.detectable(self, present)
        })
    }

    /// Every run of every arm.
    pub(super) fn runs(&self) -> impl Iterator<Item = &'a ArmRun> {
        self.report.arms.iter().flat_map(|arm| &arm.runs)
    }
}

impl Contrast<'_> {
    /// Hedges' g and its interval, as text.
    pub(super) fn effect(&self) -> Option<String> {
        let effect = self.pair.hedges_g.as_ref()?;
        let (low, high) = (self.sign * effect.low, self.sign * effect.high);
        Some(format!(
            "{} [{}, {}]",
            number::signed(self.sign * effect.value, 2),
            number::signed(low.min(high), 2),
            number::signed(low.max(high), 2)
        ))
    }
}

impl CompareReport {
    /// The level that p-values are held against.
    pub(super) fn alpha(&self) -> f64 {
        1.0 - self.study.level
    }
}

impl Ranked<'_> {
    /// The mean; NaN for an arm that has none.
    pub(super) fn mean(&self) -> f64 {
        self.summary.mean.unwrap_or(f64::NAN)
    }
}

/// The names of `of` over all runs, each once, in the order they appear in.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}
