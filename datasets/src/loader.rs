//! Loaders: batches in a fixed order, prepared ahead by worker threads.

use std::ops::Range;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::prelude::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::prefetch::{Counter, Prefetch};
use crate::share::shared;
use crate::{Collate, DataError, Samples};

/// How batches are prepared. Workers and prefetch change speed and memory, never a batch; window changes the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// Samples in a batch; in visual question answering a sample is an image with all its questions.
    pub batch_size: usize,
    /// Threads that decode, augment and tokenise while the model trains; 0 for the one that trains.
    pub workers: usize,
    /// Batches that each worker prepares ahead.
    pub prefetch: usize,
    /// 0 to shuffle over the whole training split. Else only about so many samples at a time, consecutive ones from 16
    /// places of the split: for shards on disks that are slow at random reads.
    pub window: usize,
    /// Share of the training split to learn from, drawn by the seed: 0.1 for a tenth. A larger share holds the smaller.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
}

impl LoaderConfig {
    /// One worker that keeps two batches ready.
    pub fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            workers: 1,
            prefetch: 2,
            window: 0,
            share: 1.0,
        }
    }

    fn check(&self) -> Result<(), DataError> {
        let settings = [("batch_size", self.batch_size), ("prefetch", self.prefetch)];
        match settings.into_iter().find(|(_, value)| *value == 0) {
            None if self.share > 0.0 && self.share <= 1.0 => Ok(()),
            None => Err(DataError::Setting {
                setting: "share",
                value: self.share.to_string(),
                reason: "expected above 0 and at most 1".into(),
            }),
            Some((setting, _)) => Err(DataError::Setting {
                setting,
                value: "0".into(),
                reason: "expected at least 1".into(),
            }),
        }
    }
}

/// What both loaders share.
pub(crate) struct Source<C: Collate> {
    pub samples: Samples<C::Sample>,
    pub collate: Arc<C>,
    pub config: LoaderConfig,
    /// Batch b is for the one at b modulo their number.
    pub devices: Vec<Device>,
}

impl<C: Collate> Clone for Source<C> {
    fn clone(&self) -> Self {
        Self {
            samples: self.samples.clone(),
            collate: self.collate.clone(),
            config: self.config.clone(),
            devices: self.devices.clone(),
        }
    }
}

impl<C: Collate> Source<C> {
    fn new(
        samples: Samples<C::Sample>,
        collate: Arc<C>,
        config: &LoaderConfig,
        devices: &[Device],
    ) -> Result<Self, DataError> {
        config.check()?;
        if samples.is_empty() {
            return Err(DataError::Setting {
                setting: "samples",
                value: "0".into(),
                reason: "a loader of an empty split has nothing to give".into(),
            });
        }
        Ok(Self {
            samples,
            collate,
            config: config.clone(),
            devices: devices.to_vec(),
        })
    }

    fn on(&self, device: &Device) -> Self {
        Self {
            devices: vec![device.clone()],
            ..self.clone()
        }
    }
}

/// The training loader. **One item is one batch**, and the loader holds all batches of a run: epochs follow one another
/// without a seam, each a permutation of (seed, epoch, window), and batch b takes the samples at b * batch_size onwards.
/// So a batch, its augmentation included, depends on (seed, window, b) alone, and `slice(start, end)` resumes exactly.
pub struct TrainLoader<C: Collate> {
    source: Source<C>,
    seed: u64,
    batches: Range<usize>,
}

impl<C: Collate> TrainLoader<C> {
    /// A loader of that many batches, which go to the devices in turn.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the split is empty or a setting makes no sense.
    pub fn new(
        samples: Samples<C::Sample>,
        collate: Arc<C>,
        config: &LoaderConfig,
        seed: u64,
        batches: usize,
        devices: &[Device],
    ) -> Result<Self, DataError> {
        Ok(Self {
            source: Source::new(
                shared(samples, config.share, seed),
                collate,
                config,
                devices,
            )?,
            seed,
            batches: 0..batches,
        })
    }

    /// How many batches go through the training split once; rarely a whole number.
    pub fn batches_per_epoch(&self) -> f64 {
        self.source.samples.len() as f64 / self.source.config.batch_size as f64
    }
}

impl<C: Collate> DataLoader<C::Batch> for TrainLoader<C> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<C::Batch> + 'a> {
        let (batch_size, len) = (self.source.config.batch_size, self.source.samples.len());
        let (seed, window) = (self.seed, self.source.config.window);
        let plan = move || {
            let mut order = Order::new(seed, len, window);
            move |batch: usize| {
                let first = batch as u64 * batch_size as u64;
                (first..first + batch_size as u64)
                    .map(|position| order.at(position))
                    .map(|draw| (draw.index, Some(draw)))
                    .collect()
            }
        };
        let counter = Counter {
            per_batch: 1,
            total: self.batches.len(),
            unit: "batches",
        };
        Box::new(Prefetch::start(
            &self.source,
            self.batches.clone(),
            plan,
            counter,
        ))
    }

    fn num_items(&self) -> usize {
        self.batches.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<C::Batch>> {
        Arc::new(Self {
            source: self.source.on(device),
            batches: self.batches.clone(),
            ..*self
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<C::Batch>> {
        Arc::new(Self {
            source: self.source.clone(),
            batches: within(&self.batches, start, end),
            ..*self
        })
    }
}

/// The evaluation loader: every sample once, in the dataset's order, without augmentation. Items are samples.
pub struct EvalLoader<C: Collate> {
    source: Source<C>,
    range: Range<usize>,
}

impl<C: Collate> EvalLoader<C> {
    /// A loader of all samples.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the split is empty or a setting is 0.
    pub fn new(
        samples: Samples<C::Sample>,
        collate: Arc<C>,
        config: &LoaderConfig,
        device: &Device,
    ) -> Result<Self, DataError> {
        let range = 0..samples.len();
        Ok(Self {
            source: Source::new(samples, collate, config, std::slice::from_ref(device))?,
            range,
        })
    }
}

impl<C: Collate> DataLoader<C::Batch> for EvalLoader<C> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<C::Batch> + 'a> {
        let (batch_size, range) = (self.source.config.batch_size, self.range.clone());
        let batches = 0..range.len().div_ceil(batch_size);
        let plan = move || {
            let Range { start, end } = range.clone();
            move |batch: usize| {
                let first = start + batch * batch_size;
                (first..end.min(first + batch_size))
                    .map(|index| (index, None))
                    .collect()
            }
        };
        let counter = Counter {
            per_batch: batch_size,
            total: self.range.len(),
            unit: "samples",
        };
        Box::new(Prefetch::start(&self.source, batches, plan, counter))
    }

    fn num_items(&self) -> usize {
        self.range.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<C::Batch>> {
        Arc::new(Self {
            source: self.source.on(device),
            range: self.range.clone(),
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<C::Batch>> {
        Arc::new(Self {
            source: self.source.clone(),
            range: within(&self.range, start, end),
        })
    }
}

/// The part of a range that starts `start` and ends `end` after its start, as far as it reaches.
fn within(range: &Range<usize>, start: usize, end: usize) -> Range<usize> {
    let end = range.end.min(range.start.saturating_add(end));
    end.min(range.start.saturating_add(start))..end
}
