//! What `crucible data` tells: counts, splits, licence, samples, problems.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

use serde::Serialize;

use crate::catalogue::{self, Found};
use crate::formats::{Kind, Problems, Scan};
use crate::{CaptionSample, Data, DataError, ImageSource, LabelledImage, Split, VqaSample};

/// A dataset in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Catalogue name or path.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Its licence, or where to look for it.
    pub licence: String,
    /// SHA-256 of what the samples were made from.
    pub digest: String,
    /// Train, valid, test.
    pub splits: Vec<SplitCounts>,
    /// Answers or classes.
    pub labels: Vec<String>,
    /// How many different words the training texts have.
    pub words: usize,
    /// The first few samples, in words.
    pub samples: Vec<String>,
    /// The first hundred problems.
    pub problems: Vec<String>,
    /// How many problems there are in all.
    pub problem_count: usize,
}

/// How much a split holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// Which one.
    pub split: Split,
    /// Images; 0 for text.
    pub images: usize,
    /// Questions, captions or lines; for classification, images.
    pub items: usize,
}

/// Reads a whole dataset, decodes every image, and tells what was found.
///
/// # Errors
///
/// [`DataError`] if nothing can be read at all; what is wrong with single lines or images is in
/// [`Description::problems`].
pub fn describe(name_or_path: &str) -> Result<Description, DataError> {
    let found = catalogue::find(name_or_path)?;
    let licence = match &found {
        Found::Entry(entry) => entry.licence.to_owned(),
        Found::Path(_) => licence(Path::new(name_or_path)),
    };
    match found.kind() {
        Kind::Vqa => report(catalogue::scan_vqa(name_or_path)?, Kind::Vqa, licence),
        Kind::Images => report(catalogue::scan_images(name_or_path)?, Kind::Images, licence),
        Kind::Captions => report(
            catalogue::scan_captions(name_or_path)?,
            Kind::Captions,
            licence,
        ),
        Kind::Text => report(catalogue::scan_text(name_or_path)?, Kind::Text, licence),
    }
}

/// Which of its licence files a user's folder has.
fn licence(path: &Path) -> String {
    let folder = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(path)
    };
    [
        "LICENSE",
        "LICENSE.txt",
        "LICENSE.md",
        "LICENCE",
        "LICENCE.txt",
        "LICENCE.md",
    ]
    .into_iter()
    .find(|name| folder.join(name).is_file())
    .map_or("not stated".into(), |name| format!("see {name}"))
}

fn report<S: Show>(
    scan: Scan<Data<S>>,
    kind: Kind,
    licence: String,
) -> Result<Description, DataError> {
    let Scan { data, mut problems } = scan;
    let mut splits = Vec::new();
    let mut words = BTreeSet::new();
    let mut shown = Vec::new();
    for split in Split::ALL {
        let samples = data.split(split);
        let mut counts = SplitCounts {
            split,
            images: 0,
            items: 0,
        };
        let mut images = Vec::new();
        for index in 0..samples.len() {
            let sample = match samples.get(index) {
                Ok(sample) => sample,
                Err(error) => {
                    problems.push(DataError::Dataset(error));
                    continue;
                }
            };
            let lines = sample.lines(&data.labels);
            counts.items += lines.len();
            if shown.len() < SHOWN {
                shown.extend(lines.into_iter().take(SHOWN - shown.len()));
            }
            if split == Split::Train {
                let texts = sample.texts().into_iter();
                let lower = texts.map(str::to_lowercase);
                lower.for_each(|text| {
                    words.extend(text.split(|c: char| !c.is_alphanumeric()).map(String::from))
                });
            }
            images.extend(sample.image().cloned());
        }
        counts.images = images.len();
        decode_all(&images, &mut problems);
        splits.push(counts);
    }
    words.remove("");
    if let Err(problem) = data.samples(Split::Train) {
        problems.push(problem);
    }
    Ok(Description {
        name: data.name,
        kind,
        licence,
        digest: data.digest,
        splits,
        labels: data.labels,
        words: words.len(),
        samples: shown,
        problems: problems.first.iter().map(ToString::to_string).collect(),
        problem_count: problems.count,
    })
}

/// How many lines of samples a description shows.
const SHOWN: usize = 5;

/// Decodes images on all cores and keeps what went wrong, in order.
fn decode_all(images: &[ImageSource], problems: &mut Problems) {
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
    let part = images.len().div_ceil(threads).max(1);
    let failed = thread::scope(|scope| {
        let decode = |images: &[ImageSource]| -> Vec<DataError> {
            images
                .iter()
                .filter_map(|image| image.decode().err())
                .collect()
        };
        let workers: Vec<_> = images
            .chunks(part)
            .map(|part| scope.spawn(move || decode(part)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect::<Vec<_>>()
    });
    failed
        .into_iter()
        .for_each(|problem| problems.push(problem));
}

/// What describing needs of a sample.
trait Show {
    /// One line for each item.
    fn lines(&self, labels: &[String]) -> Vec<String>;
    fn texts(&self) -> Vec<&str>;
    fn image(&self) -> Option<&ImageSource>;
}

impl Show for VqaSample {
    fn lines(&self, _: &[String]) -> Vec<String> {
        let questions = self.questions.iter();
        questions
            .map(|q| format!("{}: {} -> {}", self.id, q.text, q.answer))
            .collect()
    }
    fn texts(&self) -> Vec<&str> {
        self.questions
            .iter()
            .map(|question| question.text.as_str())
            .collect()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for LabelledImage {
    fn lines(&self, labels: &[String]) -> Vec<String> {
        vec![format!("{} -> {}", self.id, labels[self.label])]
    }
    fn texts(&self) -> Vec<&str> {
        Vec::new()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for CaptionSample {
    fn lines(&self, _: &[String]) -> Vec<String> {
        self.captions
            .iter()
            .map(|caption| format!("{}: {caption}", self.id))
            .collect()
    }
    fn texts(&self) -> Vec<&str> {
        self.captions.iter().map(String::as_str).collect()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for String {
    fn lines(&self, _: &[String]) -> Vec<String> {
        vec![self.clone()]
    }
    fn texts(&self) -> Vec<&str> {
        vec![self]
    }
    fn image(&self) -> Option<&ImageSource> {
        None
    }
}
