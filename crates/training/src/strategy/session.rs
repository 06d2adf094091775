//! One training, from where it starts to where it ends: the loop around the updates.

use super::update::due;
use super::{Average, End, StepStrategy};
use crate::checkpoint::{self, CheckpointSet, Disk, State};
use crate::metrics::{Means, MetricsLog, SECONDS, VALID, finite};
use crate::profile::{Part, Profile};
use crate::progress::{Progress, duration};
use crate::{Error, Observe, Run, TrainingConfig, fit, profile};
use burn::tensor::Device;
use burn::train::metric::store::EventStoreClient;
use burn::train::{InferenceStep, Learner, LearnerModel, TrainLoader, TrainStep, ValidLoader};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The state of one `fit`.
pub(super) struct Session<'a, M: LearnerModel> {
    strategy: &'a StepStrategy<M>,
    pub(super) learner: Learner<M>,
    pub(super) average: Option<Average<M>>,
    valid: ValidLoader<M>,
    pub(super) devices: Vec<Device>,
    store: Arc<EventStoreClient>,
    started: Instant,
    saved: Instant,
    looked: Instant,
    pub(super) state: State,
    pub(super) progress: Progress,
    pub(super) profile: Profile,
    validation: BTreeMap<String, f64>,
    /// The best weights, when they are not the last.
    selected: Option<M>,
}

impl<'a, M> Session<'a, M>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    pub(super) fn new(
        strategy: &'a StepStrategy<M>,
        learner: Learner<M>,
        average: Option<Average<M>>,
        valid: ValidLoader<M>,
        store: Arc<EventStoreClient>,
    ) -> Self {
        let (run, start) = (&strategy.run, strategy.start.clone());
        Self {
            strategy,
            learner,
            average,
            valid,
            devices: run.training_devices(&strategy.config),
            store,
            started: Instant::now(),
            saved: Instant::now(),
            looked: Instant::now(),
            progress: Progress::new(run.quiet, start.step, strategy.config.steps),
            profile: Profile::new(run.profile),
            state: start,
            validation: BTreeMap::new(),
            selected: None,
        }
    }

    pub(super) fn run(&self) -> &'a Run {
        &self.strategy.run
    }

    pub(super) fn config(&self) -> &'a TrainingConfig {
        &self.strategy.config
    }

    pub(super) fn steps_per_epoch(&self) -> f64 {
        self.strategy.steps_per_epoch
    }

    pub(super) fn seconds(&self) -> f64 {
        self.strategy.start.seconds + self.started.elapsed().as_secs_f64()
    }

    /// The model to use after training, on the plain device.
    pub(super) fn result(mut self) -> M {
        let selected = self.selected.take();
        selected.unwrap_or_else(|| self.current())
    }

    /// The model to validate: the average of the weights, if there is one.
    fn current(&self) -> M {
        match &self.average {
            Some(average) => average.model.clone(),
            None => self.learner.model().valid(),
        }
    }

    pub(super) fn train(&mut self, train: TrainLoader<M>) -> Result<End, Error> {
        let (run, config) = (self.run(), self.config());
        let mut log = MetricsLog::open(run, &self.state, self.steps_per_epoch())?;
        // A stop may have fallen between a step and the validation due after it.
        self.look_if_due(&mut log)?;
        let rest = match self.state.step * config.accumulate {
            0 => train,
            taken => train.slice(taken, config.batches()),
        };
        let mut batches = rest.iter();
        while self.state.ended.is_none() && self.state.step < config.steps {
            if run.interrupter.should_stop() {
                return self.interrupted();
            }
            if let Some(reason) = self.out_of_time().or_else(|| self.waited_long_enough()) {
                self.look(&mut log)?;
                self.state.ended = Some(reason);
                break;
            }
            self.update(&mut *batches, &mut log)?;
            let step = self.state.step;
            let best = self.look_if_due(&mut log)?;
            let save = best
                || due(step, config.checkpoint_every)
                || over(self.saved, config.checkpoint_minutes);
            if save && step < config.steps {
                self.save()?;
            }
        }
        self.finish()
    }

    /// Saves the last state, and takes the best weights if they are to be used.
    fn finish(&mut self) -> Result<End, Error> {
        let state = &mut self.state;
        state.ended.get_or_insert_with(|| "all steps taken".into());
        if self.strategy.config.keep_best > 0 {
            state.selected = state.watch.best.first().map(|best| best.step);
        }
        self.save()?;
        if let Some(step) = self.state.selected.filter(|step| *step != self.state.step) {
            let set = checkpoint::of_step(&self.run().dir, step)?;
            self.selected = Some(set.load_model(self.learner.model().valid())?);
        }
        if self.state.step < self.config().steps {
            let reason = self.state.ended.as_deref().unwrap_or_default();
            self.progress
                .say(&format!("ended after step {}: {reason}", self.state.step));
        }
        self.profile.print(self.started.elapsed());
        Ok(End {
            state: State {
                seconds: self.seconds(),
                ..self.state.clone()
            },
            validation: std::mem::take(&mut self.validation),
        })
    }

    fn out_of_time(&self) -> Option<String> {
        let minutes = self.config().max_minutes;
        (minutes > 0.0 && self.seconds() >= 60.0 * minutes)
            .then(|| format!("`max_minutes` ({minutes}) are over"))
    }

    fn waited_long_enough(&self) -> Option<String> {
        let config = self.config();
        (config.patience > 0 && self.state.watch.stale >= config.patience).then(|| {
            let name = config.monitor.name();
            let stale = self.state.watch.stale;
            format!("no better validation {name} in {stale} validations (`patience`)")
        })
    }

    /// Goes on with the weights, the optimizer and the average of `set`; step and data stay.
    pub(super) fn take(&mut self, set: &CheckpointSet) -> Result<(), Error> {
        let model = self.learner.model();
        fit::settle(&model);
        let model = set.weights(model)?;
        let average = set.average(self.current())?;
        let rates = self.learner.lr_current();
        self.learner = fit::learner(self.config(), self.run(), model, Some(set))?;
        // The schedule is that of the step, not of the set.
        let behind = self.state.step + 1 - set.state.step;
        (0..behind).for_each(|_| self.learner.lr_step());
        debug_assert_eq!(rates.base(), self.learner.lr_current().base());
        if let (Some(mine), Some(model)) = (&mut self.average, average) {
            mine.model = model;
        }
        Ok(())
    }

    /// Validates after a step that asks for it. Whether the weights are among the best to be kept.
    fn look_if_due(&mut self, log: &mut MetricsLog) -> Result<bool, Error> {
        let (config, step) = (self.config(), self.state.step);
        let asked = due(step, config.evaluate_every) || over(self.looked, config.evaluate_minutes);
        match step > 0 && (step == config.steps || asked) {
            true => self.look(log),
            false => Ok(false),
        }
    }

    /// One pass over the validation split, if this step has not had it.
    fn look(&mut self, log: &mut MetricsLog) -> Result<bool, Error> {
        let (run, config, step) = (self.run(), self.config(), self.state.step);
        if self.state.looked == step {
            return Ok(false);
        }
        let started = Instant::now();
        let model = self.current();
        let mut means = Means::default();
        let valid = self.valid.clone();
        for batch in valid.iter() {
            if run.interrupter.should_stop() {
                return self.interrupted().map(|_| false);
            }
            let batch = batch.map_err(Error::data)?;
            let model = model.clone();
            let step = move || InferenceStep::step(&model, batch).observe();
            means.add(&profile::among_threads(&run.device, step));
        }
        let means = means.means();
        finite(step, VALID, &means)?;
        let values = means.iter().map(|(name, value)| (name.as_str(), *value));
        let values: Vec<(&str, f64)> = values.chain([(SECONDS, self.seconds())]).collect();
        log.append(step, VALID, &values)?;
        let text: Vec<String> = means
            .iter()
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        let line = format!(
            "step {step}/{}  valid  {}  after {}",
            config.steps,
            text.join("  "),
            duration(self.seconds())
        );
        self.progress.validated(&line, started.elapsed());
        run.dir.log(&line)?;
        self.profile.add(Part::Validation, started);
        self.state.looked = step;
        self.looked = Instant::now();
        let watch = &mut self.state.watch;
        let best = watch.see(config.monitor, step, &means, config.keep_best);
        self.validation = means;
        Ok(best && config.keep_best > 0)
    }

    fn save(&mut self) -> Result<(), Error> {
        let clock = Instant::now();
        let (run, config) = (self.run(), self.config());
        self.saved = Instant::now();
        let state = State {
            seconds: self.seconds(),
            ..self.state.clone()
        };
        fit::settle(&self.learner.model());
        let average = self.average.as_ref().map(|average| average.model.clone());
        let contents = checkpoint::collect(&self.learner, &self.store, average)?;
        checkpoint::save(&run.dir, &Disk, state, &contents)?;
        let best = match config.keep_best {
            0 => Vec::new(),
            _ => self.state.watch.steps(),
        };
        checkpoint::retain(&run.dir, &Disk, config.keep_checkpoints, &best)?;
        self.profile.add(Part::Checkpoint, clock);
        Ok(())
    }

    /// Saves the state and leaves.
    fn interrupted(&mut self) -> Result<End, Error> {
        self.save()?;
        self.profile.print(self.started.elapsed());
        Err(Error::Interrupted {
            step: self.state.step,
            run: self.run().dir.path().to_path_buf(),
        })
    }
}

/// Whether `minutes` have gone by since `last`; 0 never do.
fn over(last: Instant, minutes: f64) -> bool {
    minutes > 0.0 && last.elapsed().as_secs_f64() >= 60.0 * minutes
}
