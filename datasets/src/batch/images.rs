//! Images with a class.

use std::sync::Arc;

use burn::prelude::*;

use super::{Collate, Drawn, indices};
use crate::{AugmentConfig, DataError, ImageProcessor, LabelledImage};

/// Images with their classes.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Normalised images, [images, 3, height, width].
    pub images: Tensor<4>,
    /// Index of the class, [images].
    pub labels: Tensor<1, Int>,
    /// The images' ids.
    pub ids: Vec<String>,
}

/// An [`ImageBatch`] in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageHost {
    images: Vec<f32>,
    labels: Vec<i32>,
    ids: Vec<String>,
}

/// Makes [`ImageBatch`]es.
pub struct ImageCollate {
    images: Arc<ImageProcessor>,
    augment: AugmentConfig,
}

impl ImageCollate {
    /// A collate for labelled images.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `augment` does not make sense.
    pub fn new(images: Arc<ImageProcessor>, augment: AugmentConfig) -> Result<Self, DataError> {
        augment.check()?;
        Ok(Self { images, augment })
    }
}

impl Collate for ImageCollate {
    type Sample = LabelledImage;
    type Host = ImageHost;
    type Batch = ImageBatch;

    fn collate(&self, drawn: Vec<Drawn<LabelledImage>>) -> Result<ImageHost, DataError> {
        let size = self.images.size();
        let mut host = ImageHost {
            images: Vec::with_capacity(drawn.len() * 3 * size * size),
            labels: Vec::with_capacity(drawn.len()),
            ids: Vec::with_capacity(drawn.len()),
        };
        for Drawn { sample, draw, .. } in drawn {
            let image = &sample.image;
            self.images
                .append(image, &self.augment, draw, &mut host.images)?;
            host.labels.push(sample.label as i32);
            host.ids.push(sample.id);
        }
        Ok(host)
    }

    fn upload(&self, host: ImageHost, device: &Device) -> ImageBatch {
        ImageBatch {
            images: self.images.upload(host.images, device),
            labels: indices(host.labels, device),
            ids: host.ids,
        }
    }
}
