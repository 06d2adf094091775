//! What a dual encoder has learnt: retrieval, the shape of the space, zero-shot classification.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_datasets::{CaptionCollate, CaptionData, CaptionSample, ImageSource, Split};
use crucible_evaluation::retrieval::{Vectors, alignment, modality_gap, retrieval, uniformity};
use crucible_fusion::DualEncoder;
use crucible_kernels::among_threads;
use crucible_training::{Cost, Error, Outcome, Prediction, Run};

use super::{ContrastiveConfig, ContrastiveModel, zero_shot};

/// How many images or texts are embedded at a time.
const AT_A_TIME: usize = 64;

/// A trained encoder and what prepares its inputs.
pub struct Embedder<'a> {
    pub encoder: &'a DualEncoder,
    pub collate: &'a CaptionCollate,
    pub device: &'a Device,
}

impl Embedder<'_> {
    pub fn images(&self, images: &[ImageSource]) -> Result<Vectors, Error> {
        let embed = |images: &[ImageSource]| {
            let images = self.collate.images(images, self.device)?;
            let encoder = self.encoder.clone();
            Ok(self.read(move || encoder.embed_images(images)))
        };
        collect(images, embed)
    }

    pub fn texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vectors, Error> {
        let embed = |texts: &[T]| {
            let texts = self.collate.texts(texts, self.device)?;
            let encoder = self.encoder.clone();
            Ok(self.read(move || encoder.embed_texts(texts.ids, texts.padding)))
        };
        collect(texts, embed)
    }

    fn read(&self, embed: impl FnOnce() -> Tensor<2> + Send) -> (Vec<f32>, usize) {
        let embedded = among_threads(self.device, embed);
        let [_, width] = embedded.dims();
        (embedded.into_data().iter().collect(), width)
    }
}

fn collect<T>(
    items: &[T],
    embed: impl Fn(&[T]) -> Result<(Vec<f32>, usize), crucible_datasets::DataError>,
) -> Result<Vectors, Error> {
    let (mut values, mut width) = (Vec::new(), 1);
    for items in items.chunks(AT_A_TIME) {
        let (more, of) = embed(items).map_err(Error::data)?;
        values.extend(more);
        width = of;
    }
    Ok(Vectors::new(values, width))
}

/// Retrieval within a split, in both directions; an image's text is its first caption.
pub fn score(
    config: &ContrastiveConfig,
    run: &Run,
    collate: &CaptionCollate,
    data: &CaptionData,
    split: Split,
    model: &ContrastiveModel,
) -> Result<Outcome, Error> {
    let samples = data.samples(split).map_err(Error::data)?;
    let samples: Vec<CaptionSample> = (0..samples.len())
        .map(|index| samples.get(index).map_err(Error::data))
        .collect::<Result<_, _>>()?;
    let (mut texts, mut known) = (Vec::new(), HashMap::new());
    let text_of: Vec<usize> = samples
        .iter()
        .map(|sample| {
            let caption = &sample.captions[0];
            *known.entry(caption.clone()).or_insert_with(|| {
                texts.push(caption.clone());
                texts.len() - 1
            })
        })
        .collect();
    let embedder = Embedder {
        encoder: &model.encoder,
        collate,
        device: &run.device,
    };
    let sources: Vec<ImageSource> = samples.iter().map(|sample| sample.image.clone()).collect();
    let (of_images, of_texts) = (embedder.images(&sources)?, embedder.texts(&texts)?);

    let mut metrics = retrieval(&of_images, &of_texts, &text_of).metrics();
    metrics.insert("modality_gap".into(), modality_gap(&of_images, &of_texts));
    let aligned = alignment(&of_images, &of_texts, &text_of);
    metrics.insert("alignment".into(), aligned);
    metrics.insert("uniformity_images".into(), uniformity(&of_images));
    metrics.insert("uniformity_texts".into(), uniformity(&of_texts));
    // One vector alone is spread neither well nor badly.
    metrics.retain(|_, value| value.is_finite());
    metrics.extend(zero_shot::score(&config.zero_shot, &embedder, split)?);

    let scale: f32 = model.encoder.scale().into_scalar();
    let predictions = samples.iter().enumerate().map(|(index, sample)| {
        let cosines: Vec<f32> = of_texts.cosines(of_images.row(index)).collect();
        let (best, score) = likeliest(&cosines, scale);
        Prediction {
            id: sample.id.clone(),
            target: sample.captions[0].clone(),
            prediction: texts[best].clone(),
            score,
        }
    });
    Ok(Outcome {
        metrics,
        predictions: predictions.collect(),
        cost: Cost {
            parameters: model.num_params(),
            ..Cost::default()
        },
        data_digest: data.digest.clone(),
    })
}

/// The largest entry and its share of the softmax.
fn likeliest(cosines: &[f32], scale: f32) -> (usize, f64) {
    let best = (0..cosines.len()).max_by(|&a, &b| cosines[a].total_cmp(&cosines[b]));
    let best = best.unwrap_or(0);
    let shares = cosines
        .iter()
        .map(|cosine| f64::from(scale * (cosine - cosines[best])).exp());
    (best, 1.0 / shares.sum::<f64>())
}
