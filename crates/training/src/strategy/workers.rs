//! Forward and backward passes, on one device or on several at once.

use crate::{Error, Observe};
use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{Learner, LearnerModel, TrainOutput, TrainStep};

type Batch<M> = <M as TrainStep>::Input;
type Output<M> = TrainOutput<<M as TrainStep>::Output>;

/// What computes gradients.
pub(super) enum Workers<M: LearnerModel> {
    /// This thread.
    One,
    /// Burn's threads, one a device; each takes a copy of the model and a batch. The gradients come together on
    /// the first device, where the weights are updated.
    Several {
        threads: MultiDevicesTrainStep<M>,
        main: Device,
    },
}

impl<M> Workers<M>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
{
    pub fn new(devices: &[Device]) -> Self {
        match devices {
            [main, _, ..] => Self::Several {
                threads: MultiDevicesTrainStep::new(devices),
                main: main.clone(),
            },
            _ => Self::One,
        }
    }

    /// One batch on each device; the outputs in an order that does not depend on which was done first.
    pub fn train(
        &self,
        learner: &Learner<M>,
        batches: Vec<Batch<M>>,
    ) -> Result<Vec<Output<M>>, Error> {
        let Self::Several { threads, main } = self else {
            return Ok(batches
                .into_iter()
                .map(|batch| learner.train_step(batch))
                .collect());
        };
        let mut iterators: Vec<Box<dyn DataLoaderIterator<Batch<M>>>> = Vec::new();
        for batch in batches {
            iterators.push(Box::new(Single(Some(batch))));
        }
        let model = learner.model();
        let (outputs, _) = threads
            .step(&mut iterators, &model)
            .map_err(|error| Error::Backend(error.to_string()))?;
        let mut outputs: Vec<_> = outputs.into_iter().map(|output| output.output).collect();
        outputs.sort_by(|a, b| a.item.ids().cmp(b.item.ids()));
        let home = |TrainOutput { grads, item }| TrainOutput {
            grads: grads.to_device(main, &model),
            item,
        };
        Ok(outputs.into_iter().map(home).collect())
    }
}

/// One batch, in the form in which Burn's threads take it.
struct Single<B>(Option<B>);

impl<B> Iterator for Single<B> {
    type Item = Result<B, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl<B> DataLoaderIterator<B> for Single<B> {
    fn progress(&self) -> Progress {
        Progress::new(usize::from(self.0.is_none()), 1, None)
    }
}
