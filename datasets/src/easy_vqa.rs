//! easy-VQA, embedded in the binary, and what is derived from it. Its card is `datasets/easy-vqa/README.md`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::facts::{COLOURS, Pair, SHAPES, possible_pairs};
use crate::sample::in_memory;
use crate::split::{fraction, hex};
use crate::{DataError, ImageData, ImageSource, LabelledImage, Question, VqaData, VqaSample};

/// The dataset as published.
pub(crate) const NAME: &str = "easy-vqa";
/// [`HELD_OUT`] pairs only in the test split.
pub(crate) const COMPOSITIONS: &str = "easy-vqa-compositions";
/// Classification of the object.
pub(crate) const OBJECTS: &str = "easy-vqa-objects";

const TRAIN: &[u8] = include_bytes!("../easy-vqa/train.tar.gz");
const TEST: &[u8] = include_bytes!("../easy-vqa/test.tar.gz");
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

/// The files of one archive, unpacked once for the whole process.
type Files = HashMap<String, Vec<u8>>;

fn unpack(archive: &'static str) -> Result<&'static Files, DataError> {
    static UNPACKED: [OnceLock<Result<Files, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let (cell, bytes) = match archive {
        "train" => (&UNPACKED[0], TRAIN),
        _ => (&UNPACKED[1], TEST),
    };
    let read = || -> std::io::Result<Files> {
        let mut files = Files::new();
        for entry in tar::Archive::new(GzDecoder::new(bytes)).entries()? {
            let mut entry = entry?;
            let name = entry.path()?.display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.insert(name, content);
        }
        Ok(files)
    };
    cell.get_or_init(|| read().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|reason| damaged(archive, reason))
}

fn damaged(archive: &str, reason: impl ToString) -> DataError {
    DataError::format(
        crate::Place::file(format!("easy-vqa/{archive}.tar.gz").as_ref()),
        reason.to_string(),
        "the binary is damaged: build it again",
    )
}

/// The images of one archive with their questions, in the order of their numbers.
fn samples(archive: &'static str) -> Result<Vec<VqaSample>, DataError> {
    let files = unpack(archive)?;
    let member = |name: &str| {
        let content = files.get(name);
        content.ok_or_else(|| damaged(archive, format!("no {name}")))
    };
    let rows: Vec<(String, String, usize)> = serde_json::from_slice(member("questions.json")?)
        .map_err(|error| damaged(archive, error))?;
    let mut groups: BTreeMap<usize, Vec<Question>> = BTreeMap::new();
    for (text, answer, image) in rows {
        let questions = groups.entry(image).or_default();
        let id = format!("{archive}/{image}/{}", questions.len());
        questions.push(Question { id, text, answer });
    }
    groups
        .into_iter()
        .map(|(image, questions)| {
            let id = format!("{archive}/{image}");
            let bytes = member(&format!("images/{image}.png"))?;
            Ok(VqaSample {
                image: ImageSource::Embedded {
                    name: format!("{NAME}/{id}.png"),
                    bytes,
                },
                id,
                questions,
            })
        })
        .collect()
}

/// The published training images as train and valid, the published test images as test.
fn splits() -> Result<[Vec<VqaSample>; 3], DataError> {
    let train = samples("train")?;
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
    Ok([train, valid, samples("test")?])
}

fn digest(name: &str) -> String {
    hex(&Sha256::new()
        .chain_update(name)
        .chain_update(TRAIN)
        .chain_update(TEST)
        .finalize())
}

fn vqa(name: &str, [train, valid, test]: [Vec<VqaSample>; 3]) -> VqaData {
    VqaData {
        name: name.into(),
        train: in_memory(train),
        valid: in_memory(valid),
        test: in_memory(test),
        answers: ANSWERS.lines().map(String::from).collect(),
        digest: digest(name),
    }
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

/// The images whose facts leave one pair, with it as their class: "black circle" to "yellow triangle".
pub(crate) fn objects() -> Result<ImageData, DataError> {
    let classes: Vec<Pair> = COLOURS
        .into_iter()
        .flat_map(|colour| SHAPES.map(|shape| (colour, shape)))
        .collect();
    let [train, valid, test] = splits()?.map(|samples| {
        let labelled = samples.into_iter().filter_map(|sample| {
            let [pair] = possible_pairs(&sample.questions)[..] else {
                return None;
            };
            let label = classes.iter().position(|class| *class == pair)?;
            Some(LabelledImage {
                id: sample.id,
                image: sample.image,
                label,
            })
        });
        in_memory(labelled.collect())
    });
    Ok(ImageData {
        name: OBJECTS.into(),
        train,
        valid,
        test,
        classes: classes
            .iter()
            .map(|(colour, shape)| format!("{colour} {shape}"))
            .collect(),
        digest: digest(OBJECTS),
    })
}
