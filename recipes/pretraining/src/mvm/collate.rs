//! Images with hidden patches.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use crucible_datasets::{
    AugmentConfig, Collate, DataError, Drawn, ImageProcessor, Picture, indices,
};
use crucible_objectives::masking::{PatchMasking, mask_patches};
use crucible_vision::Visible;

/// Images of which patches are hidden.
#[derive(Clone, Debug)]
pub struct PatchBatch {
    /// Normalised images, whole, `[images, 3, height, width]`.
    pub images: Tensor<4>,
    /// Which patches the encoder sees.
    pub visible: Visible,
    /// 1 where a patch is hidden, `[images, patches]`.
    pub hidden: Tensor<2>,
    /// The images' ids.
    pub ids: Vec<String>,
}

/// A [`PatchBatch`] in host memory.
pub struct PatchHost {
    images: Vec<f32>,
    hidden: Vec<bool>,
    ids: Vec<String>,
}

/// Makes [`PatchBatch`]es: other patches are hidden at each draw, in evaluation always the same.
pub struct PatchCollate {
    /// Prepares the images.
    pub images: Arc<ImageProcessor>,
    augment: AugmentConfig,
    masking: PatchMasking,
    /// Patches of a side.
    side: usize,
}

impl PatchCollate {
    pub fn new(
        images: Arc<ImageProcessor>,
        augment: AugmentConfig,
        masking: &PatchMasking,
        side: usize,
    ) -> Result<Self, DataError> {
        augment.check()?;
        Ok(Self {
            images,
            augment,
            masking: masking.clone(),
            side,
        })
    }
}

impl Collate for PatchCollate {
    type Sample = Picture;
    type Host = PatchHost;
    type Batch = PatchBatch;

    fn collate(&self, drawn: Vec<Drawn<Picture>>) -> Result<PatchHost, DataError> {
        let mut host = PatchHost {
            images: Vec::new(),
            hidden: Vec::new(),
            ids: Vec::new(),
        };
        for drawn in drawn {
            let (image, random) = (&drawn.sample.image, &mut drawn.masking());
            self.images
                .append(image, &self.augment, drawn.draw, &mut host.images)?;
            let hidden = mask_patches(self.side, self.side, &self.masking, random);
            host.hidden.extend(hidden);
            host.ids.push(drawn.sample.id);
        }
        Ok(host)
    }

    fn upload(&self, host: PatchHost, device: &Device) -> PatchBatch {
        let PatchHost {
            images,
            hidden,
            ids,
        } = host;
        let patches = self.side * self.side;
        let (mut seen, mut places) = (Vec::new(), Vec::with_capacity(hidden.len()));
        for (image, hidden) in hidden.chunks(patches).enumerate() {
            let count = hidden.iter().filter(|hidden| !**hidden).count();
            let start = image * (count + 1);
            let mut next = start;
            for (patch, hidden) in hidden.iter().enumerate() {
                if *hidden {
                    places.push((start + count) as i32);
                } else {
                    seen.push((image * patches + patch) as i32);
                    places.push(next as i32);
                    next += 1;
                }
            }
        }
        let mask: Vec<f32> = hidden
            .iter()
            .map(|&hidden| f32::from(u8::from(hidden)))
            .collect();
        PatchBatch {
            images: self.images.upload(images, device),
            visible: Visible {
                seen: indices(seen, device),
                places: indices(places, device),
            },
            hidden: Tensor::from_data(TensorData::new(mask, [ids.len(), patches]), device),
            ids,
        }
    }
}
