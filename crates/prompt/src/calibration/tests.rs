use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::slice::from_ref;

/// What `tests/reference/calibration.py` makes of random scores.
#[derive(Deserialize)]
struct Case {
    scores: Vec<Vec<f64>>,
    content_free: Vec<Vec<f64>>,
    premise: Vec<f64>,
    strength: f64,
    contextual: Expected,
    domain_pmi: Expected,
    batch: Expected,
}

#[derive(Deserialize)]
struct Expected {
    scores: Vec<Vec<f64>>,
    before: Vec<f64>,
    after: Vec<f64>,
    changed: usize,
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

fn tables_close(a: &[Vec<f64>], b: &[Vec<f64>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b))
}

#[test]
fn all_agree_with_the_formulas_in_numpy() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/prompt/calibration.json"
    );
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() > 5);
    for (number, case) in cases.iter().enumerate() {
        let found = [
            contextual(&case.scores, &case.content_free).unwrap(),
            domain_pmi(&case.scores, &case.premise).unwrap(),
            batch(&case.scores, case.strength).unwrap(),
        ];
        let expected = [&case.contextual, &case.domain_pmi, &case.batch];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                tables_close(&found.scores, &expected.scores),
                "case {number}"
            );
            assert!(
                close(&found.change.before, &expected.before),
                "case {number}"
            );
            assert!(close(&found.change.after, &expected.after), "case {number}");
            assert_eq!(found.change.changed, expected.changed, "case {number}");
        }
    }
    let changed = cases.iter().map(|case| case.contextual.changed);
    assert!(changed.sum::<usize>() > 0, "nothing to see");
}

#[test]
fn what_does_not_fit_is_told() {
    let scores = vec![vec![-1.0, -2.0]; 3];
    let errors = [
        contextual(&[], &scores),
        contextual(&scores, &[]),
        contextual(&scores, &[vec![0.0]]),
        domain_pmi(&scores, &[0.0; 3]),
        batch(&scores, f64::NAN),
        batch(&[vec![0.0, f64::NEG_INFINITY]], 1.0),
    ];
    let messages = errors.map(|error| error.unwrap_err().to_string());
    for (message, expected) in messages.iter().zip([
        "scores: there are none; give at least one",
        "content-free scores: there are none; give at least one",
        "content-free scores, item 0: 1 are given, 2 are needed",
        "scores of the premise: 3 are given, 2 are needed",
        "strength of the calibration: number 0 is NaN",
        "scores, item 0: number 1 is -inf",
    ]) {
        assert!(message.starts_with(expected), "{message}");
    }
}

/// Items and one row more, of the same 2 to 5 classes, as unnormalised scores.
fn table() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<f64>)> {
    (2..6usize).prop_flat_map(|classes| {
        let row = || prop::collection::vec(-20.0..0.0, classes);
        (prop::collection::vec(row(), 1..8), row())
    })
}

proptest! {
    #[test]
    fn uniform_priors_change_nothing((scores, row) in table(), level in -9.0..0.0) {
        let plain: Vec<_> = scores.iter().map(|row| log_softmax(row)).collect();
        let uniform = vec![level; row.len()];
        for calibrated in [
            contextual(&scores, &[uniform.clone(), uniform.clone()]).unwrap(),
            domain_pmi(&scores, &uniform).unwrap(),
            batch(&scores, 0.0).unwrap(),
        ] {
            prop_assert!(tables_close(&calibrated.scores, &plain));
            prop_assert!(close(&calibrated.change.before, &calibrated.change.after));
            prop_assert_eq!(calibrated.change.changed, 0);
        }
    }

    #[test]
    fn a_batch_of_one_kind_is_told_nothing((_, row) in table(), items in 1..5usize) {
        let scores = vec![row.clone(); items];
        let calibrated = batch(&scores, 1.0).unwrap().scores;
        let even = -(row.len() as f64).ln();
        prop_assert!(calibrated.iter().flatten().all(|score| (score - even).abs() < 1e-9));
    }

    #[test]
    fn an_input_without_content_gets_equal_probabilities((_, row) in table()) {
        let calibrated = contextual(from_ref(&row), from_ref(&row)).unwrap().scores;
        let even = -(row.len() as f64).ln();
        prop_assert!(calibrated[0].iter().all(|score| (score - even).abs() < 1e-9));
    }

    #[test]
    fn the_order_of_classes_means_nothing((scores, row) in table(), by in 0..5usize) {
        let turned = |row: &[f64]| {
            let mut row = row.to_vec();
            let by = by % row.len();
            row.rotate_left(by);
            row
        };
        let all = |table: &[Vec<f64>]| table.iter().map(|row| turned(row)).collect::<Vec<_>>();
        let (others, other) = (all(&scores), turned(&row));
        for (a, b) in [
            (contextual(&scores, from_ref(&row)), contextual(&others, from_ref(&other))),
            (domain_pmi(&scores, &row), domain_pmi(&others, &other)),
            (batch(&scores, 1.0), batch(&others, 1.0)),
        ] {
            let (a, b) = (a.unwrap(), b.unwrap());
            prop_assert!(tables_close(&all(&a.scores), &b.scores));
            prop_assert!(close(&turned(&a.change.after), &b.change.after));
        }
    }

    #[test]
    fn nothing_but_probabilities_comes_out(
        scores in prop::collection::vec(prop::collection::vec(-1e9..1e9, 3), 1..4),
        row in prop::collection::vec(-1e9..1e9, 3),
        strength in -1e9..1e9,
    ) {
        for calibrated in [
            contextual(&scores, from_ref(&row)).unwrap(),
            domain_pmi(&scores, &row).unwrap(),
            batch(&scores, strength).unwrap(),
        ] {
            prop_assert!(calibrated.scores.iter().flatten().all(|score| score.is_finite()));
            for priors in [&calibrated.change.before, &calibrated.change.after] {
                prop_assert!((priors.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            }
        }
    }
}
