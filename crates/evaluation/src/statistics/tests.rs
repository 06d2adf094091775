use super::*;

const LEVEL: f64 = 0.95;

fn sample(means: &[f64]) -> Sample {
    Sample {
        label: String::new(),
        seeds: (0..means.len() as u64).collect(),
        means: means.to_vec(),
        items: None,
    }
}

/// An arm by the items that each of its runs has right.
fn answers(rows: &[&str]) -> Sample {
    let score = |letter: char| f32::from(u8::from(letter == '1'));
    let rows: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| row.chars().map(score).collect())
        .collect();
    let mean = |row: &Vec<f32>| f64::from(row.iter().sum::<f32>()) / row.len() as f64;
    Sample {
        items: Some(rows.clone()),
        ..sample(&rows.iter().map(mean).collect::<Vec<_>>())
    }
}

fn tested(a: &Sample, b: &Sample) -> Option<Estimate> {
    difference(&Components::of(a)?, &Components::of(b)?, LEVEL)
}

#[test]
fn no_spread_is_no_certainty() {
    let same = tested(&sample(&[0.7, 0.7]), &sample(&[0.7, 0.7, 0.7])).unwrap();
    assert_eq!((same.value, same.standard_error, same.p), (0.0, 0.0, 1.0));
    assert_eq!(tested(&sample(&[0.7, 0.7]), &sample(&[0.8, 0.8])), None);
    // Rounding is no spread either: the last digit of one run differs.
    let rounded = sample(&[0.1 + 0.2, 0.3, 0.3]);
    assert_eq!(tested(&rounded, &sample(&[0.4, 0.4])), None);
    assert_eq!(tested(&rounded, &sample(&[0.3, 0.3])).unwrap().p, 1.0);
    assert_eq!(hedges_g(&[0.1 + 0.2, 0.3, 0.3], &[0.4, 0.4], LEVEL), None);
}

#[test]
fn one_seed_is_not_tested() {
    let (one, three) = (sample(&[0.9]), sample(&[0.5, 0.6, 0.7]));
    assert_eq!(tested(&one, &three), None);
    let study = Study::of(&[one, three]);
    let pair = study.pairs[0];
    assert_eq!(
        (pair.difference, pair.holm, pair.bootstrap),
        (None, None, None)
    );
    assert_eq!((pair.permutation, pair.hedges_g), (None, None));
    assert_eq!(study.arms[0].mean, Some(0.9));
}

#[test]
fn arms_that_were_asked_other_items_are_not_compared() {
    let (four, five) = (answers(&["1100", "1010"]), answers(&["11000", "11111"]));
    assert_eq!(tested(&four, &five), None);
    assert_eq!(McNemar::of(&four, &five), None);
    let replicates = Replicates::draw(&[four, five], 10, 0);
    assert_eq!(replicates.standard_error(0, 1), None);
}

#[test]
fn items_widen_the_interval() {
    let (a, b) = (
        answers(&["11110000", "11100000"]),
        answers(&["00011111", "00001111"]),
    );
    let without = |sample: &Sample| Sample {
        items: None,
        ..sample.clone()
    };
    let (with, alone) = (
        tested(&a, &b).unwrap(),
        tested(&without(&a), &without(&b)).unwrap(),
    );
    assert_eq!((with.value, with.df), (alone.value, alone.df));
    assert!(
        with.standard_error > 1.5 * alone.standard_error,
        "{with:?} {alone:?}"
    );
}

#[test]
fn what_is_not_sound_is_not_tested() {
    let good = sample(&[0.5, 0.6]);
    let mut ragged = answers(&["110", "011"]);
    ragged.items.as_mut().unwrap()[1].pop();
    let mut nan = answers(&["110", "011"]);
    nan.items.as_mut().unwrap()[0][2] = f32::NAN;
    let mut fewer = answers(&["110", "011"]);
    fewer.seeds.pop();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!sample(&[0.5, bad]).is_sound());
    }
    for bad in [sample(&[]), sample(&[0.5, f64::NAN]), ragged, nan, fewer] {
        assert_eq!(Components::of(&bad), None, "{bad:?}");
        assert_eq!(McNemar::of(&bad, &bad), None, "{bad:?}");
        let pair = Study::of(&[bad, good.clone()]).pairs[0];
        assert_eq!((pair.difference, pair.permutation), (None, None));
        assert_eq!(
            (pair.hedges_g, pair.mcnemar, pair.bootstrap),
            (None, None, None)
        );
    }
    assert!(Study::of(&[]).pairs.is_empty());
}

#[test]
fn tests_of_nonsense_have_no_result() {
    let arms = [sample(&[0.5, 0.6, 0.8]), sample(&[0.1, 0.3, 0.2])];
    let parts = arms.map(|arm| Components::of(&arm).unwrap());
    assert!(difference(&parts[0], &parts[1], LEVEL).is_some());
    for level in [f64::NAN, 0.0, 1.0, -1.0, 2.0] {
        assert_eq!(difference(&parts[0], &parts[1], level), None, "{level}");
        assert_eq!(power(1.0, 4.0, 1.0 - level), None, "{level}");
    }
    for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        assert_eq!(power(1.0, bad, 0.05), None, "{bad}");
        assert_eq!(noncentral_t_cdf(1.0, bad, 0.0), None, "{bad}");
        assert_eq!(least_difference(1.0, 4.0, 0.05, bad), None, "{bad}");
    }
    assert_eq!(power(f64::NAN, 4.0, 0.05), None);
    assert_eq!(Permutation::of(&[0.5, f64::NAN], &[0.5, 0.6], 0), None);
    assert_eq!(Permutation::of(&[], &[0.5, 0.6], 0), None);
    assert_eq!(hedges_g(&[0.5, f64::NAN], &[0.5, 0.6], LEVEL), None);
    assert_eq!(McNemar::over_seeds(&[]), None);
    let design = |seeds, seed_variance| Design {
        seeds,
        seed_variance,
        item_variance: 0.0,
    };
    for bad in [
        design(1, 1.0),
        design(0, 1.0),
        design(3, 0.0),
        design(3, f64::NAN),
    ] {
        assert_eq!(bad.power(1.0, 0.05), None, "{bad:?}");
        assert_eq!(bad.least_difference(0.05, 0.8), None, "{bad:?}");
    }
    let adjusted = holm(&[0.01, f64::NAN, 0.04]);
    assert_eq!((adjusted[0], adjusted[2]), (0.02, 0.04));
    assert!(adjusted[1].is_nan());
    for bad in [&[][..], &[(f64::NAN, true)], &[(0.5, true), (1.1, false)]] {
        assert_eq!(Calibration::of(bad), None);
    }
}

#[test]
fn a_few_runs_cannot_be_rare() {
    let (low, high) = ([0.1, 0.2, 0.3], [0.7, 0.8, 0.9]);
    let three = Permutation::of(&low, &high, 0).unwrap();
    assert_eq!((three.p, three.least_p, three.splits), (0.1, 0.1, 20));
    let uneven = Permutation::of(&low, &high[..2], 0).unwrap();
    assert_eq!((uneven.p, uneven.least_p), (0.1, 0.1));
    let many: Vec<f64> = (0..20).map(f64::from).collect();
    let drawn = Permutation::of(&many[..10], &many[10..], 7).unwrap();
    assert!(!drawn.exact);
    assert_eq!((drawn.splits, drawn.least_p), (20_000, 1.0 / 20_001.0));
    assert_eq!(Permutation::of(&many[..10], &many[10..], 7), Some(drawn));
    assert!(drawn.p >= drawn.least_p);
}

#[test]
fn mcnemar_pairs_equal_seeds() {
    let (a, mut b) = (answers(&["1100", "1111"]), answers(&["0001", "1000"]));
    b.seeds = vec![1, 7];
    let seen = McNemar::of(&a, &b).unwrap();
    // Seed 1 is the second run of one and the first of the other.
    assert_eq!((seen.seeds, seen.dispersion), (1, None));
    assert_eq!((seen.discordance.first, seen.discordance.second), (3, 0));
    assert!((seen.p - 0.25).abs() < 1e-12, "{seen:?}");
    b.seeds = vec![8, 7];
    assert_eq!(McNemar::of(&a, &b), None);
    b.seeds = vec![0, 1];
    b.items.as_mut().unwrap()[0][0] = 0.5;
    assert_eq!(McNemar::of(&a, &b), None);
    assert_eq!(McNemar::of(&a, &a).unwrap().p, 1.0);
}

/// Five arms: the best of one seed, two close ones, a bad one, and one that diverged.
fn five() -> Vec<Sample> {
    [
        &[0.50, 0.51, 0.49][..],
        &[0.80, f64::NAN, 0.81],
        &[0.90, 0.91, 0.92],
        &[0.905, 0.92, 0.915],
        &[0.95],
    ]
    .map(sample)
    .to_vec()
}

#[test]
fn the_ranking_has_letters_in_common_where_nothing_differs() {
    let study = Study::of(&five());
    let order = |study: &Study| {
        study
            .ranking
            .iter()
            .map(|rank| rank.arm)
            .collect::<Vec<_>>()
    };
    let letters = |study: &Study| {
        let of = |rank: &Rank| rank.letters.clone();
        study.ranking.iter().map(of).collect::<Vec<_>>()
    };
    let expected = |letters: [&str; 4]| {
        let known = letters.iter().map(|&letters| Some(letters.to_owned()));
        known.chain([None]).collect::<Vec<_>>()
    };
    assert_eq!(order(&study), [4, 3, 2, 0, 1]);
    assert_eq!(letters(&study), expected(["ab", "a", "a", "b"]));
    let less = Options {
        less_is_better: true,
        ..Options::default()
    };
    let reversed = Study::with(&five(), &less);
    assert_eq!(order(&reversed), [0, 2, 3, 4, 1]);
    assert_eq!(letters(&reversed), expected(["a", "b", "b", "ab"]));
    assert_eq!(reversed.pairs, study.pairs);
}

#[test]
fn holm_counts_the_pairs_that_were_tested() {
    let study = Study::of(&five());
    assert_eq!(study.pairs.len(), 10);
    let tested: Vec<_> = study
        .pairs
        .iter()
        .filter_map(|pair| Some((pair.difference?, pair.holm?)))
        .collect();
    let least = tested.iter().map(|(test, _)| test.p).fold(1.0, f64::min);
    assert_eq!(tested.len(), 3);
    assert!(
        tested
            .iter()
            .any(|(test, holm)| test.p == least && *holm == 3.0 * least)
    );
}

#[test]
fn a_study_of_many_arms_is_the_same_each_time() {
    let rows = ["1101011010", "1011101010", "0111010111", "1110101101"];
    let arms: Vec<Sample> = (0..60)
        .map(|arm| {
            let runs = 2 + arm % 3;
            let rows: Vec<String> = (0..runs)
                .map(|run| rows[run].chars().cycle().skip(arm).take(40).collect())
                .collect();
            answers(&rows.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let options = Options {
        replicates: 50,
        ..Options::default()
    };
    let study = Study::with(&arms, &options);
    assert_eq!((study.pairs.len(), study.ranking.len()), (1770, 60));
    assert!(study.pairs.iter().all(|pair| pair.mcnemar.is_some()));
    assert_eq!(Study::with(&arms, &options), study);
    let text = serde_json::to_string(&study).unwrap();
    assert!(text.contains("\"bootstrap\":{\"value\""));
    assert_eq!(study.power.unwrap().detectable[0].seeds, 2);
}

#[test]
fn letters_go_on_after_z() {
    assert_eq!(letters(&[0, 25, 26, 53]), "aza'b''");
    assert_eq!(letters(&[]), "");
}

/// Four pictures with two, one, three and two questions: sums by hand, and the mean as it was.
#[test]
fn a_picture_is_one_draw_however_many_questions_it_has() {
    let pictures = [0, 0, 1, 2, 2, 2, 3, 3];
    let items = vec![
        vec![1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0],
        vec![0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
    ];
    let sample = |label: &str, items: Vec<Vec<f32>>| Sample {
        label: label.into(),
        seeds: vec![0, 1],
        means: items
            .iter()
            .map(|row| f64::from(row.iter().sum::<f32>() / row.len() as f32))
            .collect(),
        items: Some(items),
    };
    let one = sample("a", items.clone());
    // An average picture has two questions.
    let expected = vec![vec![1.0, 0.0, 0.5, 1.0], vec![0.5, 0.5, 1.5, 0.0]];
    assert_eq!(one.by_picture(&pictures).items, Some(expected));

    // Questions that stand and fall with their picture are worth no more than the picture: the same twice says the same.
    let twice = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
        rows.iter()
            .map(|row| row.iter().flat_map(|score| [*score; 2]).collect())
            .collect()
    };
    // Each arm knows items of its own, whatever the seed but for a few.
    let knows = |every: usize| -> Vec<Vec<f32>> {
        let right = |seed: usize, item: usize| item.is_multiple_of(every) != (item % 20 == seed);
        let row = |seed| {
            (0..60)
                .map(|item| f32::from(u8::from(right(seed, item))))
                .collect()
        };
        vec![row(0), row(1)]
    };
    let (a, b) = (knows(2), knows(3));
    let plain = Study::of(&[sample("a", a.clone()), sample("b", b.clone())]);
    let doubled = [sample("a", twice(&a)), sample("b", twice(&b))];
    let each: Vec<u32> = (0..120).map(|place| place / 2).collect();
    let clustered = Study::of_pictures(&doubled, &each, &Options::default());
    let naive = Study::of(&doubled);
    let error = |study: &Study| study.pairs[0].difference.unwrap().standard_error;
    assert!((error(&plain) - error(&clustered)).abs() < 1e-9);
    assert!(error(&naive) < error(&clustered));
    assert_eq!(clustered.pairs[0].mcnemar, naive.pairs[0].mcnemar);
}

/// The figures of the README: how far apart two variants have to be, in standard deviations of a seed, by the seeds of
/// each and the number of pairs that the correction is for.
#[test]
fn many_pairs_and_few_seeds_see_little() {
    for (seeds, pairs, expected) in [(3, 1, 3.5), (3, 3, 5.2), (3, 190, 25.0), (10, 190, 2.5)] {
        let design = Design {
            seeds,
            seed_variance: 2.0 / seeds as f64,
            item_variance: 0.0,
        };
        let least = design
            .least_difference(0.05 / f64::from(pairs), POWER)
            .unwrap();
        println!("{seeds} seeds, {pairs} pairs: {least:.2}");
        assert!(
            (least / expected - 1.0).abs() < 0.03,
            "{seeds} seeds, {pairs} pairs: {least}"
        );
    }
}
