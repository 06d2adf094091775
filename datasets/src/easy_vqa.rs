//! easy-VQA, embedded in the binary, and what is derived from it. Its card is `datasets/easy-vqa/README.md`.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::embedded::Archive;
use crate::facts::{COLOURS, Pair, SHAPES, possible_pairs};
use crate::split::{fraction, hex};
use crate::{
    CaptionData, CaptionSample, Data, DataError, ImageData, LabelledImage, Question, VqaData,
    VqaSample,
};

/// The dataset as published.
pub(crate) const NAME: &str = "easy-vqa";
/// [`HELD_OUT`] pairs only in the test split.
pub(crate) const COMPOSITIONS: &str = "easy-vqa-compositions";
/// Classification of the object.
pub(crate) const OBJECTS: &str = "easy-vqa-objects";
/// What is to be seen, in words.
pub(crate) const CAPTIONS: &str = "easy-vqa-captions";

static TRAIN: Archive = Archive::new("easy-vqa/train", include_bytes!("../easy-vqa/train.tar.gz"));
static TEST: Archive = Archive::new("easy-vqa/test", include_bytes!("../easy-vqa/test.tar.gz"));
const ANSWERS: &str = include_str!("../easy-vqa/answers.txt");

/// How many of the 4,000 training images are for validation.
const VALID_IMAGES: usize = 200;

/// The pairs that `easy-vqa-compositions` shows only in the test split: two of each shape, six different colours, so
/// that every shape and every colour is learnt from other pairs.
pub const HELD_OUT: [Pair; 6] = [
    ("red", "circle"),
    ("teal", "circle"),
    ("blue", "rectangle"),
    ("yellow", "rectangle"),
    ("gray", "triangle"),
    ("green", "triangle"),
];

/// The images of a published split with their questions, in the order of their numbers.
fn samples(split: &str, archive: &'static Archive) -> Result<Vec<VqaSample>, DataError> {
    let rows: Vec<(String, String, usize)> =
        serde_json::from_slice(archive.file("questions.json")?)
            .map_err(|error| archive.damaged(error))?;
    let mut groups: BTreeMap<usize, Vec<Question>> = BTreeMap::new();
    for (text, answer, image) in rows {
        let questions = groups.entry(image).or_default();
        let id = format!("{split}/{image}/{}", questions.len());
        questions.push(Question { id, text, answer });
    }
    groups
        .into_iter()
        .map(|(image, questions)| {
            let id = format!("{split}/{image}");
            let image =
                archive.image(&format!("images/{image}.png"), format!("{NAME}/{id}.png"))?;
            Ok(VqaSample {
                id,
                image,
                questions,
            })
        })
        .collect()
}

/// The published training images as train and valid, the published test images as test.
fn splits() -> Result<[Vec<VqaSample>; 3], DataError> {
    let train = samples("train", &TRAIN)?;
    let mut ranking: Vec<&str> = train.iter().map(|sample| sample.id.as_str()).collect();
    ranking.sort_by(|a, b| fraction(a).total_cmp(&fraction(b)));
    let chosen: HashSet<String> = ranking
        .into_iter()
        .take(VALID_IMAGES)
        .map(String::from)
        .collect();
    let (valid, train) = train
        .into_iter()
        .partition(|sample| chosen.contains(&sample.id));
    Ok([train, valid, samples("test", &TEST)?])
}

fn digest(name: &str) -> String {
    hex(&Sha256::new()
        .chain_update(name)
        .chain_update(TRAIN.bytes)
        .chain_update(TEST.bytes)
        .finalize())
}

fn vqa(name: &str, splits: [Vec<VqaSample>; 3]) -> VqaData {
    let answers = ANSWERS.lines().map(String::from).collect();
    Data::in_memory(name, splits, answers, digest(name))
}

/// easy-VQA.
pub(crate) fn standard() -> Result<VqaData, DataError> {
    Ok(vqa(NAME, splits()?))
}

/// easy-VQA with the pairs of [`HELD_OUT`] kept for the test. Train and valid keep the images whose facts exclude every
/// held-out pair; the test has the images, of both published splits, whose facts leave no other.
pub(crate) fn compositions() -> Result<VqaData, DataError> {
    let [train, valid, test] = splits()?;
    let pairs = |sample: &VqaSample| possible_pairs(&sample.questions);
    let held_out = |pair: &Pair| HELD_OUT.contains(pair);
    let learnable = |samples: &[VqaSample]| -> Vec<VqaSample> {
        let safe = |sample: &&VqaSample| !pairs(sample).iter().any(held_out);
        samples.iter().filter(safe).cloned().collect()
    };
    let composed = [&train, &valid, &test]
        .into_iter()
        .flatten()
        .filter(|sample| pairs(sample).iter().all(held_out))
        .cloned()
        .collect();
    Ok(vqa(
        COMPOSITIONS,
        [learnable(&train), learnable(&valid), composed],
    ))
}

/// The images whose facts leave one pair of colour and shape, with what `sample` makes of them.
fn known<S>(sample: impl Fn(VqaSample, Pair) -> S) -> Result<[Vec<S>; 3], DataError> {
    let known = |of: VqaSample| match possible_pairs(&of.questions)[..] {
        [pair] => Some(sample(of, pair)),
        _ => None,
    };
    Ok(splits()?.map(|samples| samples.into_iter().filter_map(known).collect()))
}

/// With the pair as their class: "black circle" to "yellow triangle".
pub(crate) fn objects() -> Result<ImageData, DataError> {
    let classes: Vec<Pair> = COLOURS
        .into_iter()
        .flat_map(|colour| SHAPES.map(|shape| (colour, shape)))
        .collect();
    let splits = known(|sample, pair| LabelledImage {
        id: sample.id,
        image: sample.image,
        label: classes.partition_point(|class| *class < pair),
    })?;
    let names = classes
        .iter()
        .map(|(colour, shape)| format!("{colour} {shape}"));
    let names = names.collect();
    Ok(Data::in_memory(OBJECTS, splits, names, digest(OBJECTS)))
}

/// With the pair in two captions: "a red circle" and "this shape is a circle, and its color is red".
pub(crate) fn captions() -> Result<CaptionData, DataError> {
    let splits = known(|sample, (colour, shape)| CaptionSample {
        id: sample.id,
        image: sample.image,
        captions: vec![
            format!("a {colour} {shape}"),
            format!("this shape is a {shape}, and its color is {colour}"),
        ],
    })?;
    Ok(Data::in_memory(
        CAPTIONS,
        splits,
        Vec::new(),
        digest(CAPTIONS),
    ))
}
