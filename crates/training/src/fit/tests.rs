use super::*;
use crate::fixture::{Classifier, SAMPLES, Steps, alone, config, record, run};
use crate::metrics::{self, MetricLine};
use std::collections::BTreeSet;
use std::path::Path;

const STEPS: usize = 40;

fn train(run: &Run, loader: Steps) -> Result<Fitted<Classifier>, Error> {
    let model = Classifier::new(&run.device);
    fit(
        run,
        &config(STEPS),
        model,
        Arc::new(loader),
        Arc::new(Steps::new(3)),
        16.0,
    )
}

fn uninterrupted() -> (tempfile::TempDir, Fitted<Classifier>) {
    let folder = tempfile::tempdir().unwrap();
    let fitted = train(&run(folder.path(), false), Steps::new(STEPS)).unwrap();
    (folder, fitted)
}

/// What the seed decides; the clock does not.
fn lines(folder: &Path) -> Vec<MetricLine> {
    let mut lines = metrics::read(&crate::RunDir::new(folder)).unwrap();
    lines.retain(|line| line.name != metrics::SECONDS);
    lines
}

fn values(lines: &[MetricLine], split: &str, name: &str) -> Vec<f64> {
    lines
        .iter()
        .filter(|line| line.split == split && line.name == name)
        .map(|line| line.value)
        .collect()
}

#[test]
fn it_learns_and_logs_what_it_saw() {
    let _turn = alone();
    let (folder, fitted) = uninterrupted();
    assert_eq!(
        (fitted.cost.steps, fitted.cost.parameters),
        (STEPS, 2 * 8 + 8 + 16 + 8 * 2 + 2)
    );
    let lines = lines(folder.path());
    let losses = values(&lines, "train", "loss");
    assert_eq!(losses.len(), STEPS);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(
        mean(&losses[STEPS - 8..]) < 0.6 * mean(&losses[..8]),
        "{losses:?}"
    );
    assert!(
        fitted.validation["accuracy"] > 0.7,
        "{:?}",
        fitted.validation
    );
    assert_eq!(values(&lines, "valid", "accuracy").len(), STEPS / 10);
    let losses = values(&lines, "valid", "loss");
    assert_eq!(losses[3..], [fitted.validation["loss"]]);
    let config = config(STEPS);
    let schedule = WarmupCosine::new(config.learning_rate, config.min_learning_rate, 5, STEPS);
    let rates: Vec<f64> = (1..=STEPS).map(|step| schedule.rate(step)).collect();
    assert_eq!(values(&lines, "train", "learning_rate"), rates);
    assert!(
        values(&lines, "train", "grad_norm")
            .iter()
            .all(|norm| *norm > 0.0)
    );
    let last = lines.last().unwrap();
    assert_eq!((last.step, last.epoch), (STEPS, STEPS as f64 / 16.0));
}

#[test]
fn samples_are_counted_and_time_goes_on_where_it_stopped() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let loader = Steps {
        poison: Some(25),
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
fn validation_is_the_mean_over_samples_without_dropout() {
    let _turn = alone();
    let (_folder, fitted) = uninterrupted();
    let valid = Steps::new(3);
    let mut means = metrics::Means::default();
    for batch in valid.iter() {
        means.add(&fitted.model.classify(batch.unwrap()));
    }
    assert_eq!(means.means(), fitted.validation);
    assert_eq!(SAMPLES * 3, 24);
}

#[test]
fn the_seed_decides_the_weights() {
    let _turn = alone();
    let (_folder, first) = uninterrupted();
    let (_folder, again) = uninterrupted();
    assert_eq!(first.model.weights(), again.model.weights());
    let folder = tempfile::tempdir().unwrap();
    let mut other = run(folder.path(), false);
    other.seed += 1;
    let other = train(&other, Steps::new(STEPS)).unwrap();
    assert_ne!(first.model.weights(), other.model.weights());
}

#[test]
fn a_model_on_either_device_starts_alike() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let model = Classifier::new(&run.training_device());
    let fitted = fit(
        &run,
        &config(STEPS),
        model,
        Arc::new(Steps::new(STEPS)),
        Arc::new(Steps::new(3)),
        16.0,
    )
    .unwrap();
    assert_eq!(fitted.model.weights(), uninterrupted().1.model.weights());
}

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
        poison: Some(13),
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
        poison: Some(25),
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
fn a_broken_number_stops_before_it_reaches_the_weights() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let error = train(
        &run,
        Steps {
            poison: Some(10),
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
fn a_configuration_that_contradicts_itself_or_the_loader_is_refused() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let attempt = |config: TrainingConfig| {
        let model = Classifier::new(&run.device);
        let train = Arc::new(Steps::new(STEPS));
        fit(&run, &config, model, train, Arc::new(Steps::new(3)), 16.0).unwrap_err()
    };
    let error = attempt(config(STEPS + 1));
    assert!(
        error.to_string().contains("40 steps, the configuration 41"),
        "{error}"
    );
    let error = attempt(TrainingConfig {
        min_learning_rate: 0.5,
        ..config(STEPS)
    });
    assert!(
        error.to_string().contains("`min_learning_rate` (0.5)"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn an_untrained_run_cannot_be_evaluated() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let error = checkpoint::load_newest(&run.dir, Classifier::new(&run.device)).unwrap_err();
    assert!(error.to_string().contains("no whole checkpoint"), "{error}");
}

#[test]
fn a_loader_that_ends_early_is_an_error() {
    let _turn = alone();
    struct Short(Steps);
    impl DataLoader<crate::fixture::Points> for Short {
        fn iter<'a>(
            &'a self,
        ) -> Box<dyn burn::data::dataloader::DataLoaderIterator<crate::fixture::Points> + 'a>
        {
            self.0.iter()
        }
        fn num_items(&self) -> usize {
            STEPS
        }
        fn to_device(
            &self,
            _: &burn::tensor::Device,
        ) -> Arc<dyn DataLoader<crate::fixture::Points>> {
            Arc::new(Short(self.0.clone()))
        }
        fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<crate::fixture::Points>> {
            self.0.slice(start, end)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), false);
    let device = run.training_device();
    let loader = Short(Steps {
        device: device.clone(),
        ..Steps::new(12)
    });
    let error = fit(
        &run,
        &config(STEPS),
        Classifier::new(&device),
        Arc::new(loader),
        Arc::new(Steps::new(1)),
        1.0,
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("ended after step 12 of 40")
    );
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
