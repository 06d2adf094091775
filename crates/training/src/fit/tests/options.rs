//! What the configuration can ask for, each with a resumed run that ends the same.

use super::*;
use crate::ClassificationOutput;
use crate::fixture::{Normalised, Points};
use crate::strategy::Monitor;
use burn::data::dataloader::DataLoaderIterator;
use burn::tensor::Device;
use burn::train::Interrupter;

fn with(folder: &Path, resume: bool, config: &TrainingConfig) -> Result<Fitted<Classifier>, Error> {
    let run = run(folder, resume);
    let model = Classifier::new(&run.training_device(config));
    let train = Arc::new(Steps::new(config.steps));
    fit(&run, config, model, train, Arc::new(Steps::new(3)), 16.0)
}

/// Whether a training that is killed at step 26 and resumed ends with the same weights and log.
fn resumes(config: &TrainingConfig) -> Fitted<Classifier> {
    let whole_folder = tempfile::tempdir().unwrap();
    let whole = with(whole_folder.path(), false, config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let killed = run(folder.path(), false);
    let loader = Steps {
        poison: vec![25],
        ..Steps::new(STEPS)
    };
    let model = Classifier::new(&killed.training_device(config));
    fit(
        &killed,
        config,
        model,
        Arc::new(loader),
        Arc::new(Steps::new(3)),
        16.0,
    )
    .unwrap_err();
    let resumed = with(folder.path(), true, config).unwrap();
    assert_eq!(resumed.model.weights(), whole.model.weights());
    assert_eq!(lines(folder.path()), lines(whole_folder.path()));
    whole
}

/// Each batch in parts of five and three samples.
#[derive(Clone)]
struct Parts {
    whole: Steps,
    parts: std::ops::Range<usize>,
}

impl DataLoader<Points> for Parts {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Points> + 'a> {
        struct Iter<'a>(&'a Parts, std::ops::Range<usize>);
        impl Iterator for Iter<'_> {
            type Item = Result<Points, burn::data::dataset::DatasetError>;
            fn next(&mut self) -> Option<Self::Item> {
                let part = self.1.next()?;
                let Points {
                    points,
                    classes,
                    ids,
                } = self.0.whole.batch(part / 2);
                let range = [0..5, 5..SAMPLES][part % 2].clone();
                Some(Ok(Points {
                    points: points.slice([range.clone(), 0..2]),
                    classes: classes.slice([range.clone()]),
                    ids: ids[range].to_vec(),
                }))
            }
        }
        impl DataLoaderIterator<Points> for Iter<'_> {
            fn progress(&self) -> burn::data::dataloader::Progress {
                burn::data::dataloader::Progress::new(0, self.0.parts.len(), None)
            }
        }
        Box::new(Iter(self, self.parts.clone()))
    }

    fn num_items(&self) -> usize {
        self.parts.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Points>> {
        Arc::new(Self {
            whole: Steps {
                device: device.clone(),
                ..self.whole.clone()
            },
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Points>> {
        Arc::new(Self {
            parts: self.parts.start + start..self.parts.start + end,
            ..self.clone()
        })
    }
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let _turn = alone();
    let once = config(STEPS);
    let twice = TrainingConfig {
        accumulate: 2,
        ..once.clone()
    };
    let parts = Parts {
        whole: Steps::new(STEPS),
        parts: 0..2 * STEPS,
    };
    let fitted = |config: &TrainingConfig, loader: Arc<dyn DataLoader<Points>>| {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        let model = Classifier::sober(&run.device);
        let fitted = fit(&run, config, model, loader, Arc::new(Steps::new(3)), 16.0).unwrap();
        (fitted, lines(folder.path()))
    };
    let (whole, whole_lines) = fitted(&once, Arc::new(Steps::new(STEPS)));
    let (parted, lines) = fitted(&twice, Arc::new(parts.clone()));
    assert_eq!(parted.cost.samples, whole.cost.samples);
    let weights = |model: &Classifier| model.weights().into_iter().map(f32::from_bits);
    for (a, b) in weights(&parted.model).zip(weights(&whole.model)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let norms = |lines: &[MetricLine]| values(lines, "train", "grad_norm");
    assert!((norms(&lines)[0] - norms(&whole_lines)[0]).abs() < 1e-6);

    // Stopped between two steps, it goes on with the right batch.
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), false);
    let stops = Parts {
        whole: Steps {
            stop: Some((17, first.interrupter.clone())),
            ..Steps::new(STEPS)
        },
        ..parts.clone()
    };
    let go = |run: &Run, loader: Parts| {
        let model = Classifier::sober(&run.device);
        fit(
            run,
            &twice,
            model,
            Arc::new(loader),
            Arc::new(Steps::new(3)),
            16.0,
        )
    };
    let error = go(&first, stops).unwrap_err();
    assert!(
        matches!(error, Error::Interrupted { step: 18, .. }),
        "{error}"
    );
    let resumed = go(&run(folder.path(), true), parts).unwrap();
    assert_eq!(resumed.model.weights(), parted.model.weights());
}

/// The first part of step 11 is broken: its second part must not become the first of step 12.
#[test]
fn a_step_left_out_takes_all_its_batches_with_it() {
    let _turn = alone();
    let config = TrainingConfig {
        accumulate: 2,
        non_finite: crate::strategy::NonFinite::Skip,
        ..config(STEPS)
    };
    let go = |run: &Run, stop: Option<(usize, Interrupter)>| {
        let loader = Parts {
            whole: Steps {
                poison: vec![10],
                stop,
                ..Steps::new(STEPS)
            },
            parts: 0..2 * STEPS,
        };
        let model = Classifier::new(&run.device);
        fit(
            run,
            &config,
            model,
            Arc::new(loader),
            Arc::new(Steps::new(3)),
            16.0,
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let whole = go(&run(folder.path(), false), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), false);
    let stop = Some((17, first.interrupter.clone()));
    assert!(matches!(
        go(&first, stop),
        Err(Error::Interrupted { step: 18, .. })
    ));
    let resumed = go(&run(folder.path(), true), None).unwrap();
    assert_eq!(resumed.model.weights(), whole.model.weights());
}

#[test]
fn an_average_of_the_weights_is_what_is_used() {
    let _turn = alone();
    let averaged = resumes(&TrainingConfig {
        ema_decay: 0.9,
        ..config(STEPS)
    });
    let (folder, plain) = uninterrupted();
    assert_ne!(averaged.model.weights(), plain.model.weights());
    assert_ne!(averaged.validation, plain.validation);
    // The weights that train are the same; only what is used differs.
    let plain_losses = values(&lines(folder.path()), "train", "loss");
    let folder = tempfile::tempdir().unwrap();
    let config = TrainingConfig {
        ema_decay: 0.9,
        ..config(STEPS)
    };
    let fitted = with(folder.path(), false, &config).unwrap();
    assert_eq!(values(&lines(folder.path()), "train", "loss"), plain_losses);
    let dir = crate::RunDir::new(folder.path());
    let used = checkpoint::load_newest(&dir, Classifier::new(&Device::flex())).unwrap();
    assert_eq!(used.weights(), fitted.model.weights());
}

#[test]
fn a_frozen_part_does_not_move() {
    let _turn = alone();
    let fitted = resumes(&TrainingConfig {
        freeze: vec!["hidden".into()],
        ..config(STEPS)
    });
    let free = uninterrupted().1;
    let hidden = |model: &Classifier| -> Vec<f32> {
        model.hidden.weight.val().into_data().try_to_vec().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let start = run(folder.path(), false);
    let model = initialise(&start, &config(STEPS), Classifier::new(&start.device))
        .unwrap()
        .0;
    assert_eq!(hidden(&fitted.model), hidden(&model));
    assert_ne!(hidden(&free.model), hidden(&model));
    let head = |model: &Classifier| -> Vec<f32> {
        model.head.weight.val().into_data().try_to_vec().unwrap()
    };
    assert_ne!(head(&fitted.model), head(&model));
    let error = with(
        folder.path(),
        true,
        &TrainingConfig {
            freeze: vec!["hiden".into()],
            ..config(STEPS)
        },
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("did you mean `hidden`"), "{error}");
}

#[test]
fn gradient_checkpointing_changes_no_weight() {
    let _turn = alone();
    let fitted = resumes(&TrainingConfig {
        gradient_checkpointing: true,
        ..config(STEPS)
    });
    assert_eq!(fitted.model.weights(), uninterrupted().1.model.weights());
}

#[test]
fn another_schedule_trains_to_another_model() {
    let _turn = alone();
    let fitted = resumes(&TrainingConfig {
        decay: crate::schedule::Decay::Rsqrt,
        ..config(STEPS)
    });
    assert_ne!(fitted.model.weights(), uninterrupted().1.model.weights());
}

#[test]
fn the_best_checkpoints_are_kept_and_the_best_is_used() {
    let _turn = alone();
    let config = TrainingConfig {
        evaluate_every: 1,
        keep_best: 2,
        keep_checkpoints: 1,
        learning_rate: 0.7,
        decay: crate::schedule::Decay::Constant,
        monitor: Monitor::Accuracy,
        ..config(STEPS)
    };
    let folder = tempfile::tempdir().unwrap();
    let fitted = with(folder.path(), false, &config).unwrap();
    let accuracies = values(&lines(folder.path()), "valid", "accuracy");
    assert_eq!(accuracies.len(), STEPS);
    let best = accuracies.iter().fold(0.0, |best, x| f64::max(best, *x));
    assert!(
        accuracies[STEPS - 1] < best,
        "nothing to select: {accuracies:?}"
    );
    let mut means = metrics::Means::default();
    for batch in Steps::new(3).iter() {
        means.add(&fitted.model.classify(batch.unwrap()).observe());
    }
    assert_eq!(means.means()["accuracy"], best);
    let dir = crate::RunDir::new(folder.path());
    let used = checkpoint::load_newest(&dir, Classifier::new(&Device::flex())).unwrap();
    assert_eq!(used.weights(), fitted.model.weights());
    let sets = std::fs::read_dir(dir.checkpoints()).unwrap().count();
    assert_eq!(sets, 3, "the last and the two best");
    resumes(&config);
}

#[test]
fn patience_and_time_end_a_training_with_its_state_saved() {
    let _turn = alone();
    let impatient = TrainingConfig {
        evaluate_every: 2,
        patience: 2,
        learning_rate: 0.9,
        ..config(STEPS)
    };
    let fitted = resumes_short(&impatient);
    assert!(fitted.cost.steps < STEPS, "{}", fitted.cost.steps);
    assert!(fitted.ended.contains("`patience`"), "{}", fitted.ended);
    let hasty = TrainingConfig {
        max_minutes: 1e-9,
        ..config(STEPS)
    };
    let fitted = resumes_short(&hasty);
    assert!(fitted.cost.steps < STEPS && fitted.ended.contains("`max_minutes`"));
}

/// A training that ends early ends there when it is started again, too.
fn resumes_short(config: &TrainingConfig) -> Fitted<Classifier> {
    let folder = tempfile::tempdir().unwrap();
    let fitted = with(folder.path(), false, config).unwrap();
    let again = with(folder.path(), true, config).unwrap();
    assert_eq!(again.cost.steps, fitted.cost.steps);
    assert_eq!(again.model.weights(), fitted.model.weights());
    fitted
}

#[test]
fn several_devices_share_an_update_and_change_nothing() {
    let _turn = alone();
    let config = TrainingConfig {
        accumulate: 4,
        ..config(STEPS)
    };
    let go = |others: usize, resume: Option<usize>| {
        let folder = tempfile::tempdir().unwrap();
        let fitted = |resume, stop: Option<usize>| {
            let mut run = run(folder.path(), resume);
            run.others = vec![run.device.clone(); others];
            let loader = Parts {
                whole: Steps {
                    device: run.training_device(&config),
                    stop: stop.map(|step| (step, run.interrupter.clone())),
                    ..Steps::new(2 * STEPS)
                },
                parts: 0..4 * STEPS,
            };
            let model = Classifier::sober(&run.device);
            let valid = Arc::new(Steps::new(3));
            fit(&run, &config, model, Arc::new(loader), valid, 16.0)
        };
        if resume.is_some() {
            fitted(false, resume).unwrap_err();
        }
        let fitted = fitted(resume.is_some(), None).unwrap();
        (fitted.model.weights(), lines(folder.path()))
    };
    let one = go(0, None);
    assert_eq!(go(1, None), one);
    assert_eq!(go(3, Some(31)), one);

    let folder = tempfile::tempdir().unwrap();
    let mut run = run(folder.path(), false);
    run.others = vec![run.device.clone(); 2];
    let error = refusal(&run, &config, Classifier::sober(&run.device));
    assert!(error.contains("multiple of the 3 devices"), "{error}");
    run.others.truncate(1);
    let error = refusal(&run, &config, Normalised::new(&run.device));
    assert!(
        error.contains("batch normalisation cannot train on several devices"),
        "{error}"
    );
}

fn refusal<M>(run: &Run, config: &TrainingConfig, model: M) -> String
where
    M: LearnerModel
        + TrainStep<Input = Points, Output = ClassificationOutput>
        + InferenceStep<Input = Points, Output = ClassificationOutput>,
{
    let (train, valid) = (Steps::new(config.batches()), Steps::new(3));
    let error = fit(run, config, model, Arc::new(train), Arc::new(valid), 16.0).err();
    error.unwrap().to_string()
}

#[test]
fn validations_come_by_the_clock_too() {
    let _turn = alone();
    let config = TrainingConfig {
        evaluate_every: 0,
        evaluate_minutes: 1e-9,
        ..config(STEPS)
    };
    let folder = tempfile::tempdir().unwrap();
    with(folder.path(), false, &config).unwrap();
    assert_eq!(values(&lines(folder.path()), "valid", "loss").len(), STEPS);
}
