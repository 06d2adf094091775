use super::*;
use crate::fixture::{Classifier, SAMPLES, Steps, alone, config, record, run};
use crate::metrics::{self, MetricLine};
use std::path::Path;

mod guards;
mod options;
mod resume;

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
    let schedule = config.schedule();
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
fn validation_is_the_mean_over_samples_without_dropout() {
    let _turn = alone();
    let (_folder, fitted) = uninterrupted();
    let valid = Steps::new(3);
    let mut means = metrics::Means::default();
    for batch in valid.iter() {
        means.add(&fitted.model.classify(batch.unwrap()).observe());
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
    let model = Classifier::new(&run.training_device(&config(STEPS)));
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
        error
            .to_string()
            .contains("40 batches, the configuration 41 steps of 1"),
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
    let device = run.training_device(&config(STEPS));
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
