//! Pairs of image and text, and what is hidden of either.

use burn::tensor::{Device, Tensor, TensorData};
use crucible_datasets::{
    CaptionBatch, CaptionCollate, CaptionHost, CaptionSample, Collate, DataError, Drawn,
};
use crucible_objectives::masking::{PatchMasking, mask_patches};

use super::tasks::{Task, TasksConfig};
use crate::hidden::{Hidden, HiddenHost, Hider};

/// Pairs to be learnt from.
#[derive(Clone, Debug)]
pub struct VlpBatch {
    /// Images and texts, whole.
    pub pairs: CaptionBatch,
    /// The texts with hidden tokens.
    pub words: Hidden,
    /// 1 where a patch is hidden, `[pairs, patches]`.
    pub patches: Tensor<2>,
    /// Whether there is an image and a text that does not fit for each.
    pub negatives: bool,
    /// What is trained.
    pub tasks: Vec<Task>,
}

/// A [`VlpBatch`] in host memory.
pub struct VlpHost {
    pairs: CaptionHost,
    words: HiddenHost,
    patches: Vec<f32>,
    negatives: bool,
    tasks: Vec<Task>,
}

/// Makes [`VlpBatch`]es: other things are hidden at each draw, in evaluation always the same.
pub struct VlpCollate {
    /// Makes images and texts.
    pub captions: CaptionCollate,
    /// Hides tokens.
    pub words: Hider,
    /// Hides patches.
    pub patches: PatchMasking,
    /// Patches of a side.
    pub side: usize,
    /// Decides what is trained.
    pub tasks: TasksConfig,
    /// Trains every task on every batch, whatever their shares.
    pub all_tasks: bool,
}

impl Collate for VlpCollate {
    type Sample = CaptionSample;
    type Host = VlpHost;
    type Batch = VlpBatch;

    fn collate(&self, drawn: Vec<Drawn<CaptionSample>>) -> Result<VlpHost, DataError> {
        let random = drawn.first().and_then(Drawn::batch);
        let tasks = self.tasks.draw(random.filter(|_| !self.all_tasks));
        let (mut words, mut patches) = (Vec::with_capacity(drawn.len()), Vec::new());
        for drawn in &drawn {
            let random = &mut drawn.masking();
            words.push(self.words.hide(drawn.caption(), random)?);
            let hidden = mask_patches(self.side, self.side, &self.patches, random);
            patches.extend(hidden.iter().map(|&hidden| f32::from(u8::from(hidden))));
        }
        let pairs = self.captions.collate(drawn)?;
        Ok(VlpHost {
            words: self.words.pad(words),
            negatives: pairs.has_negatives(),
            pairs,
            patches,
            tasks,
        })
    }

    fn upload(&self, host: VlpHost, device: &Device) -> VlpBatch {
        let pairs = self.captions.upload(host.pairs, device);
        let shape = [pairs.ids.len(), self.side * self.side];
        VlpBatch {
            words: host.words.upload(device),
            patches: Tensor::from_data(TensorData::new(host.patches, shape), device),
            negatives: host.negatives,
            tasks: host.tasks,
            pairs,
        }
    }
}
