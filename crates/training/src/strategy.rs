//! The one custom strategy of Burn's `Learner`: it counts steps, and everything it does at a step is a
//! function of that step.

use crate::checkpoint::State;
use crate::{Error, Observe, Run, TrainingConfig};
use burn::train::{
    InferenceStep, Learner, LearnerModel, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingComponents, ValidLoader,
};
use session::Session;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub(crate) use average::Average;
pub use guard::NonFinite;
pub use watch::{Best, Monitor, Watch};

mod average;
mod guard;
mod session;
mod update;
mod watch;
mod workers;

/// Trains from the step after `start` to the last step of the configuration.
pub(crate) struct StepStrategy<M> {
    pub run: Run,
    pub config: TrainingConfig,
    pub steps_per_epoch: f64,
    /// Where an earlier process stopped.
    pub start: State,
    /// The moving average at that point, taken when training starts.
    pub average: Mutex<Option<Average<M>>>,
    /// How it ended; Burn's strategy has no way to return it.
    pub end: Mutex<Option<Result<End, Error>>>,
}

/// The end of a finished training.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub state: State,
    /// Means of the last validation.
    pub validation: BTreeMap<String, f64>,
}

impl<M> SupervisedLearningStrategy<M> for StepStrategy<M>
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
        let average = lock(&self.average).take();
        let valid = valid.to_device(&self.run.device);
        let mut session = Session::new(self, learner, average, valid, components.event_store);
        // A loader for several devices knows them: `to_device` could name but one.
        let train = match self.run.others.as_slice() {
            [] => train.to_device(&self.run.training_device(&self.config)),
            _ => train,
        };
        let end = session.train(train);
        *lock(&self.end) = Some(end);
        (session.result(), components.event_processor)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
