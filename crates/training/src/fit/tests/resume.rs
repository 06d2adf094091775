//! What was interrupted ends as if it had not been.

use super::*;
use crate::fixture::Normalised;
use crate::memory::rehearse;
use std::collections::BTreeSet;

/// The heart of the matter: at any step, with dropout on.
#[test]
fn an_interrupted_run_ends_with_the_weights_of_one_that_never_stopped() {
    let _turn = alone();
    let (whole_folder, whole) = uninterrupted();
    for stop in [0, 1, 9, 10, 23, STEPS - 1] {
        let folder = tempfile::tempdir().unwrap();
        let first = run(folder.path(), false);
        // The batch of `stop` still trains; the stop is seen before the next one.
        let loader = Steps {
            stop: Some((stop, first.interrupter.clone())),
            ..Steps::new(STEPS)
        };
        let error = match train(&first, loader) {
            Err(error) => error,
            // Nothing is left to interrupt after the last step but its validation.
            Ok(_) => panic!("not interrupted at {stop}"),
        };
        assert!(
            matches!(error, Error::Interrupted { step, .. } if step == stop + 1),
            "{error}"
        );
        assert_eq!(error.exit_code(), 130);

        let second = run(folder.path(), true);
        let resumed = train(&second, Steps::new(STEPS)).unwrap();
        assert_eq!(
            resumed.model.weights(),
            whole.model.weights(),
            "stopped at {stop}"
        );
        assert_eq!(
            lines(folder.path()),
            lines(whole_folder.path()),
            "stopped at {stop}"
        );
        assert_eq!(resumed.validation, whole.validation);
    }
}

#[test]
fn a_validation_that_was_interrupted_is_made_up_for() {
    let _turn = alone();
    let (whole_folder, whole) = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), false);
    let valid = Steps {
        stop: Some((1, first.interrupter.clone())),
        ..Steps::new(3)
    };
    let model = Classifier::new(&first.device);
    let train_loader = Arc::new(Steps::new(STEPS));
    let error = fit(
        &first,
        &config(STEPS),
        model,
        train_loader,
        Arc::new(valid),
        16.0,
    )
    .unwrap_err();
    assert!(
        matches!(error, Error::Interrupted { step: 10, .. }),
        "{error}"
    );
    assert!(values(&lines(folder.path()), "valid", "loss").is_empty());
    // The process that makes up for it dies before its next checkpoint; another one follows.
    let dies = Steps {
        poison: vec![13],
        ..Steps::new(STEPS)
    };
    train(&run(folder.path(), true), dies).unwrap_err();
    assert_eq!(values(&lines(folder.path()), "valid", "loss").len(), 1);
    let resumed = train(&run(folder.path(), true), Steps::new(STEPS)).unwrap();
    assert_eq!(resumed.model.weights(), whole.model.weights());
    assert_eq!(lines(folder.path()), lines(whole_folder.path()));
}

#[test]
fn what_a_killed_process_logged_after_its_checkpoint_is_not_kept_twice() {
    let _turn = alone();
    let (whole_folder, whole) = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let killed = run(folder.path(), false);
    // An error at step 26 ends the process without a checkpoint: the newest is that of step 20.
    let loader = Steps {
        poison: vec![25],
        ..Steps::new(STEPS)
    };
    assert!(matches!(
        train(&killed, loader),
        Err(Error::NonFinite {
            step: 26,
            split: "train",
            ..
        })
    ));
    // A line torn by the kill.
    use std::io::Write;
    let path = killed.dir.file(crate::run_dir::METRICS);
    std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"{\"step\":26,\"ep")
        .unwrap();
    let resumed = train(&run(folder.path(), true), Steps::new(STEPS)).unwrap();
    assert_eq!(resumed.model.weights(), whole.model.weights());
    let lines = lines(folder.path());
    let unique: BTreeSet<_> = lines
        .iter()
        .map(|line| (line.step, &line.split, &line.name))
        .collect();
    assert_eq!(unique.len(), lines.len());
    assert_eq!(lines, self::lines(whole_folder.path()));
}

#[test]
fn resuming_a_finished_run_takes_no_step() {
    let _turn = alone();
    let (folder, whole) = uninterrupted();
    let again = train(&run(folder.path(), true), Steps::new(STEPS)).unwrap();
    assert_eq!(again.cost.steps, STEPS);
    assert_eq!(again.model.weights(), whole.model.weights());
    assert_eq!(again.cost.samples, whole.cost.samples);
    let lines = metrics::read(&crate::RunDir::new(folder.path())).unwrap();
    let logged = values(&lines, "valid", metrics::SECONDS);
    assert!(again.cost.seconds >= logged[logged.len() - 1]);
}

#[test]
fn resuming_nothing_starts() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let fitted = train(&run(folder.path(), true), Steps::new(STEPS)).unwrap();
    assert_eq!(fitted.model.weights(), uninterrupted().1.model.weights());
}

#[test]
fn samples_are_counted_and_time_goes_on_where_it_stopped() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let loader = Steps {
        poison: vec![25],
        ..Steps::new(STEPS)
    };
    train(&run(folder.path(), false), loader).unwrap_err();
    let resumed = train(&run(folder.path(), true), Steps::new(STEPS)).unwrap();
    assert_eq!(resumed.cost.samples, (STEPS * SAMPLES) as u64);
    let lines = metrics::read(&crate::RunDir::new(folder.path())).unwrap();
    let seconds = values(&lines, "train", metrics::SECONDS);
    assert_eq!(seconds.len(), STEPS);
    assert!(seconds.is_sorted() && seconds[0] > 0.0, "{seconds:?}");
    assert!(seconds[STEPS - 1] <= resumed.cost.seconds);
    assert_eq!(values(&lines, "valid", metrics::SECONDS).len(), STEPS / 10);
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused() {
    let _turn = alone();
    let (folder, _) = uninterrupted();
    let mut run = run(folder.path(), true);
    run.resume = false;
    // Someone edits run.json.
    let mut changed = record(&run);
    changed.config_digest = "00".to_string();
    run.dir.write_json(crate::run_dir::RUN, &changed).unwrap();
    run.resume = true;
    let error = train(&run, Steps::new(STEPS)).unwrap_err();
    assert!(
        error.to_string().contains("another configuration"),
        "{error}"
    );
}

#[test]
fn an_untrained_run_cannot_be_evaluated() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let error = checkpoint::load_newest(&run.dir, Classifier::new(&run.device)).unwrap_err();
    assert!(error.to_string().contains("no whole checkpoint"), "{error}");
}

/// Neither a checkpoint nor going back to one may lose or repeat what batch normalisation has seen.
#[test]
fn running_statistics_go_on_where_they_were() {
    let _turn = alone();
    let rolls_back = TrainingConfig {
        evaluate_every: 0,
        non_finite: crate::strategy::NonFinite::RollBack,
        ..config(STEPS)
    };
    for (config, poison) in [(config(STEPS), vec![]), (rolls_back, vec![34])] {
        let go = |folder: &Path, resume, stop: Option<usize>| {
            let mut run = run(folder, resume);
            run.memory = Some(u64::MAX);
            let loader = Steps {
                stop: stop.map(|step| (step, run.interrupter.clone())),
                poison: poison.clone(),
                ..Steps::new(STEPS)
            };
            let device = run.training_device(&config);
            let rehearsal = |_| {
                Ok(vec![
                    Steps {
                        device: device.clone(),
                        ..Steps::new(1)
                    }
                    .batch(0),
                ])
            };
            let model = rehearse(&run, &config, Normalised::new(&run.device), 4, 4, rehearsal)?;
            let valid = Arc::new(Steps::new(3));
            fit(&run, &config, model, Arc::new(loader), valid, 16.0)
        };
        let folder = tempfile::tempdir().unwrap();
        let whole = go(folder.path(), false, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        go(folder.path(), false, Some(12)).unwrap_err();
        go(folder.path(), true, Some(25)).unwrap_err();
        let resumed = go(folder.path(), true, None).unwrap();
        let outcome = |model: &Normalised| (model.classifier.weights(), model.seen());
        assert_eq!(outcome(&resumed.model), outcome(&whole.model));
    }
}
