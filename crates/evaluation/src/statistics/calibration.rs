//! Whether a model is right as often as it says.

use serde::Serialize;

/// Bins of equal width that confidences fall into, as in Guo et al.
pub const BINS: usize = 15;

/// The calibration of the first choices of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error: the gap between confidence and accuracy of each bin, averaged over items
    /// (Guo et al. 2017, <https://arxiv.org/abs/1706.04599>, equation 3).
    pub ece: f64,
    /// Brier score of the first choice, `mean((confidence - right)^2)` (Brier 1950).
    pub brier: f64,
    /// What a reliability diagram shows: [`BINS`] bins, the lowest confidence first.
    pub bins: Vec<Bin>,
}

/// The items of one range of confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Confidences in it are greater (or zero).
    pub low: f64,
    /// Confidences in it are at most this.
    pub high: f64,
    /// How many items.
    pub count: usize,
    /// Their mean confidence; `None` for no items.
    pub confidence: Option<f64>,
    /// The share of them that is right; `None` for no items.
    pub accuracy: Option<f64>,
}

impl Calibration {
    /// Measures `(confidence, right)` of each item; `None` for no items, or a confidence that is no probability.
    pub fn of(items: &[(f64, bool)]) -> Option<Self> {
        let probable = |&(confidence, _): &(f64, bool)| (0.0..=1.0).contains(&confidence);
        if items.is_empty() || !items.iter().all(probable) {
            return None;
        }
        let edge = |index: usize| index as f64 / BINS as f64;
        let mut sums = [(0_usize, 0.0, 0.0); BINS];
        let mut squares = 0.0;
        for &(confidence, right) in items {
            let right = f64::from(u8::from(right));
            let bin = (1..BINS)
                .take_while(|&index| confidence > edge(index))
                .count();
            let (count, confidences, rights) = &mut sums[bin];
            *count += 1;
            *confidences += confidence;
            *rights += right;
            squares += (confidence - right).powi(2);
        }
        let total = items.len() as f64;
        let gaps: f64 = sums
            .iter()
            .map(|(_, confidences, rights)| f64::abs(confidences - rights))
            .sum();
        let bin = |(index, &(count, confidences, rights)): (usize, &(usize, f64, f64))| {
            let share = |sum: f64| (count > 0).then(|| sum / count as f64);
            Bin {
                low: edge(index),
                high: edge(index + 1),
                count,
                confidence: share(confidences),
                accuracy: share(rights),
            }
        };
        Some(Self {
            ece: gaps / total,
            brier: squares / total,
            bins: sums.iter().enumerate().map(bin).collect(),
        })
    }
}
