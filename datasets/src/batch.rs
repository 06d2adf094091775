//! Batches: what samples become on a device.

use burn::prelude::*;
use rand_chacha::ChaCha8Rng;

use crate::augment::{Purpose, generator};
use crate::{DataError, Draw};

pub use captions::{CaptionBatch, CaptionCollate, CaptionHost};
pub use images::{ImageBatch, ImageCollate, ImageHost};
pub use tokens::{Tokens, TokensHost};
pub use vqa::{Blank, VqaBatch, VqaCollate, VqaHost};

mod captions;
mod images;
mod tokens;
mod vqa;

/// A sample on its way into a batch.
#[derive(Clone, Debug)]
pub struct Drawn<S> {
    /// The sample.
    pub sample: S,
    /// Its index in its dataset.
    pub index: usize,
    /// What keys its augmentation; none in evaluation, where nothing is augmented.
    pub draw: Option<Draw>,
}

impl<S> Drawn<S> {
    /// Numbers to choose a part of the sample with.
    fn choosing(&self) -> ChaCha8Rng {
        self.generator(Purpose::Choice)
    }

    /// Numbers to hide parts of the sample with: in training others at each draw, in evaluation always the same.
    pub fn masking(&self) -> ChaCha8Rng {
        self.generator(Purpose::Masking)
    }

    /// Numbers to decide about the whole batch of which this is the first sample: others in each batch, in evaluation
    /// none.
    pub fn batch(&self) -> Option<ChaCha8Rng> {
        self.draw.map(|draw| generator(Purpose::Batch, draw))
    }

    fn generator(&self, purpose: Purpose) -> ChaCha8Rng {
        let evaluation = Draw {
            seed: 0,
            epoch: u64::MAX,
            index: self.index,
        };
        generator(purpose, self.draw.unwrap_or(evaluation))
    }
}

/// Turns samples into a batch, in two steps. Worker threads do the first, the thread that trains does the second:
/// tensors are made where they are used, since some backends keep a stream and a memory pool for each thread.
pub trait Collate: Send + Sync + 'static {
    /// What the dataset holds.
    type Sample: Send + 'static;
    /// The batch in host memory.
    type Host: Send + 'static;
    /// The batch on a device.
    type Batch: Send + 'static;

    /// Decodes, augments, tokenises: everything that takes time.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a sample.
    fn collate(&self, drawn: Vec<Drawn<Self::Sample>>) -> Result<Self::Host, DataError>;

    /// Moves the batch to the device.
    fn upload(&self, host: Self::Host, device: &Device) -> Self::Batch;
}

/// Whole numbers on a device, `[values]`.
pub fn indices(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
