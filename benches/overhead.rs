//! What the training engine costs: steps of `fit` against a bare Burn loop, with the model, the optimizer and
//! the batches of the recipe `vqa`, preset quick.
//!
//! ```text
//! cargo bench --profile dev --bench overhead
//! cargo bench --profile dev --bench overhead -- --steps 40 --rounds 9
//! ```
//!
//! The bare loop takes a batch, runs the model, and lets the optimizer step: no log, no progress, no norm of the
//! gradients, no look at whether the loss is a number. Runs alternate; of each the median step counts, and its first
//! step not at all.

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn::train::{Interrupter, TrainStep};
use clap::Parser;
use crucible_datasets::{
    EvalLoader, ImageProcessor, Samples, Tokenizer, TrainLoader, VqaCollate, VqaData, VqaSample,
    open_vqa,
};
use crucible_downstream::{Vqa, VqaConfig, VqaModel};
use crucible_training::metrics::MetricLine;
use crucible_training::optimizer::adamw;
use crucible_training::{Recipe, Run, RunDir, RunRecord, TrainingConfig, fit, metrics};
use std::sync::Arc;
use std::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Times steps of the engine against those of a bare loop.
#[derive(Parser)]
struct Args {
    /// Measured steps of a run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Runs on either side
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Model, data and how to train, with nothing in between the steps that could be left out.
struct Workload {
    config: VqaConfig,
    training: TrainingConfig,
    data: VqaData,
    vocabulary: usize,
    collate: Arc<VqaCollate>,
}

impl Workload {
    fn new(steps: usize) -> Result<Self, Failure> {
        let config = Vqa::preset("quick", &toml::Table::new());
        let data = open_vqa(&config.data)?;
        let tokenizer = Tokenizer::new(&config.tokenizer, &data.training_texts()?)?;
        let vocabulary = tokenizer.vocabulary_size();
        let images = ImageProcessor::new(&config.image)?.into();
        let augment = config.augment.clone();
        let tokenizer = tokenizer.into();
        let collate = VqaCollate::new(images, augment, tokenizer, &data.labels, config.blank)?;
        let training = TrainingConfig {
            steps,
            evaluate_every: 0,
            checkpoint_every: 0,
            log_every: 1,
            clip_norm: 0.0,
            ..config.training.clone()
        };
        Ok(Self {
            config,
            training,
            data,
            vocabulary,
            collate: Arc::new(collate),
        })
    }

    fn loader(&self, device: &Device) -> Result<TrainLoader<VqaCollate>, Failure> {
        let (samples, collate) = (self.data.train.clone(), self.collate.clone());
        let steps = self.training.steps;
        Ok(TrainLoader::new(
            samples,
            collate,
            &self.config.loader,
            0,
            steps,
            device,
        )?)
    }

    fn model(&self, device: &Device) -> VqaModel {
        self.config
            .init(self.vocabulary, self.data.labels.len(), device)
    }

    /// Seconds of the median step of a bare loop.
    fn bare(&self) -> Result<f64, Failure> {
        let device = Device::flex();
        device.seed(0);
        let mut model = self.model(&device.clone().autodiff());
        let mut optimizer = adamw(&self.training, &model, &device);
        let loader = self.loader(&device.clone().autodiff())?;
        let (started, mut times) = (Instant::now(), Vec::new());
        for batch in loader.iter() {
            let output = TrainStep::step(&model, batch?);
            model = optimizer.step(self.training.learning_rate, model, output.grads);
            times.push(started.elapsed().as_secs_f64());
        }
        Ok(median_step(&times))
    }

    /// Seconds of the median step of the engine, from its own log.
    fn engine(&self) -> Result<f64, Failure> {
        let folder = tempfile::tempdir()?;
        let device = Device::flex();
        let run = Run {
            dir: RunDir::new(folder.path()),
            seed: 0,
            device: device.clone(),
            backend: "flex".into(),
            interrupter: Interrupter::new(),
            resume: false,
            data: String::new(),
            quiet: true,
            profile: false,
        };
        let record = RunRecord::new("vqa", "quick", &toml::Table::new(), 0, "flex", &device, "");
        let _lock = run.start(&record)?;
        let train = Arc::new(self.loader(&device)?);
        let few: Samples<VqaSample> = {
            let sample = self.data.valid.get(0)?;
            Arc::new(burn::data::dataset::InMemDataset::new(vec![sample]))
        };
        let valid = EvalLoader::new(few, self.collate.clone(), &self.config.loader, &device)?;
        let model = self.model(&run.training_device(&self.training));
        fit(&run, &self.training, model, train, Arc::new(valid), 1.0)?;
        let lines = metrics::read(&run.dir)?.into_iter();
        let seconds =
            |line: &MetricLine| line.name == metrics::SECONDS && line.split == metrics::TRAIN;
        let times: Vec<f64> = lines.filter(seconds).map(|line| line.value).collect();
        Ok(median_step(&times))
    }
}

/// The median of the times between the ends of steps.
fn median_step(ends: &[f64]) -> f64 {
    median(&mut ends.windows(2).map(|pair| pair[1] - pair[0]).collect())
}

fn median(values: &mut Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let workload = Workload::new(args.steps as usize + 1)?;
    let (mut bare, mut engine) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        // Whoever comes second may find the machine warmer or busier: they take turns.
        if round % 2 == 0 {
            engine.push(workload.engine()?);
            bare.push(workload.bare()?);
        } else {
            bare.push(workload.bare()?);
            engine.push(workload.engine()?);
        }
    }
    let mut ratios: Vec<f64> = engine.iter().zip(&bare).map(|(a, b)| a / b).collect();
    println!(
        "a step: bare loop {:.1} ms, engine {:.1} ms; median of {} ratios {:.3} ({:.3} to {:.3})",
        1e3 * median(&mut bare),
        1e3 * median(&mut engine),
        args.rounds,
        median(&mut ratios),
        ratios[0],
        ratios[ratios.len() - 1],
    );
    Ok(())
}
