//! What an arm brings to a comparison, and the parts its variance is made of.

use super::{mean, standard_deviation};

/// What spreads less than this share of the largest value spreads by rounding alone.
const ROUNDING: f64 = 1e-12;

/// The scores of one arm: everything the same but the seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// What was varied, such as `late`.
    pub label: String,
    /// The seed of each run.
    pub seeds: Vec<u64>,
    /// The score of each run.
    pub means: Vec<f64>,
    /// The score of each run on each test item, `[seed][item]`, with the items in the same order in every arm; the
    /// score of a run is the mean of its row. `None` for a metric that is no mean over items, such as Recall@5.
    ///
    /// Items count as drawn one by one; where several share a picture, see [`by_picture`](Self::by_picture).
    pub items: Option<Vec<Vec<f32>>>,
}

impl Sample {
    /// Whether every run has a finite score and, where there are items, a finite one on each of them. What is not
    /// sound is not tested: a seed that diverged is a result, and a test of the others would flatter the arm.
    pub fn is_sound(&self) -> bool {
        let runs = self.seeds.len();
        let rows = self.items.as_deref();
        let width = self.item_count();
        runs > 0
            && self.means.len() == runs
            && mean(&self.means).is_some()
            && rows.is_none_or(|rows| {
                rows.len() == runs
                    && rows.iter().all(|row| {
                        Some(row.len()) == width && row.iter().all(|score| score.is_finite())
                    })
            })
    }

    /// The same with one score for each picture, of which `pictures` says which an item is about: what is drawn is the
    /// picture with all of its questions. A picture's score is its sum over the items of an average picture, so that
    /// the mean is still that over items (a cluster sample by its totals, Cochran 1977, *Sampling Techniques*,
    /// chapter 9A).
    pub fn by_picture(&self, pictures: &[u32]) -> Self {
        let count = pictures.iter().max().map_or(0, |last| *last as usize + 1);
        let size = pictures.len() as f32 / count.max(1) as f32;
        let summed = |row: &Vec<f32>| {
            let mut sums = vec![0.0; count];
            for (score, picture) in row.iter().zip(pictures) {
                sums[*picture as usize] += score / size;
            }
            sums
        };
        let rows = self.items.as_ref();
        Self {
            items: rows.map(|rows| rows.iter().map(summed).collect()),
            ..self.clone()
        }
    }

    /// How many items each run was asked; `None` without items.
    pub fn item_count(&self) -> Option<usize> {
        Some(self.items.as_ref()?.first()?.len())
    }
}

/// What the spread of one arm's scores comes from, in the model of two crossed random effects: the score of a seed
/// on an item is the arm's mean, plus what the seed adds on all items, plus what the item adds for all seeds, plus
/// a residual of both (Searle, Casella and McCulloch 1992, *Variance Components*, section 4.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// How many seeds.
    pub seeds: usize,
    /// Mean over seeds.
    pub mean: f64,
    /// Sample variance of the seeds' scores, residual of their items included; `None` for one seed.
    pub between_seeds: Option<f64>,
    /// `None` without items, or with fewer than two seeds or items.
    pub items: Option<ItemComponents>,
}

/// The part of [`Components`] that is known where the items are.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemComponents {
    /// Mean over seeds of each item.
    pub means: Vec<f64>,
    /// Residual mean square of seed x item.
    pub residual: f64,
}

impl Components {
    /// `None` for a sample that is not [sound](Sample::is_sound).
    pub fn of(sample: &Sample) -> Option<Self> {
        if !sample.is_sound() {
            return None;
        }
        let largest = sample.means.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        let between_seeds = standard_deviation(&sample.means)
            .map(|deviation| without_rounding(deviation, largest).powi(2));
        Some(Self {
            seeds: sample.means.len(),
            mean: mean(&sample.means)?,
            between_seeds,
            items: sample.items.as_deref().and_then(ItemComponents::of),
        })
    }
}

impl ItemComponents {
    /// `rows` are `[seed][item]`, of equal length.
    fn of(rows: &[Vec<f32>]) -> Option<Self> {
        let (seeds, items) = (rows.len(), rows.first()?.len());
        if seeds < 2 || items < 2 {
            return None;
        }
        let mut means = vec![0.0; items];
        for row in rows {
            for (sum, &score) in means.iter_mut().zip(row) {
                *sum += f64::from(score);
            }
        }
        means.iter_mut().for_each(|sum| *sum /= seeds as f64);
        let grand = mean(&means)?;
        let mut squares = 0.0;
        for row in rows {
            let seed = row.iter().map(|&score| f64::from(score)).sum::<f64>() / items as f64;
            for (item, &score) in means.iter().zip(row) {
                squares += (f64::from(score) - seed - item + grand).powi(2);
            }
        }
        let residual = squares / ((seeds - 1) * (items - 1)) as f64;
        residual.is_finite().then_some(Self { means, residual })
    }
}

/// `value`, or nothing where it is what rounding leaves of numbers as large as `largest`.
pub(super) fn without_rounding(value: f64, largest: f64) -> f64 {
    if value.abs() <= ROUNDING * largest {
        0.0
    } else {
        value
    }
}
