//! The statistics of a comparison against scipy and statsmodels: see `tests/reference/significance.py`.

use crucible_evaluation::statistics::{
    Calibration, Components, Design, Discordance, EffectSize, Estimate, McNemar, Permutation,
    Replicates, Sample, Sensitivity, difference, hedges_g, holm, least_difference, letter_groups,
    noncentral_t_cdf, power,
};
use serde_json::Value;
use std::sync::LazyLock;

const LEVEL: f64 = 0.95;

static FIXTURES: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../tests/fixtures/statistics.json");
    serde_json::from_str(text).unwrap()
});

/// The cases of one statistic, of which there must be as many as the script says.
fn cases(name: &str, count: usize) -> &'static [Value] {
    let cases = FIXTURES[name].as_array().unwrap();
    assert_eq!(cases.len(), count, "{name}");
    cases
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

fn whole(value: f64) -> u64 {
    assert_eq!(value.fract(), 0.0);
    value as u64
}

/// To 1e-6, relative; what is nothing but rounding may be.
#[track_caller]
fn assert_close(seen: &[f64], expected: &[f64], case: &Value) {
    assert_eq!(seen.len(), expected.len());
    for (seen, expected) in seen.iter().zip(expected) {
        assert!(
            (seen - expected).abs() <= 1e-6 * expected.abs() + 1e-12,
            "{seen} for {expected}: {case}"
        );
    }
}

fn of_means(means: Vec<f64>) -> Sample {
    Sample {
        label: String::new(),
        seeds: (0..means.len() as u64).collect(),
        means,
        items: None,
    }
}

fn of_items(value: &Value) -> Sample {
    let rows = rows(value);
    let mean = |row: &Vec<f64>| row.iter().sum::<f64>() / row.len() as f64;
    let single = |row: &Vec<f64>| row.iter().map(|&score| score as f32).collect();
    Sample {
        items: Some(rows.iter().map(single).collect()),
        ..of_means(rows.iter().map(mean).collect())
    }
}

fn parts(estimate: Estimate) -> [f64; 6] {
    let Estimate {
        value,
        standard_error,
        df,
        low,
        high,
        p,
    } = estimate;
    [value, standard_error, df, low, high, p]
}

fn tested(a: &Sample, b: &Sample) -> [f64; 6] {
    let components = |sample| Components::of(sample).unwrap();
    parts(difference(&components(a), &components(b), LEVEL).unwrap())
}

#[test]
fn a_difference_without_items_is_welchs() {
    for case in cases("welch", 60) {
        let seen = tested(
            &of_means(numbers(&case["a"])),
            &of_means(numbers(&case["b"])),
        );
        assert_close(&seen, &numbers(&case["out"]), case);
    }
}

#[test]
fn a_difference_with_items_has_their_variance_too() {
    for case in cases("crossed", 60) {
        let seen = tested(&of_items(&case["a"]), &of_items(&case["b"]));
        assert_close(&seen, &numbers(&case["out"]), case);
    }
}

/// A share of 20,000 replicates' variance is off by about 1%, and the mean over 60 cases by much less.
#[test]
fn the_bootstrap_has_the_variance_of_its_weights() {
    let mut logs = Vec::new();
    for case in cases("crossed", 60) {
        let samples = [of_items(&case["a"]), of_items(&case["b"])];
        let seen = Replicates::draw(&samples, 20_000, 1).standard_error(0, 1);
        let log = (seen.unwrap() / number(&case["bootstrap"])).ln();
        assert!(log.abs() < 0.03, "{log}: {case}");
        logs.push(log);
    }
    let bias = logs.iter().sum::<f64>() / logs.len() as f64;
    assert!(bias.abs() < 0.003, "{bias}");
}

#[test]
fn mcnemar_of_two_models_is_that_of_statsmodels() {
    for case in cases("mcnemar", 60) {
        let [first, second] = numbers(&case["in"])[..] else {
            panic!("{case}")
        };
        let pair = Discordance {
            first: whole(first),
            second: whole(second),
        };
        let (plain, corrected) = (pair.chi_squared(false), pair.chi_squared(true));
        let ((plain, plain_p), (corrected, corrected_p)) = (plain.unwrap(), corrected.unwrap());
        let exact = pair.exact().unwrap();
        let seen = [exact, plain, plain_p, corrected, corrected_p];
        assert_close(&seen, &numbers(&case["out"]), case);
        assert_eq!(McNemar::over_seeds(&[pair]).unwrap().p, exact);
    }
}

#[test]
fn mcnemar_over_seeds_is_quasi_binomial() {
    for case in cases("mcnemar_seeds", 60) {
        let pairs: Vec<Discordance> = rows(&case["in"])
            .iter()
            .map(|pair| Discordance {
                first: whole(pair[0]),
                second: whole(pair[1]),
            })
            .collect();
        let seen = McNemar::over_seeds(&pairs).unwrap();
        assert_close(
            &[seen.dispersion.unwrap(), seen.p],
            &numbers(&case["out"]),
            case,
        );
    }
}

#[test]
fn few_runs_are_permuted_exactly() {
    for case in cases("permutation", 60) {
        let seen = Permutation::of(&numbers(&case["a"]), &numbers(&case["b"]), 0).unwrap();
        assert!(seen.exact);
        assert_close(&[seen.p], &[number(&case["out"])], case);
    }
}

/// 20,000 of 184,756 splits: within four standard errors of a share.
#[test]
fn many_runs_are_permuted_at_random() {
    for case in cases("permutation_drawn", 8) {
        let seen = Permutation::of(&numbers(&case["a"]), &numbers(&case["b"]), 0).unwrap();
        let expected = number(&case["out"]);
        let error = (expected * (1.0 - expected) / 20_000.0).sqrt();
        assert!(!seen.exact);
        assert!(
            (seen.p - expected).abs() <= 4.0 * error + 1e-4,
            "{} for {expected}",
            seen.p
        );
    }
}

#[test]
fn holm_is_that_of_statsmodels() {
    for case in cases("holm", 60) {
        assert_close(&holm(&numbers(&case["in"])), &numbers(&case["out"]), case);
    }
}

#[test]
fn hedges_g_is_that_of_statsmodels_with_a_noncentral_interval() {
    for case in cases("hedges", 60) {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let EffectSize {
            value,
            standard_error,
            low,
            high,
        } = hedges_g(&a, &b, LEVEL).unwrap();
        let out = numbers(&case["out"]);
        assert_close(&[value, standard_error, low, high], &out[..4], case);
        assert_eq!(low > 0.0 || high < 0.0, out[4] < 0.05, "{case}");
    }
}

#[test]
fn the_noncentral_t_distribution_is_that_of_scipy() {
    for case in cases("nct", 120) {
        let [t, df, noncentrality] = numbers(&case["in"])[..] else {
            panic!("{case}")
        };
        let seen = noncentral_t_cdf(t, df, noncentrality).unwrap();
        let expected = number(&case["out"]);
        assert!(
            (seen - expected).abs() < 1e-9,
            "{seen} for {expected}: {case}"
        );
    }
}

#[test]
fn power_is_that_of_statsmodels() {
    for case in cases("power", 60) {
        let [noncentrality, df, alpha, wanted] = numbers(&case["in"])[..] else {
            panic!("{case}")
        };
        let seen = [
            power(noncentrality, df, alpha).unwrap(),
            least_difference(1.0, df, alpha, wanted).unwrap(),
        ];
        assert_close(&seen, &numbers(&case["out"]), case);
    }
}

#[test]
fn power_of_the_primary_test_is_that_of_few_seeds() {
    for case in cases("design", 60) {
        let [seeds, seed_variance, item_variance, alpha, value] = numbers(&case["in"])[..] else {
            panic!("{case}")
        };
        let design = Design {
            seeds: whole(seeds) as usize,
            seed_variance,
            item_variance,
        };
        let seen = design.power(value, alpha).unwrap();
        assert_close(&[seen], &[number(&case["out"])], case);
    }
}

#[test]
fn what_a_study_could_have_seen_comes_from_the_pooled_variances() {
    for case in cases("sensitivity", 60) {
        let arms = case["arms"].as_array().unwrap();
        let components: Vec<_> = arms
            .iter()
            .map(|arm| Components::of(&of_items(arm)))
            .collect();
        let seen = Sensitivity::of(&components, LEVEL).unwrap();
        assert_close(&[seen.seed_deviation], &[number(&case["deviation"])], case);
        let expected = case["out"].as_array().unwrap();
        assert_eq!(seen.detectable.len(), expected.len(), "{case}");
        for (seen, expected) in seen.detectable.iter().zip(expected) {
            assert_eq!(Some(seen.present), expected[1].as_bool(), "{case}");
            assert_close(
                &[
                    seen.seeds as f64,
                    seen.standard_error,
                    seen.least_difference,
                ],
                &[
                    number(&expected[0]),
                    number(&expected[2]),
                    number(&expected[3]),
                ],
                case,
            );
        }
    }
}

#[test]
fn letters_are_the_largest_sets_of_arms_alike() {
    for case in cases("letters", 60) {
        let differ = rows(&case["differ"]);
        let apart = |a: usize, b: usize| differ.contains(&vec![a as f64, b as f64]);
        let seen = letter_groups(whole(number(&case["count"])) as usize, apart);
        assert_eq!(serde_json::to_value(seen).unwrap(), case["out"], "{case}");
    }
}

#[test]
fn calibration_is_that_of_guo_et_al() {
    for case in cases("calibration", 60) {
        let input = rows(&case["in"]);
        let items: Vec<(f64, bool)> = input[0]
            .iter()
            .zip(&input[1])
            .map(|(&confidence, &right)| (confidence, right == 1.0))
            .collect();
        let seen = Calibration::of(&items).unwrap();
        assert_close(&[seen.ece, seen.brier], &numbers(&case["out"]), case);
        let counts: Vec<f64> = seen.bins.iter().map(|bin| bin.count as f64).collect();
        assert_eq!(counts, numbers(&case["counts"]), "{case}");
    }
}
