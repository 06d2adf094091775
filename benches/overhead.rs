//! What the training engine costs: steps of `fit` against a bare Burn loop, with the model, the optimizer and
//! the batches of the recipe `vqa`, preset quick.
//!
//! ```text
//! cargo bench --profile dev --bench overhead
//! cargo bench --profile dev --bench overhead -- --steps 200
//! ```
//!
//! The bare loop runs the model on a batch and lets the optimizer step: no log, no progress, no norm of the gradients,
//! no look at whether the loss is a number. The two take turns step by step, on the same batch, so that a machine that
//! is faster in one minute than in the next is so for both; the ratio is taken of each pair. Making the batch counts
//! for neither, and the first steps do not count.

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use burn::train::{Interrupter, TrainStep};
use clap::Parser;
use crucible_datasets::{
    EvalLoader, ImageProcessor, Samples, Tokenizer, TrainLoader, VqaBatch, VqaCollate, VqaSample,
    open_vqa,
};
use crucible_downstream::Vqa;
use crucible_kernels::{Allocator, among_threads, keep_freed_memory};
use crucible_shared::VqaModel;
use crucible_training::optimizer::adamw;
use crucible_training::{Recipe, Run, RunDir, RunRecord, TrainingConfig, fit};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Steps of either that do not count.
const WARMUP: usize = 5;

/// Times steps of the engine against those of a bare loop.
#[derive(Parser)]
struct Args {
    /// Measured steps of either
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// A loop as short as it can be.
struct Bare {
    /// Taken for each step: the optimizer is alone with its weights.
    model: Option<VqaModel>,
    optimizer: ModuleOptimizer,
    learning_rate: f64,
}

impl Bare {
    fn step(&mut self, batch: VqaBatch) {
        if let Some(model) = self.model.take() {
            let output = among_threads(&Device::flex(), || TrainStep::step(&model, batch));
            self.model = Some(self.optimizer.step(self.learning_rate, model, output.grads));
        }
    }
}

/// Seconds of one step of each.
#[derive(Clone, Copy)]
struct Pair {
    bare: f64,
    engine: f64,
}

/// A loader that takes a bare step with each batch before it gives the batch away. The time from then until the
/// next is asked for is the engine's.
#[derive(Clone)]
struct TakingTurns {
    loader: Arc<dyn DataLoader<VqaBatch>>,
    bare: Arc<Mutex<Bare>>,
    times: Arc<Mutex<Vec<Pair>>>,
}

struct Turns<'a> {
    batches: Box<dyn DataLoaderIterator<VqaBatch> + 'a>,
    loader: &'a TakingTurns,
    /// How long the bare step took, and when the batch was given away.
    given: Option<(f64, Instant)>,
}

impl Iterator for Turns<'_> {
    type Item = Result<VqaBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((bare, given)) = self.given.take() {
            let engine = given.elapsed().as_secs_f64();
            locked(&self.loader.times).push(Pair { bare, engine });
        }
        let batch = self.batches.next()?;
        if let Ok(batch) = &batch {
            let batch = batch.clone();
            let started = Instant::now();
            locked(&self.loader.bare).step(batch);
            self.given = Some((started.elapsed().as_secs_f64(), Instant::now()));
        }
        Some(batch)
    }
}

impl DataLoaderIterator<VqaBatch> for Turns<'_> {
    fn progress(&self) -> Progress {
        self.batches.progress()
    }
}

impl DataLoader<VqaBatch> for TakingTurns {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<VqaBatch> + 'a> {
        Box::new(Turns {
            batches: self.loader.iter(),
            loader: self,
            given: None,
        })
    }

    fn num_items(&self) -> usize {
        self.loader.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<VqaBatch>> {
        Arc::new(Self {
            loader: self.loader.to_device(device),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<VqaBatch>> {
        Arc::new(Self {
            loader: self.loader.slice(start, end),
            ..self.clone()
        })
    }
}

/// The times of that many pairs of steps.
fn measure(steps: usize) -> Result<Vec<Pair>, Failure> {
    let config = Vqa::preset("quick", &toml::Table::new());
    // The last step has a validation and a checkpoint after it; its time ends where no batch is asked for any more.
    let training = TrainingConfig {
        steps: steps + WARMUP + 1,
        evaluate_every: 0,
        checkpoint_every: 0,
        ..config.training.clone()
    };
    let data = open_vqa(&config.data)?;
    let tokenizer = Tokenizer::new(&config.tokenizer, &data.training_texts()?)?;
    let vocabulary = tokenizer.vocabulary_size();
    let images = ImageProcessor::new(&config.image)?.into();
    let augment = config.augment.clone();
    let labels = &data.labels;
    let collate = VqaCollate::new(images, augment, tokenizer.into(), labels, config.blank)?;
    let collate = Arc::new(collate);

    let folder = tempfile::tempdir()?;
    let device = Device::flex();
    let run = Run {
        dir: RunDir::new(folder.path()),
        seed: 0,
        device: device.clone(),
        others: Vec::new(),
        backend: "flex".into(),
        memory: None,
        interrupter: Interrupter::new(),
        resume: false,
        init: None,
        data: String::new(),
        tuning: false,
        quiet: true,
        profile: false,
        tensorboard: false,
    };
    let record = RunRecord::new("vqa", "quick", &toml::Table::new(), 0, "flex", &device, "");
    let _lock = run.start(&record)?;
    let device = run.training_device(&training);
    let model = || config.init(vocabulary, labels.len(), &device);
    let (bare, devices) = (model(), std::slice::from_ref(&device));
    let train = TakingTurns {
        loader: Arc::new(TrainLoader::new(
            data.train.clone(),
            collate.clone(),
            &config.loader,
            0,
            training.steps,
            devices,
        )?),
        bare: Arc::new(Mutex::new(Bare {
            optimizer: adamw(&training, &bare, &device),
            model: Some(bare),
            learning_rate: training.learning_rate,
        })),
        times: Arc::default(),
    };
    let few: Samples<VqaSample> = {
        let sample = data.valid.get(0)?;
        Arc::new(burn::data::dataset::InMemDataset::new(vec![sample]))
    };
    let valid = Arc::new(EvalLoader::new(few, collate, &config.loader, &device)?);
    let times = train.times.clone();
    fit(&run, &training, model(), Arc::new(train), valid, 1.0)?;
    let times = locked(&times);
    Ok(times[WARMUP..].to_vec())
}

fn main() -> Result<(), Failure> {
    keep_freed_memory();
    let times = measure(Args::parse().steps as usize)?;
    let sorted = |value: fn(&Pair) -> f64| {
        let mut values: Vec<f64> = times.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (bare, engine) = (sorted(|pair| pair.bare), sorted(|pair| pair.engine));
    let ratios = sorted(|pair| pair.engine / pair.bare);
    let at = |values: &[f64], share: f64| values[((values.len() - 1) as f64 * share) as usize];
    println!(
        "a step: bare loop {:.1} ms, engine {:.1} ms; median of {} ratios {:.3} (p10 {:.3}, p90 {:.3})",
        1e3 * at(&bare, 0.5),
        1e3 * at(&engine, 0.5),
        ratios.len(),
        at(&ratios, 0.5),
        at(&ratios, 0.1),
        at(&ratios, 0.9),
    );
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
