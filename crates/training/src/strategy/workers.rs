//! Forward and backward passes, on one device or on several at once.

use crate::fit::has_running_statistics;
use crate::{Error, profile};
use burn::tensor::Device;
use burn::train::{Learner, LearnerModel, TrainOutput, TrainStep};
use std::thread;

type Batch<M> = <M as TrainStep>::Input;
type Output<M> = TrainOutput<<M as TrainStep>::Output>;

/// One batch on each of the devices, each with a copy of the model; the gradients come together on the first, where
/// the weights are updated.
///
/// Burn's `MultiDevicesTrainStep` does the same, but gives the outputs in the order in which they are done and does
/// not say whose they are: their sum would not be the same twice.
pub(super) fn train<M: LearnerModel>(
    learner: &Learner<M>,
    devices: &[Device],
    batches: Vec<Batch<M>>,
) -> Result<Vec<Output<M>>, Error> {
    let [main, others @ ..] = devices else {
        return Err(Error::Usage("there is no device to train on".into()));
    };
    if others.is_empty() {
        let apart = has_running_statistics(&learner.model());
        let outputs = batches.into_iter().map(|batch| {
            let model = learner.model();
            // Burn keeps new running statistics for the thread that computed them.
            match apart {
                true => TrainStep::step(&model, batch),
                false => profile::among_threads(main, move || TrainStep::step(&model, batch)),
            }
        });
        return Ok(outputs.collect());
    }
    let outputs: Vec<_> = thread::scope(|scope| {
        let work = |(device, batch)| {
            let model = learner.model();
            scope.spawn(move || TrainStep::step(&model.fork(device), batch))
        };
        let threads: Vec<_> = devices.iter().zip(batches).map(work).collect();
        threads
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let model = learner.model();
    let home = |(device, output): (&Device, thread::Result<Output<M>>)| {
        let TrainOutput { grads, item } = output
            .map_err(|_| Error::Backend(format!("the step on {device:?} panicked, see above")))?;
        let grads = grads.to_device(main, &model);
        Ok(TrainOutput { grads, item })
    };
    devices.iter().zip(outputs).map(home).collect()
}
