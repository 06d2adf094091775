//! The one custom strategy of Burn's `Learner`: it counts steps, and everything it does at a step is a
//! function of that step.

use crate::checkpoint::{self, State};
use crate::metrics::{Means, MetricsLog, SECONDS, TRAIN, VALID};
use crate::optimizer::{clip, global_norm};
use crate::progress::{Progress, Tick, duration};
use crate::{Error, Observe, Run, Scalar, TrainingConfig, seeds};
use burn::train::metric::store::EventStoreClient;
use burn::train::{
    InferenceStep, Learner, LearnerModel, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingComponents, ValidLoader,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Trains from the step after `start` to the last step of the training loader.
pub(crate) struct StepStrategy {
    pub run: Run,
    pub config: TrainingConfig,
    pub config_digest: String,
    pub steps_per_epoch: f64,
    /// Where an earlier process stopped.
    pub start: State,
    /// How it ended; Burn's strategy has no way to return it.
    pub end: Mutex<Option<Result<End, Error>>>,
}

/// The end of a finished training.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub step: usize,
    pub samples: u64,
    pub seconds: f64,
    /// Means of the last validation.
    pub validation: BTreeMap<String, f64>,
}

impl<M> SupervisedLearningStrategy<M> for StepStrategy
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    fn fit(
        &self,
        components: TrainingComponents<M>,
        learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        _starting_epoch: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        let mut session = Session {
            strategy: self,
            learner,
            valid: valid.to_device(&self.run.device),
            store: components.event_store,
            started: Instant::now(),
            samples: self.start.samples,
            progress: Progress::new(self.run.quiet, self.start.step, train.num_items()),
            validation: BTreeMap::new(),
        };
        let end = session.train(train.to_device(&self.run.training_device()));
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        (session.learner.model(), components.event_processor)
    }
}

/// The state of one `fit`.
struct Session<'a, M: LearnerModel> {
    strategy: &'a StepStrategy,
    learner: Learner<M>,
    valid: ValidLoader<M>,
    store: Arc<EventStoreClient>,
    started: Instant,
    samples: u64,
    progress: Progress,
    validation: BTreeMap<String, f64>,
}

impl<M> Session<'_, M>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    fn train(&mut self, train: TrainLoader<M>) -> Result<End, Error> {
        let StepStrategy {
            run,
            config,
            start,
            steps_per_epoch,
            ..
        } = self.strategy;
        let total = train.num_items();
        let mut log = MetricsLog::open(&run.dir, start, *steps_per_epoch)?;
        let mut step = start.step;
        // An interruption may have fallen between a step and the validation due after it.
        if step > 0 && !start.validated {
            self.validate(step, total, &mut log)?;
        }
        let rest = match step {
            0 => train,
            _ => train.slice(step, total),
        };
        let mut batches = rest.iter();
        while step < total {
            if run.interrupter.should_stop() {
                return self.interrupted(step, true);
            }
            let batch = match batches.next() {
                Some(batch) => batch.map_err(Error::data)?,
                None => {
                    return Err(Error::Backend(format!(
                        "the training data ended after step {step} of {total}"
                    )));
                }
            };
            step += 1;
            self.step(step, total, batch, &mut log)?;
            let last = step == total;
            if last || due(step, config.evaluate_every) {
                self.validate(step, total, &mut log)?;
            }
            if last || due(step, config.checkpoint_every) {
                self.save(step, true)?;
            }
        }
        Ok(End {
            step,
            samples: self.samples,
            seconds: self.seconds(),
            validation: std::mem::take(&mut self.validation),
        })
    }

    /// One update of the weights.
    fn step(
        &mut self,
        step: usize,
        total: usize,
        batch: <M as TrainStep>::Input,
        log: &mut MetricsLog,
    ) -> Result<(), Error> {
        let StepStrategy {
            run,
            config,
            steps_per_epoch,
            ..
        } = self.strategy;
        // Dropout and masks of this step do not depend on the steps before it.
        run.device
            .seed(seeds::derive(run.seed, seeds::STEP, step as u64));
        let output = self.learner.train_step(batch);
        let scalars = output.item.observe();
        let model = self.learner.model();
        let norm = global_norm(&model, &output.grads);
        for (name, value) in scalars
            .iter()
            .map(|scalar| (scalar.name, scalar.value()))
            .chain([("grad_norm", norm)])
        {
            finite(step, TRAIN, name, value)?;
        }
        let grads = clip(&model, output.grads, norm, config.clip_norm);
        self.learner.lr_step();
        self.learner.optimizer_step(grads);
        let find = |name: &str| scalars.iter().find(|scalar| scalar.name == name);
        let samples = find("loss").map_or(0.0, |loss| loss.weight);
        self.samples += samples as u64;
        if step == 1 || step == total || due(step, config.log_every) {
            let mut values: Vec<(&str, f64)> = scalars
                .iter()
                .map(|scalar| (scalar.name, scalar.value()))
                .collect();
            values.extend([
                ("grad_norm", norm),
                ("learning_rate", self.learner.lr_current().base()),
                (SECONDS, self.seconds()),
            ]);
            log.append(step, TRAIN, &values)?;
        }
        self.progress.step(Tick {
            step,
            epoch: step as f64 / steps_per_epoch,
            loss: find("loss").map(Scalar::value),
            accuracy: find("accuracy").map(Scalar::value),
            samples,
        });
        Ok(())
    }

    /// One pass over the validation split.
    fn validate(&mut self, step: usize, total: usize, log: &mut MetricsLog) -> Result<(), Error> {
        let run = &self.strategy.run;
        let started = Instant::now();
        let model = self.learner.model().valid();
        let mut means = Means::default();
        for batch in self.valid.iter() {
            if run.interrupter.should_stop() {
                return self.interrupted(step, false).map(drop);
            }
            let batch = batch.map_err(Error::data)?;
            means.add(&InferenceStep::step(&model, batch));
        }
        let means = means.means();
        for (name, value) in &means {
            finite(step, VALID, name, *value)?;
        }
        let values: Vec<(&str, f64)> = means
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let seconds = [(SECONDS, self.seconds())];
        log.append(step, VALID, &[&values[..], &seconds].concat())?;
        let text = values
            .iter()
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect::<Vec<_>>()
            .join("  ");
        let line = format!(
            "step {step}/{total}  valid  {text}  after {}",
            duration(self.seconds())
        );
        self.progress.validated(&line, started.elapsed());
        run.dir.log(&line)?;
        self.validation = means;
        Ok(())
    }

    fn save(&self, step: usize, validated: bool) -> Result<(), Error> {
        let StepStrategy {
            run,
            config,
            config_digest,
            ..
        } = self.strategy;
        let state = State {
            step,
            samples: self.samples,
            seconds: self.seconds(),
            validated,
            config_digest: config_digest.clone(),
        };
        checkpoint::save(
            &run.dir,
            &self.learner,
            &self.store,
            state,
            config.keep_checkpoints,
        )
    }

    /// Saves the state and leaves.
    fn interrupted(&self, step: usize, validated: bool) -> Result<End, Error> {
        self.save(step, validated)?;
        Err(Error::Interrupted {
            step,
            run: self.strategy.run.dir.path().to_path_buf(),
        })
    }

    fn seconds(&self) -> f64 {
        self.strategy.start.seconds + self.started.elapsed().as_secs_f64()
    }
}

fn due(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}

fn finite(step: usize, split: &'static str, name: &str, value: f64) -> Result<(), Error> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(Error::NonFinite {
            step,
            split,
            name: name.to_string(),
            value,
        }),
    }
}
