//! Test items with their pictures, for the report of a run.

use crucible_datasets::instruction::{IMAGE, open_instructions};
use crucible_datasets::{DataError, ImageSource, Kind, kind, open_pictures, open_vqa};
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::report::SampleCard;
use image::imageops::thumbnail;
use std::collections::HashMap;
use std::io::Cursor;

/// How many cards of each sort: the mistakes first, then answers that are right.
const EACH: usize = 6;
/// Pixels a side of the largest picture in a report.
const SIDE: u32 = 160;

/// Cards of some mistakes and some right answers among `predictions` on the test split of `data`.
///
/// # Errors
///
/// [`DataError`] when the data or a picture cannot be read.
pub fn cards(data: &str, predictions: &[Prediction]) -> Result<Vec<SampleCard>, DataError> {
    let mut chosen = pick(predictions, false);
    chosen.extend(pick(predictions, true));
    let ids: Vec<&str> = chosen.iter().map(|item| item.id.as_str()).collect();
    let items = items(data, &ids)?;
    chosen
        .into_iter()
        .filter_map(|prediction| Some((prediction, items.get(&prediction.id)?)))
        .map(|(prediction, (image, question))| {
            Ok(SampleCard {
                image_png: png(image)?,
                question: question.clone(),
                target: prediction.target.clone(),
                prediction: prediction.prediction.clone(),
                score: prediction.score,
            })
        })
        .collect()
}

/// Evenly spread over all that are right, or wrong.
fn pick(predictions: &[Prediction], right: bool) -> Vec<&Prediction> {
    let of: Vec<&Prediction> = predictions
        .iter()
        .filter(|prediction| prediction.is_right() == right)
        .collect();
    let count = of.len().min(EACH);
    (0..count)
        .map(|index| of[index * of.len() / count])
        .collect()
}

/// Picture and question of each item of the test split that has one of the names.
///
/// # Errors
///
/// [`DataError`] when the data cannot be read.
pub fn items(
    data: &str,
    ids: &[&str],
) -> Result<HashMap<String, (ImageSource, String)>, DataError> {
    let wanted = |id: &str| ids.contains(&id);
    let mut items = HashMap::new();
    match kind(data)? {
        Kind::Vqa => {
            let test = open_vqa(data)?.test;
            for index in 0..test.len() {
                let sample = test.get(index).map_err(DataError::Dataset)?;
                for question in sample
                    .questions
                    .iter()
                    .filter(|question| wanted(&question.id))
                {
                    let item = (sample.image.clone(), question.text.clone());
                    items.insert(question.id.clone(), item);
                }
            }
        }
        Kind::Images | Kind::Captions | Kind::Pictures => {
            let test = open_pictures(data)?.test;
            for index in 0..test.len() {
                let picture = test.get(index).map_err(DataError::Dataset)?;
                if wanted(&picture.id) {
                    items.insert(picture.id, (picture.image, String::new()));
                }
            }
        }
        Kind::Instructions => {
            let test = open_instructions(data)?.test;
            for index in 0..test.len() {
                let conversation = test.get(index).map_err(DataError::Dataset)?;
                let image = conversation.images.into_iter().next();
                if let Some(image) = image.filter(|_| wanted(&conversation.id)) {
                    let asked = conversation.turns.into_iter().rev().nth(1);
                    let asked = asked.map(|turn| turn.text.replace(IMAGE, ""));
                    items.insert(conversation.id, (image, asked.unwrap_or_default()));
                }
            }
        }
        Kind::Text | Kind::LabelledTexts => {}
    }
    Ok(items)
}

/// The picture as a PNG file, made smaller where it is large.
///
/// # Errors
///
/// [`DataError`] when it cannot be decoded.
pub fn png(source: &ImageSource) -> Result<Vec<u8>, DataError> {
    let mut image = source.decode()?;
    let (width, height) = image.dimensions();
    if width > SIDE || height > SIDE {
        let scale = f64::from(SIDE) / f64::from(width.max(height));
        let side = |pixels: u32| ((f64::from(pixels) * scale) as u32).max(1);
        image = thumbnail(&image, side(width), side(height));
    }
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory fails for no image that was just decoded; a card without a picture would do too.
    match image.write_to(&mut bytes, image::ImageFormat::Png) {
        Ok(()) => Ok(bytes.into_inner()),
        Err(_) => Ok(Vec::new()),
    }
}
