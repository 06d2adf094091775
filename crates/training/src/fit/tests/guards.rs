//! Numbers that are none never reach the weights.

use super::*;
use crate::strategy::NonFinite;

/// Trains with that policy, at most `limit` times in a row, on data that is broken in those steps (from 0).
fn poisoned(
    folder: &Path,
    policy: NonFinite,
    limit: usize,
    poison: &[usize],
) -> Result<Fitted<Classifier>, Error> {
    let run = run(folder, false);
    let config = TrainingConfig {
        non_finite: policy,
        non_finite_limit: limit,
        ..config(STEPS)
    };
    let loader = Steps {
        poison: poison.to_vec(),
        ..Steps::new(STEPS)
    };
    let model = Classifier::new(&run.device);
    fit(
        &run,
        &config,
        model,
        Arc::new(loader),
        Arc::new(Steps::new(3)),
        16.0,
    )
}

fn are_finite(model: &Classifier) -> bool {
    let mut weights = model.weights().into_iter().map(f32::from_bits);
    weights.all(f32::is_finite)
}

#[test]
fn a_broken_number_stops_before_it_reaches_the_weights() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let error = train(
        &run,
        Steps {
            poison: vec![10],
            ..Steps::new(STEPS)
        },
    )
    .unwrap_err();
    assert!(
        matches!(&error, Error::NonFinite { step: 11, .. }),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    let (set, _) = checkpoint::newest(&run.dir).unwrap();
    let model = set
        .unwrap()
        .load_model(Classifier::new(&run.device))
        .unwrap();
    assert!(
        model
            .weights()
            .into_iter()
            .all(|bits| f32::from_bits(bits).is_finite())
    );
}

#[test]
fn a_broken_step_names_the_samples_and_the_parameter() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let error = poisoned(folder.path(), NonFinite::Stop, 2, &[10]).unwrap_err();
    let Error::NonFinite { place, samples, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(place.as_deref(), Some("the gradient of `hidden.weight`"));
    assert_eq!(samples[..2], ["batch 10, point 0", "batch 10, point 1"]);
}

#[test]
fn a_skipped_step_changes_nothing_and_is_in_the_log() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let fitted = poisoned(folder.path(), NonFinite::Skip, 2, &[10, 25, 26]).unwrap();
    assert!(are_finite(&fitted.model));
    assert_eq!(fitted.cost.steps, STEPS);
    assert_eq!(fitted.cost.samples, ((STEPS - 3) * SAMPLES) as u64);
    let lines = lines(folder.path());
    assert_eq!(values(&lines, "train", "skipped"), [1.0, 1.0, 2.0]);
    assert_eq!(values(&lines, "train", "loss").len(), STEPS - 3);
    let log = std::fs::read_to_string(folder.path().join("run.log")).unwrap();
    assert!(
        log.contains("step 11: train loss is") && log.contains("skipped, 1 in a row"),
        "{log}"
    );
}

#[test]
fn too_many_in_a_row_end_the_training() {
    let _turn = alone();
    for policy in [NonFinite::Skip, NonFinite::RollBack] {
        let folder = tempfile::tempdir().unwrap();
        let error = poisoned(folder.path(), policy, 2, &[21, 22, 23]).unwrap_err();
        assert!(
            matches!(error, Error::NonFinite { step: 24, .. }),
            "{error}"
        );
    }
}

/// Step 26 breaks, the newest checkpoint is that of step 20: training goes on with step 27 from there.
#[test]
fn a_roll_back_leaves_out_the_steps_since_the_checkpoint() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let rolled = poisoned(folder.path(), NonFinite::RollBack, 2, &[25]).unwrap();
    assert!(are_finite(&rolled.model));
    // As if steps 21 to 26 had all been skipped.
    let other = tempfile::tempdir().unwrap();
    let left_out: Vec<usize> = (20..26).collect();
    let skipped = poisoned(other.path(), NonFinite::Skip, left_out.len(), &left_out);
    assert_eq!(rolled.model.weights(), skipped.unwrap().model.weights());
    // Nothing to go back to: the error is the same as without the policy.
    let folder = tempfile::tempdir().unwrap();
    let error = poisoned(folder.path(), NonFinite::RollBack, 2, &[4]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: 5, .. }), "{error}");
}
