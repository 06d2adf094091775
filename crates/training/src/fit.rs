//! The one way to train a model.

use crate::checkpoint::{self, CheckpointSet, State};
use crate::optimizer::{self, adamw, group};
use crate::run_dir::METRICS;
use crate::silent::Silent;
use crate::strategy::{Average, End, NonFinite, StepStrategy, lock};
use crate::tell;
use crate::{Error, Observe, Run, init, seeds};
use burn::data::dataloader::DataLoader;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn::train::{
    InferenceStep, Learner, LearnerModel, SupervisedTraining, TrainStep, TrainingStrategy,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub use config::TrainingConfig;

mod config;

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
    /// Floating-point operations of the forward pass of one test item, two for each multiplication with its addition; 0
    /// where nobody counted. A step of training takes three times as many for each of its samples.
    #[serde(default)]
    pub flops: f64,
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
    /// The model with the weights to use, on the plain device: the last, their moving average, or those
    /// of the best validation, as the configuration says.
    pub model: M,
    /// What that took.
    pub cost: Cost,
    /// Means of the last validation; empty when this process took no step.
    pub validation: BTreeMap<String, f64>,
    /// Why training ended.
    pub ended: String,
}

/// Trains `model` through Burn's `Learner`, or continues where the run stopped.
///
/// In the training loader one item is one batch: `num_items()` is the number of batches of the whole
/// run ([`TrainingConfig::batches`]), and `slice(a, b)` the batches after `a` up to `b`, for a resumed
/// run. With several devices it puts its batches on [`Run::training_devices`] in turn. The validation
/// loader is one pass. `steps_per_epoch` turns steps into epochs for people.
///
/// Initial weights are drawn from (seed), dropout from (seed, batch); with a loader that depends on
/// (seed, batch) alone, a resumed run ends with the weights of an uninterrupted one, bit for bit.
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
    config.check(train.num_items(), 1 + run.others.len())?;
    let set = newest(run, config.keep_best > 0)?;
    let (mut model, started) = initialise(run, config, model)?;
    if let (None, Some(line)) = (&set, started) {
        tell!("{line}");
        run.dir.log(&line)?;
    }
    if !run.others.is_empty() && has_running_statistics(&model) {
        return Err(Error::Usage(
            "batch normalisation cannot train on several devices: its running statistics would depend on which is \
             done first; leave --devices out, or take a model with LayerNorm"
                .into(),
        ));
    }
    if config.non_finite == NonFinite::Skip && has_running_statistics(&model) {
        return Err(Error::Usage(
            "`training.non_finite` cannot be `skip` here: batch normalisation takes a broken batch into its \
             running statistics before it can be skipped; use `roll-back` or `stop`"
                .into(),
        ));
    }
    let parameters = model.num_params();
    let average = match &set {
        Some(set) => {
            model = set.weights(model)?;
            set.average(model.valid())?
        }
        None => None,
    };
    let average = (config.ema_decay > 0.0)
        .then(|| Average::new(config.ema_decay, average.unwrap_or_else(|| model.valid())));
    let learner = learner(config, run, model, set.as_ref())?;
    let start = match set {
        Some(set) => set.state,
        None => State::new(run.record()?.config_digest),
    };
    run.dir.log(&match start.step {
        0 => format!("start: {parameters} parameters, {} steps", config.steps),
        step => format!("resume at step {step}"),
    })?;

    let strategy = Arc::new(StepStrategy {
        run: run.clone(),
        config: config.clone(),
        steps_per_epoch,
        start,
        average: Mutex::new(average),
        end: Mutex::new(None),
    });
    let result = SupervisedTraining::new(run.dir.path(), train, valid)
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()))
        .with_interrupter(run.interrupter.clone())
        .with_application_logger(None)
        .renderer(Box::new(Silent))
        .launch(learner);

    let end = lock(&strategy.end).take();
    let End { state, validation } = match (end, result.error) {
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
    let ended = state.ended.unwrap_or_default();
    run.dir.log(&format!(
        "done: step {}, {:.1} s; {ended}",
        state.step, state.seconds
    ))?;
    Ok(Fitted {
        model: result.model,
        cost: Cost {
            parameters,
            steps: state.step,
            samples: state.samples,
            seconds: state.seconds,
            flops: 0.0,
        },
        validation,
        ended,
    })
}

/// Optimizer and schedule around `model`, fresh or from a checkpoint that `model` has its weights from.
pub(crate) fn learner<M: LearnerModel>(
    config: &TrainingConfig,
    run: &Run,
    model: M,
    set: Option<&CheckpointSet>,
) -> Result<Learner<M>, Error> {
    let mut optimizer = adamw(config, &model, &run.device);
    let mut schedule = ModuleLrScheduler::new(config.schedule());
    if let Some(set) = set {
        optimizer = optimizer.load_record(set.optimizer()?);
        schedule = schedule.load_record(set.schedule()?);
    }
    Ok(Learner::new(model, optimizer, schedule))
}

/// Batch normalisation keeps what it has seen in its last forward pass aside until the next. Whoever reads or replaces
/// the weights of `model` in between calls this first, which makes it take that in.
pub(crate) fn settle<M: Module>(model: &M) {
    drop(model.valid());
}

pub(crate) fn has_running_statistics<M: Module>(model: &M) -> bool {
    let mut paths = optimizer::parameters(model, 1.0).into_iter();
    paths.any(|parameter| parameter.path.ends_with("running_mean"))
}

/// The checkpoint to go on at, if the run is to be resumed and has one. Of the best that it keeps, only whole ones count.
fn newest(run: &Run, keeps_best: bool) -> Result<Option<CheckpointSet>, Error> {
    checkpoint::clean(&run.dir)?;
    if !run.resume {
        return Ok(None);
    }
    let (set, skipped) = checkpoint::newest(&run.dir)?;
    let say = |line: &str| {
        tell!("{line}");
        run.dir.log(line)
    };
    skipped.iter().try_for_each(|line| say(line))?;
    let refuse = |path: &std::path::Path, reason: &str| {
        Err(Error::Checkpoint {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        })
    };
    match set {
        Some(set) if set.state.config_digest != run.record()?.config_digest => refuse(
            set.path(),
            "it was saved with another configuration; start again with another --out",
        ),
        // Starting over would remove what may still be saved by hand.
        None if !skipped.is_empty() => refuse(
            &run.dir.checkpoints(),
            "every checkpoint is damaged; remove this folder to start over, or choose another --out",
        ),
        None if run.dir.file(METRICS).exists() => {
            tell!("note: there is no checkpoint; training starts again with step 1");
            Ok(None)
        }
        Some(mut set) => {
            checkpoint::set_aside(&run.dir, set.state.step)?;
            if keeps_best {
                let best = std::mem::take(&mut set.state.watch.best);
                for best in best {
                    match checkpoint::of_step(&run.dir, best.step) {
                        Ok(_) => set.state.watch.best.push(best),
                        Err(error) => say(&format!(
                            "{error}; it was among the best and cannot be chosen"
                        ))?,
                    }
                }
            }
            Ok(Some(set))
        }
        None => Ok(None),
    }
}

/// Draws the initial weights from the seed of the run, takes those of the run that it starts from, moves them to the
/// training device, and freezes what is not to train. A line says what was taken.
pub(crate) fn initialise<M: Module>(
    run: &Run,
    config: &TrainingConfig,
    model: M,
) -> Result<(M, Option<String>), Error> {
    draw(&model, &run.device, run.seed);
    let mut model = match model.devices().iter().all(|device| device.is_autodiff()) {
        true => model,
        false => model.train(),
    };
    let mut started = None;
    // What goes on has its weights from a checkpoint; where it once started from may be gone.
    if let Some(init) = run.init.as_ref().filter(|_| !run.goes_on()) {
        let (taken, line) = init::start_from(model, init)?;
        (model, started) = (taken, Some(line));
    }
    match config.freeze.as_slice() {
        [] => Ok((model, started)),
        parts => {
            let group = group(&model, parts)?;
            Ok((model.freeze_group(group), started))
        }
    }
}

/// Draws the initial weights of a model that has not been used. Each depends on the seed, its path and its shape alone:
/// towers start alike whatever is built on top of them.
pub fn draw<M: Module>(model: &M, device: &Device, seed: u64) {
    model.visit(&mut Draw {
        device,
        seed,
        path: Vec::new(),
    });
}

/// Burn draws a parameter when it is first used.
struct Draw<'a> {
    device: &'a Device,
    seed: u64,
    path: Vec<String>,
}

impl ModuleVisitor for Draw<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        self.device
            .seed(seeds::named(self.seed, seeds::INIT, &path));
        param.val();
    }
}

#[cfg(test)]
mod tests;
