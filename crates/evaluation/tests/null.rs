//! How often the tests of a comparison see what is not there, and what is, on runs of real models.
//!
//! `tests/fixtures/seeds.json` has the answers of 36 runs of `crucible train vqa`, 20 of one arm and 16 of another
//! (see `tests/reference/significance.py`). A study draws the runs of each of its arms from one of them, and the items
//! for all of its arms, with replacement: new seeds and new items.

use crucible_evaluation::statistics::{
    Components, Design, EffectSize, McNemar, Permutation, Replicates, Sample, difference, hedges_g,
    holm,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const LEVEL: f64 = 0.95;
const ALPHA: f64 = 1.0 - LEVEL;

/// The answers of several runs, `[run][item]`, 1 where they are right.
type Pool = Vec<Vec<f32>>;

/// Every `stride`th item of the runs of one arm, from the `offset`th on.
fn pool(name: &str, stride: usize) -> Pool {
    let text = include_str!("../../../tests/fixtures/seeds.json");
    let fixture: Value = serde_json::from_str(text).unwrap();
    let arm = &fixture[name];
    let items = arm["items"].as_u64().unwrap() as usize;
    let runs = arm["seeds"].as_array().unwrap().iter();
    runs.map(|run| {
        let right = unpacked(run["right"].as_str().unwrap(), items);
        let accuracy = right.iter().sum::<f32>() as f64 / items as f64;
        assert!((accuracy - run["accuracy"].as_f64().unwrap()).abs() < 1e-9);
        right.into_iter().step_by(stride).collect()
    })
    .collect()
}

/// The bits of a text in base64.
fn unpacked(text: &str, items: usize) -> Vec<f32> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |letter| DIGITS.iter().position(|&digit| digit == letter);
    let bits = |digit: usize| (0..6).rev().map(move |bit| (digit >> bit & 1) as f32);
    text.bytes()
        .filter_map(digit)
        .flat_map(bits)
        .take(items)
        .collect()
}

fn mean(row: &[f32]) -> f64 {
    row.iter().copied().map(f64::from).sum::<f64>() / row.len() as f64
}

fn drawn(count: usize, from: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    (0..count).map(|_| random.random_range(0..from)).collect()
}

/// An arm of `seeds` runs drawn from `pool` and asked `items`.
fn arm(pool: &Pool, seeds: usize, items: &[usize], random: &mut ChaCha8Rng) -> Sample {
    let rows: Vec<Vec<f32>> = drawn(seeds, pool.len(), random)
        .into_iter()
        .map(|run| items.iter().map(|&item| pool[run][item]).collect())
        .collect();
    Sample {
        label: String::new(),
        seeds: (0..seeds as u64).collect(),
        means: rows.iter().map(|row| mean(row)).collect(),
        items: Some(rows),
    }
}

/// A study of arms with runs of one pool each, all asked the same items.
fn study(pools: &[&Pool], seeds: usize, random: &mut ChaCha8Rng) -> Vec<Sample> {
    let count = pools[0][0].len();
    let items = drawn(count, count, random);
    pools
        .iter()
        .map(|pool| arm(pool, seeds, &items, random))
        .collect()
}

fn rejects(p: Option<f64>) -> usize {
    usize::from(p.is_some_and(|p| p < ALPHA))
}

fn percent(hits: usize, of: usize) -> f64 {
    100.0 * hits as f64 / of as f64
}

/// The share of studies of one arm under two names in which each test finds a difference.
fn assert_null(name: &str, seeds: usize, studies: u64) {
    const TESTS: [&str; 5] = [
        "difference",
        "bootstrap",
        "mcnemar",
        "permutation",
        "hedges_g",
    ];
    let pool = pool(name, 48);
    let mut random = ChaCha8Rng::seed_from_u64(seeds as u64);
    let (mut hits, mut silent) = ([0; 5], [0; 5]);
    for number in 0..studies {
        let samples = study(&[&pool, &pool], seeds, &mut random);
        let [a, b] = &samples[..] else { unreachable!() };
        let [of_a, of_b] = [a, b].map(|sample| Components::of(sample).unwrap());
        let replicates = Replicates::draw(&samples, 96, number);
        let outside = |g: EffectSize| g.low > 0.0 || g.high < 0.0;
        let bootstrap = replicates.difference((0, &of_a), (1, &of_b), LEVEL);
        let found = [
            difference(&of_a, &of_b, LEVEL).map(|test| test.p < ALPHA),
            bootstrap.map(|test| test.p < ALPHA),
            McNemar::of(a, b).map(|test| test.p < ALPHA),
            Permutation::of(&a.means, &b.means, number).map(|test| test.p < ALPHA),
            hedges_g(&a.means, &b.means, LEVEL).map(outside),
        ];
        for (place, found) in found.into_iter().enumerate() {
            hits[place] += usize::from(found == Some(true));
            silent[place] += usize::from(found.is_none());
        }
    }
    for ((test, hits), silent) in TESTS.iter().zip(hits).zip(silent) {
        // A test that says nothing is never wrong. Of two seeds, runs drawn twice or with equal scores leave some studies
        // without a spread.
        assert!(
            percent(silent, studies as usize) < 5.0,
            "{test}: silent in {silent} studies"
        );
        let rate = percent(hits, studies as usize);
        println!("{name}, {seeds} seeds, {test}: {rate:.2}% of {studies}");
        assert!(rate <= 5.5, "{test}: {rate}%");
    }
}

#[test]
fn the_late_arm_under_two_names() {
    for seeds in [2, 3, 5, 8] {
        assert_null("late", seeds, 2_000);
    }
}

#[test]
fn the_mid_arm_under_two_names() {
    for seeds in [3, 5] {
        assert_null("mid", seeds, 2_000);
    }
}

/// The share of studies of one arm under several names in which Holm leaves any difference.
#[test]
fn one_arm_under_many_names() {
    let pool = pool("late", 24);
    for (arms, studies) in [(4, 4_000), (12, 2_000)] {
        for seeds in [2, 3, 5, 8] {
            let mut random = ChaCha8Rng::seed_from_u64(seeds as u64);
            let mut hits = 0;
            for _ in 0..studies {
                let samples = study(&vec![&pool; arms], seeds, &mut random);
                let parts: Vec<_> = samples.iter().filter_map(Components::of).collect();
                let mut p_values = Vec::new();
                for (index, a) in parts.iter().enumerate() {
                    let with = |b| difference(a, b, LEVEL).map(|test| test.p);
                    p_values.extend(parts[index + 1..].iter().filter_map(with));
                }
                hits += usize::from(holm(&p_values).iter().any(|&p| p < ALPHA));
            }
            let rate = percent(hits, studies);
            println!("{arms} arms, {seeds} seeds: {rate:.2}% of {studies}");
            assert!(rate <= 5.5, "{arms} arms, {seeds} seeds: {rate}%");
        }
    }
}

/// A copy of a pool in which every run has `points` fewer right, mostly of the items that other runs have wrong too.
fn worsened(pool: &Pool, points: f64, random: &mut ChaCha8Rng) -> Pool {
    let count = pool[0].len();
    let miss = |item: usize| 1.0 - mean(&pool.iter().map(|run| run[item]).collect::<Vec<_>>());
    let weights: Vec<f64> = (0..count).map(|item| 0.1 + miss(item)).collect();
    let worse = |run: &Vec<f32>| {
        let right = |item: &usize| run[*item] == 1.0;
        let total: f64 = (0..count).filter(right).map(|item| weights[item]).sum();
        let mut row = run.clone();
        for item in (0..count).filter(right) {
            if random.random::<f64>() < points * count as f64 * weights[item] / total {
                row[item] = 0.0;
            }
        }
        row
    };
    pool.iter().map(worse).collect()
}

/// All runs of a pool, as one arm.
fn whole(pool: &Pool) -> Components {
    let sample = Sample {
        label: String::new(),
        seeds: (0..pool.len() as u64).collect(),
        means: pool.iter().map(|row| mean(row)).collect(),
        items: Some(pool.clone()),
    };
    Components::of(&sample).unwrap()
}

/// The variances of studies that draw from the runs and items of two pools, which are all there are: without Bessel's
/// correction, and with the residual of seed x item, which the items of one study have and all of them have not.
fn design(a: &Components, b: &Components, seeds: usize) -> Design {
    let (of_a, of_b) = (a.items.as_ref().unwrap(), b.items.as_ref().unwrap());
    let items = of_a.means.len() as f64;
    let of_one_seed = |arm: &Components| {
        let residual = arm.items.as_ref().unwrap().residual / items;
        (arm.between_seeds.unwrap() + residual) * (arm.seeds - 1) as f64 / arm.seeds as f64
    };
    let gaps = of_a.means.iter().zip(&of_b.means).map(|(a, b)| a - b);
    let squares: f64 = gaps.map(|gap| (gap - (a.mean - b.mean)).powi(2)).sum();
    Design {
        seeds,
        seed_variance: (of_one_seed(a) + of_one_seed(b)) / seeds as f64,
        item_variance: squares / items.powi(2),
    }
}

/// Three points that were taken from a copy of an arm are seen as often as the power says, to 2.5 standard errors of
/// 4,000 studies.
#[test]
fn a_difference_is_seen_as_often_as_the_power_says() {
    const STUDIES: usize = 4_000;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let better = pool("late", 4);
    let worse = worsened(&better, 0.03, &mut random);
    let (of_better, of_worse) = (whole(&better), whole(&worse));
    let value = of_better.mean - of_worse.mean;
    for seeds in [3, 5] {
        let design = design(&of_better, &of_worse, seeds);
        let stated = design.power(value, ALPHA).unwrap();
        let mut hits = 0;
        for _ in 0..STUDIES {
            let samples = study(&[&better, &worse], seeds, &mut random);
            let [a, b] = [0, 1].map(|arm| Components::of(&samples[arm]).unwrap());
            hits += rejects(difference(&a, &b, LEVEL).map(|test| test.p));
        }
        let (seen, stated) = (percent(hits, STUDIES), 100.0 * stated);
        println!(
            "{seeds} seeds, {:.2} points: {seen:.1}% for {stated:.1}%",
            100.0 * value
        );
        assert!((seen - stated).abs() <= 2.0, "{seeds} seeds");
    }
}
