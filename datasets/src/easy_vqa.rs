//! easy-VQA, embedded in the binary, and what is derived from it. Its card is `datasets/easy-vqa/README.md`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::facts::{COLOURS, Pair, SHAPES, possible_pairs};
use crate::split::{fraction, hex};
use crate::{
    Data, DataError, ImageData, ImageSource, LabelledImage, Place, Question, VqaData, VqaSample,
};

/// The dataset as published.
pub(crate) const NAME: &str = "easy-vqa";
/// [`HELD_OUT`] pairs only in the test split.
pub(crate) const COMPOSITIONS: &str = "easy-vqa-compositions";
/// Classification of the object.
pub(crate) const OBJECTS: &str = "easy-vqa-objects";

static TRAIN: Archive = Archive {
    name: "train",
    bytes: include_bytes!("../easy-vqa/train.tar.gz"),
    files: OnceLock::new(),
};
static TEST: Archive = Archive {
    name: "test",
    bytes: include_bytes!("../easy-vqa/test.tar.gz"),
    files: OnceLock::new(),
};
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

/// One published split as it is embedded.
struct Archive {
    name: &'static str,
    bytes: &'static [u8],
    /// Its files by name, or why there are none; unpacked once for the whole process.
    files: OnceLock<Result<HashMap<String, Vec<u8>>, String>>,
}

impl Archive {
    /// The content of a file.
    fn file(&'static self, name: &str) -> Result<&'static [u8], DataError> {
        let unpack = || -> std::io::Result<HashMap<String, Vec<u8>>> {
            let mut files = HashMap::new();
            for entry in tar::Archive::new(GzDecoder::new(self.bytes)).entries()? {
                let mut entry = entry?;
                let name = entry.path()?.display().to_string();
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                files.insert(name, content);
            }
            Ok(files)
        };
        let files = self
            .files
            .get_or_init(|| unpack().map_err(|error| error.to_string()));
        let files = files.as_ref().map_err(|reason| self.damaged(reason))?;
        let content = files.get(name).map(Vec::as_slice);
        content.ok_or_else(|| self.damaged(format!("no {name}")))
    }

    /// The images with their questions, in the order of their numbers.
    fn samples(&'static self) -> Result<Vec<VqaSample>, DataError> {
        let rows: Vec<(String, String, usize)> =
            serde_json::from_slice(self.file("questions.json")?)
                .map_err(|error| self.damaged(error))?;
        let mut groups: BTreeMap<usize, Vec<Question>> = BTreeMap::new();
        for (text, answer, image) in rows {
            let questions = groups.entry(image).or_default();
            let id = format!("{}/{image}/{}", self.name, questions.len());
            questions.push(Question { id, text, answer });
        }
        groups
            .into_iter()
            .map(|(image, questions)| {
                let id = format!("{}/{image}", self.name);
                let name = format!("{NAME}/{id}.png");
                let bytes = self.file(&format!("images/{image}.png"))?;
                Ok(VqaSample {
                    id,
                    image: ImageSource::Embedded { name, bytes },
                    questions,
                })
            })
            .collect()
    }

    fn damaged(&self, reason: impl ToString) -> DataError {
        DataError::format(
            Place::file(format!("easy-vqa/{}.tar.gz", self.name).as_ref()),
            reason.to_string(),
            "the binary is damaged: build it again",
        )
    }
}

/// The published training images as train and valid, the published test images as test.
fn splits() -> Result<[Vec<VqaSample>; 3], DataError> {
    let train = TRAIN.samples()?;
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
    Ok([train, valid, TEST.samples()?])
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

/// The images whose facts leave one pair, with it as their class: "black circle" to "yellow triangle".
pub(crate) fn objects() -> Result<ImageData, DataError> {
    let classes: Vec<Pair> = COLOURS
        .into_iter()
        .flat_map(|colour| SHAPES.map(|shape| (colour, shape)))
        .collect();
    let splits = splits()?.map(|samples| {
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
        labelled.collect()
    });
    let names = classes
        .iter()
        .map(|(colour, shape)| format!("{colour} {shape}"));
    let names = names.collect();
    Ok(Data::in_memory(OBJECTS, splits, names, digest(OBJECTS)))
}
