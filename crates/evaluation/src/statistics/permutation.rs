//! The permutation test over runs: how often does chance part them as far.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// As many splits as are gone through one by one, and as many as are drawn where there are more.
pub const MAX_SPLITS: usize = 20_000;

/// Differences this close, relative to the largest value, are ties.
const TIE: f64 = 1e-12;

/// The permutation test of two arms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Permutation {
    /// Two-sided p value of all runs being of one kind.
    pub p: f64,
    /// The least `p` that this number of runs can give: 0.1 for 3 and 3.
    pub least_p: f64,
    /// How many splits were seen.
    pub splits: usize,
    /// Whether they were all there are.
    pub exact: bool,
}

impl Permutation {
    /// Splits the runs of both arms anew, and counts the splits whose means differ by as much as those of the arms
    /// (Fisher 1935, *The Design of Experiments*, section 21): all splits, or [`MAX_SPLITS`] drawn with `seed` and
    /// the arms' own counted with them, so that `p` is never 0 (Phipson and Smyth 2010,
    /// <https://doi.org/10.2202/1544-6115.1585>).
    ///
    /// It assumes no distribution, but that without a difference all runs would be exchangeable: arms of equal mean
    /// and unequal spread are not, where they have unequal numbers of seeds. It knows of no items, so it speaks of
    /// strategies on these items: where they are few, it finds differences that new ones would not show.
    ///
    /// `None` when an arm has no run, both have one, or a value is not finite.
    pub fn of(a: &[f64], b: &[f64], seed: u64) -> Option<Self> {
        let runs: Vec<f64> = a.iter().chain(b).copied().collect();
        let largest = runs.iter().fold(0.0, |most: f64, run| most.max(run.abs()));
        let total: f64 = runs.iter().sum();
        if a.is_empty() || b.is_empty() || runs.len() < 3 || !total.is_finite() {
            return None;
        }
        let (size, others) = (a.len() as f64, b.len() as f64);
        let distance = |sum: f64| (sum / size - (total - sum) / others).abs();
        let seen = distance(a.iter().sum()) - TIE * largest;
        let as_far = |sum: f64| distance(sum) >= seen;
        // With equal numbers each split has a mirror image that is as far apart.
        let alike = if a.len() == b.len() { 2.0 } else { 1.0 };
        Some(match binomial(runs.len(), a.len()) {
            Some(splits) => {
                let hits = count_all(&runs, a.len(), as_far);
                Self {
                    p: hits as f64 / splits as f64,
                    least_p: alike / splits as f64,
                    splits,
                    exact: true,
                }
            }
            None => {
                let hits = count_drawn(runs, a.len(), as_far, seed);
                let share = |hits: usize| (hits + 1) as f64 / (MAX_SPLITS + 1) as f64;
                Self {
                    p: share(hits),
                    least_p: share(0),
                    splits: MAX_SPLITS,
                    exact: false,
                }
            }
        })
    }
}

/// The number of ways to choose `size` of `count`, where it is at most [`MAX_SPLITS`].
fn binomial(count: usize, size: usize) -> Option<usize> {
    let mut ways = 1;
    for step in 0..size.min(count - size) {
        ways = ways * (count - step) / (step + 1);
        if ways > MAX_SPLITS {
            return None;
        }
    }
    Some(ways)
}

/// How many of all choices of `size` runs have a sum that is `as_far`.
fn count_all(runs: &[f64], size: usize, as_far: impl Fn(f64) -> bool) -> usize {
    let mut chosen: Vec<usize> = (0..size).collect();
    let mut hits = 0;
    loop {
        let sum = chosen.iter().map(|&index| runs[index]).sum();
        hits += usize::from(as_far(sum));
        // The next choice in lexicographic order: the last index that can still grow does.
        let last = |place: usize| runs.len() - size + place;
        let Some(place) = (0..size).rev().find(|&place| chosen[place] < last(place)) else {
            return hits;
        };
        chosen[place] += 1;
        for next in place + 1..size {
            chosen[next] = chosen[next - 1] + 1;
        }
    }
}

/// How many of [`MAX_SPLITS`] random choices of `size` runs have a sum that is `as_far`.
fn count_drawn(mut runs: Vec<f64>, size: usize, as_far: impl Fn(f64) -> bool, seed: u64) -> usize {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || {
        for place in 0..size {
            let other = random.random_range(place..runs.len());
            runs.swap(place, other);
        }
        runs[..size].iter().sum()
    };
    (0..MAX_SPLITS).filter(|_| as_far(draw())).count()
}
