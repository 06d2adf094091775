//! What can be read off an image encoder.

use burn::tensor::Device;
use crucible_datasets::{AugmentConfig, ImageData, ImageProcessor, Split, open_images};
use crucible_evaluation::probe::{Labelled, linear_probe, nearest_neighbours};
use crucible_kernels::among_threads;
use crucible_training::Error;
use crucible_vision::Vit;

/// How many images are encoded at a time.
const AT_A_TIME: usize = 64;

/// Of the neighbours that vote.
const NEIGHBOURS: usize = 20;

/// Accuracy on a split of `data`, on the pooled tokens.
pub struct Accuracy {
    /// Of a linear probe.
    pub linear: f64,
    /// Of the votes of the nearest neighbours.
    pub neighbours: f64,
}

/// What the classes of `data` can be told apart by in a split.
pub fn probe(
    data: &str,
    images: &ImageProcessor,
    vision: &Vit,
    device: &Device,
    split: Split,
) -> Result<Accuracy, Error> {
    let data = open_images(data).map_err(Error::data)?;
    let encode = |split| encode(&data, split, images, vision, device);
    let (train, valid, test) = (encode(Split::Train)?, encode(Split::Valid)?, encode(split)?);
    Ok(Accuracy {
        neighbours: nearest_neighbours(&train, NEIGHBOURS, &test),
        linear: linear_probe(&train, &valid, &test, data.labels.len()),
    })
}

fn encode(
    data: &ImageData,
    split: Split,
    images: &ImageProcessor,
    vision: &Vit,
    device: &Device,
) -> Result<Labelled, Error> {
    let samples = data.samples(split).map_err(Error::data)?;
    let numbers: Vec<usize> = (0..samples.len()).collect();
    let (mut features, mut classes) = (Vec::new(), Vec::new());
    for numbers in numbers.chunks(AT_A_TIME) {
        let mut pixels = Vec::new();
        for &number in numbers {
            let sample = samples.get(number).map_err(Error::data)?;
            let plain = AugmentConfig::default();
            let appended = images.append(&sample.image, &plain, None, &mut pixels);
            appended.map_err(Error::data)?;
            classes.push(sample.label);
        }
        let (pixels, vision) = (images.upload(pixels, device), vision.clone());
        let pooled = among_threads(device, move || vision.forward(pixels).pooled);
        features.extend(pooled.into_data().iter::<f32>());
    }
    Ok(Labelled::new(features, classes, device))
}
