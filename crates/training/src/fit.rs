//! The one way to train a model.

use crate::checkpoint::{self, State};
use crate::optimizer::adamw;
use crate::schedule::WarmupCosine;
use crate::silent::Silent;
use crate::strategy::{End, StepStrategy};
use crate::{Error, Observe, Run, seeds};
use burn::data::dataloader::DataLoader;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::train::{
    InferenceStep, Learner, LearnerModel, SupervisedTraining, TrainStep, TrainingStrategy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How to train: optimizer, schedule, and how often to look and to save.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingConfig {
    /// Updates of the weights.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Highest learning rate, reached after warmup.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// Learning rate at the end of the cosine decay.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_learning_rate: f64,
    /// Steps of linear warmup.
    pub warmup_steps: usize,
    /// Decoupled weight decay; biases, norms and embeddings have none.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Decay of AdamW's mean of gradients.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta_1: f64,
    /// Decay of AdamW's mean of squared gradients.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta_2: f64,
    /// Added to AdamW's denominator.
    #[schemars(range(min = 0.0))]
    pub epsilon: f64,
    /// Largest L2 norm of all gradients together; 0 clips nothing.
    #[schemars(range(min = 0.0))]
    pub clip_norm: f64,
    /// Steps between two passes over the validation split; 0 for one at the end.
    pub evaluate_every: usize,
    /// Steps between two checkpoints; 0 for one at the end.
    pub checkpoint_every: usize,
    /// How many of the newest checkpoints to keep.
    #[schemars(range(min = 1))]
    pub keep_checkpoints: usize,
    /// Steps between two logged training values; 0 for the first and the last step only.
    pub log_every: usize,
}

impl TrainingConfig {
    /// AdamW with the usual constants, 5% of warmup, ten validations, a checkpoint with each.
    pub fn new(steps: usize, learning_rate: f64) -> Self {
        Self {
            steps,
            learning_rate,
            min_learning_rate: learning_rate / 100.0,
            warmup_steps: steps / 20,
            weight_decay: 0.05,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
            evaluate_every: steps.div_ceil(10),
            checkpoint_every: steps.div_ceil(10),
            keep_checkpoints: 2,
            log_every: 10,
        }
    }
}

/// What a training took, over all processes of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Parameters of the model.
    pub parameters: usize,
    /// Steps taken.
    pub steps: usize,
    /// Samples trained on, each as often as it was: questions, images, ... as the loss counts them.
    pub samples: u64,
    /// Wall-clock seconds, validation included.
    pub seconds: f64,
}

impl Cost {
    /// Throughput; none for a training that took no time.
    pub fn samples_per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.samples as f64 / self.seconds)
    }
}

/// A trained model and what the training took.
#[derive(Clone, Debug)]
pub struct Fitted<M> {
    /// The model with its final weights, on the plain device.
    pub model: M,
    /// What that took.
    pub cost: Cost,
    /// Means of the last validation; empty when this process took no step.
    pub validation: BTreeMap<String, f64>,
}

/// Trains `model` through Burn's `Learner`, or continues where the run stopped.
///
/// In the training loader one item is one step: `num_items()` is the number of steps of the whole run,
/// and `slice(a, b)` the steps after `a` up to `b`, for a resumed run. The validation loader is one pass.
/// `steps_per_epoch` turns steps into epochs for people.
///
/// Initial weights are drawn from (seed), dropout from (seed, step); with a loader that depends on
/// (seed, step) alone, a resumed run ends with the weights of an uninterrupted one.
///
/// # Errors
///
/// [`Error::Interrupted`] after a stop was asked for and the state saved; [`Error::NonFinite`] before a
/// broken gradient reaches the weights; [`Error::Usage`] for a `config` that contradicts itself or the
/// loader; [`Error::Data`], [`Error::Io`] and [`Error::Checkpoint`].
pub fn fit<M>(
    run: &Run,
    config: &TrainingConfig,
    model: M,
    train: Arc<dyn DataLoader<<M as TrainStep>::Input>>,
    valid: Arc<dyn DataLoader<<M as InferenceStep>::Input>>,
    steps_per_epoch: f64,
) -> Result<Fitted<M>, Error>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    check(config, train.num_items())?;
    let config_digest = run.record()?.config_digest;
    checkpoint::clean(&run.dir)?;
    let (set, skipped) = if run.resume {
        checkpoint::newest(&run.dir)?
    } else {
        (None, Vec::new())
    };
    for line in &skipped {
        run.dir.log(line)?;
    }

    let mut model = initialise(run, model);
    let parameters = model.num_params();
    let (start, records) = match set {
        None => {
            checkpoint::clear(&run.dir)?;
            run.dir.log(&format!(
                "start: {parameters} parameters, {} steps",
                train.num_items()
            ))?;
            let start = State {
                step: 0,
                samples: 0,
                seconds: 0.0,
                validated: true,
                config_digest: config_digest.clone(),
            };
            (start, None)
        }
        Some(set) => {
            if set.state.config_digest != config_digest {
                return Err(Error::Checkpoint {
                    path: set.path().to_path_buf(),
                    reason: "it was saved with another configuration".to_string(),
                });
            }
            model = set.load_model(model)?;
            let records = (set.optimizer()?, set.schedule()?);
            run.dir.log(&format!("resume at step {}", set.state.step))?;
            (set.state, Some(records))
        }
    };
    let mut optimizer = adamw(config, &model, &run.device);
    let mut schedule = ModuleLrScheduler::new(WarmupCosine::new(
        config.learning_rate,
        config.min_learning_rate,
        config.warmup_steps,
        config.steps,
    ));
    if let Some((moments, position)) = records {
        optimizer = optimizer.load_record(moments);
        schedule = schedule.load_record(position);
    }

    let strategy = Arc::new(StepStrategy {
        run: run.clone(),
        config: config.clone(),
        config_digest,
        steps_per_epoch,
        start,
        end: Mutex::new(None),
    });
    let result = SupervisedTraining::new(run.dir.path(), train, valid)
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()))
        .with_interrupter(run.interrupter.clone())
        .with_application_logger(None)
        .renderer(Box::new(Silent))
        .launch(Learner::new(model, optimizer, schedule));

    let end = strategy
        .end
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let End {
        step,
        samples,
        seconds,
        validation,
    } = match (end, result.error) {
        (Some(Err(error)), _) => {
            // Whether or not this can be logged, it is the error to report.
            run.dir.log(&format!("stopped: {error}")).ok();
            return Err(error);
        }
        (_, Some(error)) => return Err(Error::Backend(error.to_string())),
        (None, None) => {
            return Err(Error::Backend(
                "training ended without a result".to_string(),
            ));
        }
        (Some(Ok(end)), None) => end,
    };
    run.dir.log(&format!("done: step {step}, {seconds:.1} s"))?;
    Ok(Fitted {
        model: result.model,
        cost: Cost {
            parameters,
            steps: step,
            samples,
            seconds,
        },
        validation,
    })
}

/// What the ranges of single keys cannot say.
fn check(config: &TrainingConfig, steps: usize) -> Result<(), Error> {
    if config.min_learning_rate > config.learning_rate {
        return Err(Error::Usage(format!(
            "`min_learning_rate` ({}) is above `learning_rate` ({})",
            config.min_learning_rate, config.learning_rate
        )));
    }
    if steps != config.steps {
        return Err(Error::Usage(format!(
            "the training loader has {steps} steps, the configuration {}",
            config.steps
        )));
    }
    Ok(())
}

/// Draws the initial weights from the seed of the run and moves them to the training device.
fn initialise<M: Module>(run: &Run, model: M) -> M {
    run.device.seed(seeds::derive(run.seed, seeds::INIT, 0));
    model.visit(&mut DrawAll);
    match model.devices().iter().all(|device| device.is_autodiff()) {
        true => model,
        false => model.train(),
    }
}

/// Burn draws a parameter when it is first used; in which order must not depend on the forward pass.
struct DrawAll;

impl ModuleVisitor for DrawAll {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

#[cfg(test)]
mod tests;
