//! All tests of a comparison of several arms.

use super::bootstrap::Replicates;
use super::difference::{difference, item_part};
use super::sample::Components;
use super::{
    Design, EffectSize, Estimate, McNemar, Permutation, Sample, hedges_g, holm, letter_groups,
    letters, mean, standard_deviation,
};
use serde::Serialize;

/// The chance at which [`Sensitivity`] calls a difference one that would be seen.
pub const POWER: f64 = 0.8;

/// How a study is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Confidence level of the intervals; tests are judged at `1 - level`.
    pub level: f64,
    /// Replicates of the bootstrap.
    pub replicates: usize,
    /// Whether the best arm is the one with the least mean, as of a loss. Only the ranking depends on it.
    pub less_is_better: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: 0.95,
            replicates: 2_000,
            less_is_better: false,
        }
    }
}

/// A comparison of arms, tested.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Study {
    /// Confidence level of all intervals.
    pub level: f64,
    /// What counts as drawn at random.
    pub drawn: Drawn,
    /// The arms, in the order they came.
    pub arms: Vec<StudyArm>,
    /// Each two of the arms.
    pub pairs: Vec<Pair>,
    /// The arms, best first; diverged ones last.
    pub ranking: Vec<Rank>,
    /// What the study could have seen; `None` when no arm has two seeds, or nothing spreads.
    pub power: Option<Sensitivity>,
}

/// What a difference is to hold for beside those of the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Drawn {
    /// Other seeds.
    Seeds,
    /// Other seeds and other items.
    Items,
    /// Other seeds and other pictures, with all of their questions.
    Pictures,
}

/// One arm of a [`Study`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyArm {
    /// What was varied.
    pub label: String,
    /// The seed of each run.
    pub seeds: Vec<u64>,
    /// Mean over seeds; `None` where a seed diverged.
    pub mean: Option<f64>,
    /// Sample standard deviation over seeds; `None` for one seed, or where one diverged.
    pub standard_deviation: Option<f64>,
}

/// Two arms, by their place in [`Study::arms`], and every test of them. What cannot be tested is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The first arm.
    pub a: usize,
    /// The second arm.
    pub b: usize,
    /// The primary test, see [`difference`].
    pub difference: Option<Estimate>,
    /// The p value of `difference`, [corrected](holm) for the number of pairs.
    pub holm: Option<f64>,
    /// See [`Replicates`].
    pub bootstrap: Option<Estimate>,
    /// See [`McNemar::of`].
    pub mcnemar: Option<McNemar>,
    /// See [`Permutation::of`].
    pub permutation: Option<Permutation>,
    /// See [`hedges_g`].
    pub hedges_g: Option<EffectSize>,
}

/// An arm's place in the ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rank {
    /// Which arm.
    pub arm: usize,
    /// Its groups: arms that have a letter in common are not told apart at the level of the study, after Holm's
    /// correction. An arm of one seed is told from none. `None` where a seed diverged.
    pub letters: Option<String>,
}

/// The least difference of two arms that would be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The chance of it being seen, without correction for the number of pairs.
    pub power: f64,
    /// Sample standard deviation of the scores over seeds, pooled over arms.
    pub seed_deviation: f64,
    /// For the fewest seeds that a tested arm has, and for further numbers of them, in ascending order.
    pub detectable: Vec<Detectable>,
}

/// What one number of seeds can see.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detectable {
    /// Seeds of each of two arms.
    pub seeds: usize,
    /// Whether it is the fewest that a tested arm has, and not a further number.
    pub present: bool,
    /// Standard error of their difference.
    pub standard_error: f64,
    /// The least true difference that would be seen.
    pub least_difference: f64,
}

/// Numbers of seeds that are worth a thought.
const SEEDS: [usize; 5] = [2, 3, 5, 10, 20];

impl Study {
    /// Does every test with the default [`Options`].
    pub fn of(samples: &[Sample]) -> Self {
        Self::with(samples, &Options::default())
    }

    /// Does every test. The same samples give the same numbers: what is drawn is drawn with fixed seeds.
    pub fn with(samples: &[Sample], options: &Options) -> Self {
        let items = !samples.is_empty() && samples.iter().all(|sample| sample.items.is_some());
        let drawn = if items { Drawn::Items } else { Drawn::Seeds };
        Self::of_drawn(samples, samples, drawn, options)
    }

    /// The same where several items share a picture, as questions do: pictures are what is drawn. McNemar's test, which
    /// counts items, takes them one by one. `pictures` says which one an item is about, in the order of the items.
    pub fn of_pictures(samples: &[Sample], pictures: &[u32], options: &Options) -> Self {
        let units = samples.iter().map(|sample| sample.by_picture(pictures));
        Self::of_drawn(
            samples,
            &units.collect::<Vec<_>>(),
            Drawn::Pictures,
            options,
        )
    }

    fn of_drawn(samples: &[Sample], units: &[Sample], drawn: Drawn, options: &Options) -> Self {
        let components: Vec<Option<Components>> = units.iter().map(Components::of).collect();
        let pairs = tested(samples, units, &components, options);
        let arms: Vec<StudyArm> = samples.iter().map(StudyArm::of).collect();
        Self {
            level: options.level,
            drawn,
            ranking: ranked(&arms, &pairs, options),
            power: Sensitivity::of(&components, options.level),
            arms,
            pairs,
        }
    }
}

impl StudyArm {
    fn of(sample: &Sample) -> Self {
        let sound = sample.is_sound();
        let values = || sound.then_some(sample.means.as_slice());
        Self {
            label: sample.label.clone(),
            seeds: sample.seeds.clone(),
            mean: values().and_then(mean),
            standard_deviation: values().and_then(standard_deviation),
        }
    }
}

/// Every pair with every test.
fn tested(
    samples: &[Sample],
    units: &[Sample],
    components: &[Option<Components>],
    options: &Options,
) -> Vec<Pair> {
    let level = options.level;
    let replicates = Replicates::draw(units, options.replicates, 0);
    let mut pairs = Vec::new();
    for (a, (sample_a, parts_a)) in samples.iter().zip(components).enumerate() {
        for (b, (sample_b, parts_b)) in samples.iter().zip(components).enumerate().skip(a + 1) {
            let both = parts_a.as_ref().zip(parts_b.as_ref());
            let enough = both.filter(|(a, b)| a.seeds.min(b.seeds) >= 2);
            let (runs_a, runs_b) = (&sample_a.means, &sample_b.means);
            pairs.push(Pair {
                a,
                b,
                difference: both.and_then(|(a, b)| difference(a, b, level)),
                holm: None,
                bootstrap: both
                    .and_then(|(of_a, of_b)| replicates.difference((a, of_a), (b, of_b), level)),
                mcnemar: McNemar::of(sample_a, sample_b),
                permutation: enough.and_then(|_| Permutation::of(runs_a, runs_b, 0)),
                hedges_g: enough.and_then(|_| hedges_g(runs_a, runs_b, level)),
            });
        }
    }
    let p_value = |pair: &Pair| pair.difference.map_or(f64::NAN, |found| found.p);
    let corrected = holm(&pairs.iter().map(p_value).collect::<Vec<_>>());
    for (pair, p) in pairs.iter_mut().zip(corrected) {
        pair.holm = pair.difference.map(|_| p);
    }
    pairs
}

fn ranked(arms: &[StudyArm], pairs: &[Pair], options: &Options) -> Vec<Rank> {
    let (mut order, diverged): (Vec<usize>, Vec<usize>) =
        (0..arms.len()).partition(|&arm| arms[arm].mean.is_some());
    let score = |&arm: &usize| {
        let mean = arms[arm].mean.unwrap_or(f64::NAN);
        if options.less_is_better { mean } else { -mean }
    };
    order.sort_by(|a, b| score(a).total_cmp(&score(b)));
    let alpha = 1.0 - options.level;
    let mut differ = vec![false; arms.len() * arms.len()];
    for pair in pairs {
        let apart = pair.holm.is_some_and(|p| p < alpha);
        differ[pair.a * arms.len() + pair.b] = apart;
        differ[pair.b * arms.len() + pair.a] = apart;
    }
    let groups = letter_groups(order.len(), |a, b| differ[order[a] * arms.len() + order[b]]);
    let mut ranking: Vec<Rank> = order
        .iter()
        .zip(groups)
        .map(|(&arm, groups)| Rank {
            arm,
            letters: Some(letters(&groups)),
        })
        .collect();
    ranking.extend(diverged.into_iter().map(|arm| Rank { arm, letters: None }));
    ranking
}

impl Sensitivity {
    /// From the seeds' variances pooled over arms and the items' variance of a difference, averaged over pairs.
    pub fn of(components: &[Option<Components>], level: f64) -> Option<Self> {
        let arms: Vec<&Components> = components
            .iter()
            .flatten()
            .filter(|arm| arm.between_seeds.is_some())
            .collect();
        let df = |arm: &Components| (arm.seeds - 1) as f64;
        let squares = |arm: &&Components| Some(df(arm) * arm.between_seeds?);
        let seeds = arms.iter().filter_map(squares).sum::<f64>()
            / arms.iter().map(|arm| df(arm)).sum::<f64>();
        let mut parts = Vec::new();
        for (index, a) in arms.iter().enumerate() {
            for b in &arms[index + 1..] {
                if let (Some(of_a), Some(of_b)) = (&a.items, &b.items) {
                    parts.extend(item_part(of_a, a.seeds, of_b, b.seeds));
                }
            }
        }
        let items = mean(&parts).unwrap_or(0.0);
        let present = arms.iter().map(|arm| arm.seeds).min()?;
        let mut numbers: Vec<usize> = SEEDS.into_iter().chain([present]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let detectable = |count: usize| {
            let design = Design {
                seeds: count,
                seed_variance: 2.0 * seeds / count as f64,
                item_variance: items,
            };
            Some(Detectable {
                seeds: count,
                present: count == present,
                standard_error: design.standard_error(),
                least_difference: design.least_difference(1.0 - level, POWER)?,
            })
        };
        Some(Self {
            power: POWER,
            seed_deviation: seeds.sqrt(),
            detectable: numbers.into_iter().map(detectable).collect::<Option<_>>()?,
        })
    }
}
