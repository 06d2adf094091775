//! What a space of images and texts is worth: retrieval in both directions, and how the vectors lie in it.

use std::collections::HashMap;

use burn::tensor::{Tensor, TensorData};
use crucible_datasets::{CaptionData, CaptionSample, ImageSource, Split};
use crucible_evaluation::report::{Figure, Png};
use crucible_evaluation::retrieval::{
    Vectors, alignment, largest, modality_gap, retrieval, uniformity,
};
use crucible_objectives::information;
use crucible_training::{Cost, Error, Outcome, Prediction};

use crate::embedding::{Embed, Embedder};

/// Retrieval within a split, in both directions; an image's text is its first caption.
pub fn score<E: Embed>(
    embedder: &Embedder<'_, E>,
    data: &CaptionData,
    split: Split,
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
    let sources: Vec<ImageSource> = samples.iter().map(|sample| sample.image.clone()).collect();
    let (of_images, of_texts) = (embedder.images(&sources)?, embedder.texts(&texts)?);

    let device = embedder.device;
    let mut metrics = retrieval(&of_images, &of_texts, &text_of, device).metrics();
    metrics.insert("modality_gap".into(), modality_gap(&of_images, &of_texts));
    let aligned = alignment(&of_images, &of_texts, &text_of);
    metrics.insert("alignment".into(), aligned);
    metrics.insert("uniformity_images".into(), uniformity(&of_images, device));
    metrics.insert("uniformity_texts".into(), uniformity(&of_texts, device));
    metrics.extend(information(embedder, &of_images, &of_texts, &text_of));
    // One vector alone is spread neither well nor badly, and one pair alone tells nothing of another.
    if samples.len() < 2 {
        for name in [
            "uniformity_images",
            "information_info_nce",
            "information_dv",
        ] {
            metrics.remove(name);
        }
    }
    if texts.len() < 2 {
        metrics.remove("uniformity_texts");
    }

    let scale: f32 = embedder.encoder.scale().into_scalar();
    let rows = of_texts.cosines_of(&of_images, device);
    let predictions = samples.iter().zip(rows).map(|(sample, cosines)| {
        let (best, score) = likeliest(&cosines, scale);
        Prediction {
            id: sample.id.clone(),
            target: sample.captions[0].clone(),
            prediction: texts[best].clone(),
            score,
            ..Prediction::default()
        }
    });
    let predictions = predictions.collect();
    Ok(Outcome {
        metrics,
        predictions,
        figures: vec![similarities(embedder, &samples, &of_images)?],
        cost: Cost {
            parameters: embedder.encoder.num_params(),
            ..Cost::default()
        },
        data_digest: data.digest.clone(),
    })
}

/// Most pairs that the bounds of mutual information compare; InfoNCE's is at most the logarithm of it.
const COMPARED: usize = 512;

/// Lower bounds of the mutual information between images and texts, in nats, with the scaled similarity for a critic.
/// NWJ's critic is shifted to where its bound is the tightest, which makes it that of Donsker and Varadhan.
fn information<E: Embed>(
    embedder: &Embedder<'_, E>,
    of_images: &Vectors,
    of_texts: &Vectors,
    text_of: &[usize],
) -> [(String, f64); 2] {
    let scale: f32 = embedder.encoder.scale().into_scalar();
    let pairs = text_of.len().min(COMPARED);
    // Evenly spread, since what lies together in the data is often of a kind.
    let compared = (0..pairs).map(|pair| pair * text_of.len() / pairs);
    let texts: Vec<f32> = compared
        .clone()
        .flat_map(|image| of_texts.row(text_of[image]).iter().copied())
        .collect();
    let texts = Vectors::new(texts, of_texts.row(0).len());
    let rows = compared.flat_map(|image| texts.cosines(of_images.row(image)));
    let scores: Vec<f32> = rows.map(|cosine| scale * cosine).collect();
    let scores = Tensor::from_data(TensorData::new(scores, [pairs, pairs]), embedder.device);
    let read = |bound: Tensor<1>| bound.into_scalar::<f64>();
    [
        (
            "information_info_nce".into(),
            read(information::info_nce(scores.clone())),
        ),
        (
            "information_dv".into(),
            read(information::donsker_varadhan(scores)),
        ),
    ]
}

/// How many pictures and texts are shown with their similarities, evenly spread over the split.
const SHOWN: usize = 8;

/// Some images with their texts; a text that several have is shown once.
fn similarities<E: Embed>(
    embedder: &Embedder<'_, E>,
    samples: &[CaptionSample],
    of_images: &Vectors,
) -> Result<Figure, Error> {
    let mut shown: Vec<usize> = Vec::new();
    let apart = (samples.len() / (8 * SHOWN)).max(1);
    for index in (0..samples.len()).step_by(apart) {
        let text = &samples[index].captions[0];
        let known = |&shown: &usize| samples[shown].captions.contains(text);
        if shown.len() < SHOWN && !shown.iter().any(known) {
            shown.push(index);
        }
    }
    let texts = shown
        .iter()
        .map(|&index| samples[index].captions[0].clone());
    let texts: Vec<String> = texts.collect();
    let of_texts = embedder.texts(&texts)?;
    let (mut pictures, mut values) = (Vec::new(), Vec::new());
    for &index in &shown {
        let png = embedder
            .collate
            .png(&samples[index].image)
            .map_err(Error::data)?;
        pictures.push(Png::new(&png));
        let cosines = of_texts.cosines(of_images.row(index));
        values.push(cosines.map(f64::from).collect());
    }
    Ok(Figure::Similarities {
        title: "Similarities".into(),
        note: "Cosine of image and text; what belongs together lies on the diagonal.".into(),
        pictures,
        texts,
        values,
    })
}

/// The largest entry and its share of the softmax over all.
fn likeliest(cosines: &[f32], scale: f32) -> (usize, f64) {
    let best = largest(cosines.iter().copied());
    let shares = cosines
        .iter()
        .map(|cosine| f64::from(scale * (cosine - cosines[best])).exp());
    (best, 1.0 / shares.sum::<f64>())
}
