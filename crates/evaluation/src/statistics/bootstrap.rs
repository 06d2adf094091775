//! The hierarchical bootstrap: seeds and items drawn again.

use super::Sample;
use super::difference::{Estimate, seed_part, value};
use super::sample::Components;
use super::standard_deviation;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Replicates that are computed at once: their sums lie side by side, where the compiler makes vectors of them.
const LANES: usize = 16;

/// The means of several arms in each replicate of a bootstrap.
///
/// A replicate draws the items once, for all arms (they were asked the same ones), and the seeds of each arm by
/// themselves: the pigeonhole bootstrap of Owen 2007, <https://doi.org/10.1214/07-AOAS122>, of crossed random
/// effects. It draws `n - 1` of `n` (Rao and Wu 1988, <https://doi.org/10.1080/01621459.1988.10478591>), seeds as
/// well as items: with `n` of `n` the variance over 3 seeds would come out a third too small. What a seed does on
/// single items counts with the seeds, with the items and with both, so that the spread is at most too large, by
/// twice `MSE / (n m)` an arm.
#[derive(Clone, Debug)]
pub struct Replicates {
    /// `[arm][replicate]`; `None` for an arm without items, with one seed, or with items unlike those of the first.
    means: Vec<Option<Vec<f64>>>,
}

impl Replicates {
    /// Draws `count` replicates.
    pub fn draw(samples: &[Sample], count: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut rows: Vec<Option<&[Vec<f32>]>> = samples.iter().map(usable_rows).collect();
        let width = |rows: &Option<&[Vec<f32>]>| rows.and_then(|rows| Some(rows.first()?.len()));
        let Some(items) = rows.iter().find_map(width) else {
            let means = vec![None; samples.len()];
            return Self { means };
        };
        for arm in &mut rows {
            *arm = arm.filter(|_| width(arm) == Some(items));
        }
        let mut means: Vec<Option<Vec<f64>>> = rows
            .iter()
            .map(|arm| arm.map(|_| Vec::with_capacity(count)))
            .collect();
        for first in (0..count).step_by(LANES) {
            let counts = item_counts(items, &mut random);
            for (arm, means) in rows.iter().zip(&mut means) {
                let (Some(arm), Some(means)) = (arm, means) else {
                    continue;
                };
                let sums: Vec<[f64; LANES]> =
                    arm.iter().map(|row| weighted_sums(row, &counts)).collect();
                let drawn = arm.len() - 1;
                means.extend((0..LANES.min(count - first)).map(|lane| {
                    let draw = |_| sums[random.random_range(0..arm.len())][lane];
                    (0..drawn).map(draw).sum::<f64>() / (drawn * (items - 1)) as f64
                }));
            }
        }
        Self { means }
    }

    /// The standard error of the difference of two arms, by their place among the samples; `None` where one of them
    /// could not be drawn.
    pub fn standard_error(&self, a: usize, b: usize) -> Option<f64> {
        let (a, b) = (self.means.get(a)?.as_ref()?, self.means.get(b)?.as_ref()?);
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        standard_deviation(&differences)
    }

    /// The difference of two arms, each by its place among the samples and its components, with the bootstrap's
    /// standard error. The degrees of freedom are those of [`difference`](super::difference()): drawing again makes
    /// no more seeds.
    pub fn difference(
        &self,
        (a, of_a): (usize, &Components),
        (b, of_b): (usize, &Components),
        level: f64,
    ) -> Option<Estimate> {
        let df = seed_part(of_a, of_b)?.df;
        Estimate::of(value(of_a, of_b), self.standard_error(a, b)?, df, level)
    }
}

/// The items of an arm that has enough of everything to be drawn from.
fn usable_rows(sample: &Sample) -> Option<&[Vec<f32>]> {
    let rows = sample.items.as_deref().filter(|_| sample.is_sound())?;
    (rows.len() >= 2 && sample.item_count()? >= 2).then_some(rows)
}

/// How often each item is drawn, `[item][lane]`.
fn item_counts(items: usize, random: &mut ChaCha8Rng) -> Vec<[f64; LANES]> {
    let mut counts = vec![[0.0; LANES]; items];
    for draw in 0..LANES * (items - 1) {
        counts[random.random_range(0..items)][draw % LANES] += 1.0;
    }
    counts
}

fn weighted_sums(row: &[f32], counts: &[[f64; LANES]]) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (&score, counts) in row.iter().zip(counts) {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += f64::from(score) * count;
        }
    }
    sums
}
