//! Worker threads that prepare batches ahead, in an order that does not depend on how many there are.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::prelude::Device;

use crate::loader::Source;
use crate::{Collate, Draw, Drawn, Samples};

/// How to count what was delivered.
pub(crate) struct Counter {
    /// Items in a full batch.
    pub per_batch: usize,
    /// Items in all.
    pub total: usize,
    /// What an item is.
    pub unit: &'static str,
}

type Prepared<C> = Result<<C as Collate>::Host, DatasetError>;

/// Prepares the batch of a number.
type Prepare<C> = Box<dyn FnMut(usize) -> Prepared<C> + Send>;

/// An iterator over batches. Of W workers, worker w prepares batches w, w + W, w + 2 W, ... into a bounded queue of
/// its own; the iterator takes from the queues in turn. Dropping it stops the workers and waits for them. Without
/// workers it prepares each batch when it is asked for it.
pub(crate) struct Prefetch<C: Collate> {
    /// What prepares batches in this thread.
    alone: Option<Prepare<C>>,
    queues: Vec<Receiver<Prepared<C>>>,
    workers: Vec<JoinHandle<()>>,
    collate: Arc<C>,
    devices: Vec<Device>,
    /// Number of the first batch, how many there are, and how many of them were given out.
    first: usize,
    batches: usize,
    delivered: usize,
    counter: Counter,
    /// A worker that could not be started, told at the first call of `next`.
    failure: Option<DatasetError>,
}

impl<C: Collate> Prefetch<C> {
    /// Starts the workers. `plan()` makes a function from a batch's number to the samples it takes.
    pub fn start<P>(
        source: &Source<C>,
        batches: Range<usize>,
        plan: impl Fn() -> P,
        counter: Counter,
    ) -> Self
    where
        P: FnMut(usize) -> Vec<(usize, Option<Draw>)> + Send + 'static,
    {
        let prepare = || prepare(source.samples.clone(), source.collate.clone(), plan());
        let count = source.config.workers.min(batches.len());
        let mut this = Self {
            alone: (count == 0).then(&prepare),
            queues: Vec::new(),
            workers: Vec::new(),
            collate: source.collate.clone(),
            devices: source.devices.clone(),
            first: batches.start,
            batches: batches.len(),
            delivered: 0,
            counter,
            failure: None,
        };
        for worker in 0..count {
            let (sender, queue) = sync_channel(source.config.prefetch.min(batches.len()));
            let mine = batches.clone().skip(worker).step_by(count);
            let prepare = prepare();
            let spawned = thread::Builder::new()
                .name(format!("loader-{worker}"))
                .spawn(move || work(mine, prepare, &sender));
            match spawned {
                Ok(handle) => this.workers.push(handle),
                Err(error) => this.failure = Some(DatasetError::new(error)),
            }
            this.queues.push(queue);
        }
        this
    }
}

fn prepare<C: Collate>(
    samples: Samples<C::Sample>,
    collate: Arc<C>,
    mut plan: impl FnMut(usize) -> Vec<(usize, Option<Draw>)> + Send + 'static,
) -> Prepare<C> {
    Box::new(move |batch| {
        let drawn: Result<Vec<_>, DatasetError> = plan(batch)
            .into_iter()
            .map(|(index, draw)| {
                Ok(Drawn {
                    sample: samples.get(index)?,
                    index,
                    draw,
                })
            })
            .collect();
        Ok(collate.collate(drawn?)?)
    })
}

/// One worker's life: until its batches are done, one fails, or nobody listens any more.
fn work<T>(
    batches: impl Iterator<Item = usize>,
    mut prepare: impl FnMut(usize) -> Result<T, DatasetError>,
    queue: &SyncSender<Result<T, DatasetError>>,
) {
    for batch in batches {
        let host = prepare(batch);
        let failed = host.is_err();
        if queue.send(host).is_err() || failed {
            return;
        }
    }
}

impl<C: Collate> Iterator for Prefetch<C> {
    type Item = Result<C::Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failure) = self.failure.take() {
            self.batches = self.delivered;
            return Some(Err(failure));
        }
        if self.delivered == self.batches {
            return None;
        }
        let received = match &mut self.alone {
            Some(prepare) => Ok(prepare(self.first + self.delivered)),
            None => self.queues[self.delivered % self.queues.len()].recv(),
        };
        match received {
            Ok(Ok(host)) => {
                let batch = self.first + self.delivered;
                self.delivered += 1;
                let device = &self.devices[batch % self.devices.len()];
                Some(Ok(self.collate.upload(host, device)))
            }
            // After an error nothing follows: what comes next would not be the run that was asked for.
            Ok(Err(error)) => {
                self.batches = self.delivered;
                Some(Err(error))
            }
            Err(_) => {
                self.batches = self.delivered;
                let worker = self.delivered % self.queues.len();
                let batch = self.first + self.delivered;
                Some(Err(crate::DataError::Worker { worker, batch }.into()))
            }
        }
    }
}

impl<C: Collate> DataLoaderIterator<C::Batch> for Prefetch<C> {
    fn progress(&self) -> Progress {
        let done = self
            .counter
            .total
            .min(self.delivered * self.counter.per_batch);
        Progress::new(done, self.counter.total, Some(self.counter.unit.into()))
    }
}

impl<C: Collate> Drop for Prefetch<C> {
    fn drop(&mut self) {
        // A worker that waits for room in its queue wakes up when the queue is gone.
        self.queues.clear();
        for worker in self.workers.drain(..) {
            // A panic in a worker was reported as DataError::Worker by `next`.
            let _ = worker.join();
        }
    }
}
