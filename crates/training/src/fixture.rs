//! A model and a loader small enough to train in a test: two classes of points, told apart by a line.

use crate::{ClassificationOutput, Run, RunDir, RunRecord, TrainingConfig, seeds};
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig,
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{InferenceStep, Interrupter, TrainOutput, TrainStep};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub const SAMPLES: usize = 8;

/// Burn's generators belong to the process, and tests run in its threads: those that draw take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Points `[samples, 2]` and their classes `[samples]`.
#[derive(Clone)]
pub struct Points {
    pub points: Tensor<2>,
    pub classes: Tensor<1, Int>,
    pub ids: Vec<String>,
}

#[derive(Module, Debug)]
pub struct Classifier {
    pub hidden: Linear,
    pub norm: LayerNorm,
    dropout: Dropout,
    pub head: Linear,
}

impl Classifier {
    /// Without dropout.
    pub fn sober(device: &Device) -> Self {
        Self {
            dropout: DropoutConfig::new(0.0).init(),
            ..Self::new(device)
        }
    }

    pub fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(2, 8).init(device),
            norm: LayerNormConfig::new(8).init(device),
            dropout: DropoutConfig::new(0.1).init(),
            head: LinearConfig::new(8, 2).init(device),
        }
    }

    pub fn classify(&self, batch: Points) -> ClassificationOutput {
        let hidden = self.norm.forward(self.hidden.forward(batch.points)).tanh();
        let logits = self.head.forward(self.dropout.forward(hidden));
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), batch.classes.clone());
        ClassificationOutput {
            loss,
            logits,
            targets: batch.classes,
            ids: batch.ids,
        }
    }

    /// All weights, bit for bit.
    pub fn weights(&self) -> Vec<u32> {
        let linear = |linear: &Linear| {
            let mut values = linear.weight.val().into_data().try_to_vec::<f32>().unwrap();
            values.extend(
                linear
                    .bias
                    .as_ref()
                    .unwrap()
                    .val()
                    .into_data()
                    .try_to_vec::<f32>()
                    .unwrap(),
            );
            values
        };
        let mut values = [linear(&self.hidden), linear(&self.head)].concat();
        values.extend(
            self.norm
                .gamma
                .val()
                .into_data()
                .try_to_vec::<f32>()
                .unwrap(),
        );
        values.into_iter().map(f32::to_bits).collect()
    }
}

impl TrainStep for Classifier {
    type Input = Points;
    type Output = ClassificationOutput;

    fn step(&self, batch: Points) -> TrainOutput<ClassificationOutput> {
        self.classify(batch).backward(self)
    }
}

impl InferenceStep for Classifier {
    type Input = Points;
    type Output = ClassificationOutput;

    fn step(&self, batch: Points) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// The same behind a normalisation over the batch.
#[derive(Module, Debug)]
pub struct Normalised {
    norm: BatchNorm,
    pub classifier: Classifier,
}

impl Normalised {
    pub fn new(device: &Device) -> Self {
        Self {
            norm: BatchNormConfig::new(2).init(device),
            classifier: Classifier::new(device),
        }
    }

    /// The running mean, bit for bit, with the last forward pass taken in.
    pub fn seen(&self) -> Vec<u32> {
        let mean = self.norm.running_mean.value_sync().into_data();
        mean.iter::<f32>().map(f32::to_bits).collect()
    }

    fn classify(&self, mut batch: Points) -> ClassificationOutput {
        let points = self.norm.forward(batch.points.unsqueeze_dim::<3>(2));
        batch.points = points.squeeze_dim(2);
        self.classifier.classify(batch)
    }
}

impl TrainStep for Normalised {
    type Input = Points;
    type Output = ClassificationOutput;

    fn step(&self, batch: Points) -> TrainOutput<ClassificationOutput> {
        self.classify(batch).backward(self)
    }
}

impl InferenceStep for Normalised {
    type Input = Points;
    type Output = ClassificationOutput;

    fn step(&self, batch: Points) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// One batch a step, a function of the step alone. `poison` makes the points of some steps infinite;
/// `stop` asks for a stop while the batch of one step is being made.
#[derive(Clone)]
pub struct Steps {
    pub range: Range<usize>,
    pub device: Device,
    pub poison: Vec<usize>,
    pub stop: Option<(usize, Interrupter)>,
}

impl Steps {
    pub fn new(count: usize) -> Self {
        Self {
            range: 0..count,
            device: Device::flex(),
            poison: Vec::new(),
            stop: None,
        }
    }

    pub fn batch(&self, step: usize) -> Points {
        if let Some((at, interrupter)) = &self.stop
            && *at == step
        {
            interrupter.stop(None);
        }
        let draw = |index: usize| {
            seeds::derive(7, step as u64, index as u64) as f64 / u64::MAX as f64 * 2.0 - 1.0
        };
        let mut points: Vec<f32> = (0..2 * SAMPLES).map(|index| draw(index) as f32).collect();
        let classes: Vec<i64> = points
            .chunks(2)
            .map(|point| i64::from(point[0] + 0.5 * point[1] > 0.1))
            .collect();
        if self.poison.contains(&step) {
            points[0] = f32::INFINITY;
        }
        Points {
            points: Tensor::from_data(TensorData::new(points, [SAMPLES, 2]), &self.device),
            classes: Tensor::from_data(TensorData::new(classes, [SAMPLES]), &self.device),
            ids: (0..SAMPLES)
                .map(|point| format!("batch {step}, point {point}"))
                .collect(),
        }
    }
}

struct StepsIterator<'a> {
    steps: &'a Steps,
    done: usize,
}

impl Iterator for StepsIterator<'_> {
    type Item = Result<Points, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.steps.range.clone().nth(self.done)?;
        self.done += 1;
        Some(Ok(self.steps.batch(step)))
    }
}

impl DataLoaderIterator<Points> for StepsIterator<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.steps.range.len(), None)
    }
}

impl DataLoader<Points> for Steps {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Points> + 'a> {
        Box::new(StepsIterator {
            steps: self,
            done: 0,
        })
    }

    fn num_items(&self) -> usize {
        self.range.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Points>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Points>> {
        let first = self.range.start;
        Arc::new(Self {
            range: first + start..first + end,
            ..self.clone()
        })
    }
}

/// A run in `folder` that has written its `run.json`.
pub fn run(folder: &Path, resume: bool) -> Run {
    let run = Run {
        dir: RunDir::new(folder),
        seed: 3,
        device: Device::flex(),
        others: Vec::new(),
        backend: "flex".to_string(),
        memory: None,
        interrupter: Interrupter::new(),
        resume,
        init: None,
        data: String::new(),
        tuning: false,
        quiet: true,
        profile: false,
        tensorboard: false,
    };
    drop(run.start(&record(&run)).unwrap());
    run
}

pub fn record(run: &Run) -> RunRecord {
    let config = toml::from_str("steps = 40\n[model]\nwidth = 8\n").unwrap();
    RunRecord::new(
        "points",
        "smoke",
        &config,
        run.seed,
        &run.backend,
        &run.device,
        &run.data,
    )
}

pub fn config(steps: usize) -> TrainingConfig {
    TrainingConfig {
        evaluate_every: 10,
        checkpoint_every: 10,
        log_every: 1,
        warmup_steps: 5,
        ..TrainingConfig::new(steps, 0.05)
    }
}
