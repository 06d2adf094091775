//! The formats of a user's own data, one file each, and how they are told apart.

pub(crate) mod captions;
pub(crate) mod cifar;
pub(crate) mod idx;
pub(crate) mod image_files;
pub(crate) mod image_folder;
pub(crate) mod labelled_texts;
pub(crate) mod lines;
pub(crate) mod shards;
pub(crate) mod vqa;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{DataError, Place, Split};

/// What a dataset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Images with questions and answers.
    Vqa,
    /// Images with classes.
    Images,
    /// Images with captions.
    Captions,
    /// Images by themselves.
    Pictures,
    /// Text.
    Text,
    /// Texts with classes.
    LabelledTexts,
    /// Conversations, with and without images.
    Instructions,
}

impl Kind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Vqa => "images with questions and answers",
            Kind::Images => "images with classes",
            Kind::Captions => "images with captions",
            Kind::Pictures => "images by themselves",
            Kind::Text => "text",
            Kind::LabelledTexts => "texts with classes",
            Kind::Instructions => "conversations",
        }
    }
}

/// A format on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `{"image": .., "question": .., "answer": ..}` a line.
    VqaJsonl,
    /// `{"image": .., "caption": ..}` a line.
    CaptionJsonl,
    /// Images and captions in tar archives.
    Shards,
    /// A folder a class.
    ImageFolder,
    /// A folder of images.
    ImageFiles,
    /// CIFAR-10's binary batches.
    Cifar10,
    /// MNIST's IDX files.
    Idx,
    /// Read a passage at a time.
    Text,
    /// `{"text": .., "label": ..}` a line.
    LabelledTextJsonl,
    /// A table of text and label, separated by commas.
    LabelledTextCsv,
    /// By tabs.
    LabelledTextTsv,
    /// Alpaca, ShareGPT, LLaVA or OpenAI records, one a line or in one JSON array.
    Conversations,
}

impl Format {
    /// What a dataset in this format holds.
    pub fn kind(self) -> Kind {
        match self {
            Format::VqaJsonl => Kind::Vqa,
            Format::CaptionJsonl | Format::Shards => Kind::Captions,
            Format::ImageFolder | Format::Cifar10 | Format::Idx => Kind::Images,
            Format::ImageFiles => Kind::Pictures,
            Format::Text => Kind::Text,
            Format::LabelledTextJsonl | Format::LabelledTextCsv | Format::LabelledTextTsv => {
                Kind::LabelledTexts
            }
            Format::Conversations => Kind::Instructions,
        }
    }
}

/// A dataset as read, with everything that was wrong in it. Opening fails at the first problem, describing tells all.
pub(crate) struct Scan<T> {
    pub data: T,
    pub problems: Problems,
}

impl<T> Scan<T> {
    /// The data, if nothing was wrong with it.
    pub fn sound(self, name: &str) -> Result<T, DataError> {
        let more = self.problems.count.saturating_sub(1);
        match self.problems.first.into_iter().next() {
            None => Ok(self.data),
            Some(first) if more == 0 => Err(first),
            Some(first) => Err(DataError::Several {
                first: Box::new(first),
                more,
                dataset: name.into(),
            }),
        }
    }
}

/// How many problems are told in full.
const LISTED: usize = 100;

/// Problems, counted; the first hundred in full.
#[derive(Default)]
pub(crate) struct Problems {
    pub first: Vec<DataError>,
    pub count: usize,
}

impl Problems {
    pub fn push(&mut self, problem: DataError) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(problem);
        }
    }

    /// Takes over what others have found.
    pub fn append(&mut self, others: Problems) {
        self.count += others.count;
        self.first.extend(others.first);
        self.first.truncate(LISTED);
    }

    /// The value, or nothing and one problem more.
    pub fn keep<T>(&mut self, result: Result<T, DataError>) -> Option<T> {
        result.map_err(|problem| self.push(problem)).ok()
    }
}

/// The files of a line-by-line dataset: a file of its own, or `train`, `valid` and `test` in a folder.
pub(crate) struct SplitFiles {
    /// The folder that paths in the files are relative to.
    pub folder: PathBuf,
    pub train: PathBuf,
    pub valid: Option<PathBuf>,
    pub test: Option<PathBuf>,
}

impl SplitFiles {
    /// Finds them. `extension` is without dot.
    pub fn find(path: &Path, extension: &str) -> Result<Self, DataError> {
        let metadata = path
            .metadata()
            .map_err(|error| DataError::io(path, error))?;
        if !metadata.is_dir() {
            return Ok(Self {
                folder: path.parent().unwrap_or(Path::new("")).to_owned(),
                train: path.to_owned(),
                valid: None,
                test: None,
            });
        }
        let mut found = entries(path)?
            .into_iter()
            .filter(|(_, path)| path.extension().is_some_and(|e| e == extension))
            .collect::<BTreeMap<_, _>>();
        let mut take = |split: Split| found.remove(&format!("{split}.{extension}"));
        let (train, valid, test) = (take(Split::Train), take(Split::Valid), take(Split::Test));
        // A folder with one file of any name holds that file; beside train, others must be the known ones.
        let train = match train {
            Some(train) => train,
            None if found.len() == 1 && valid.is_none() && test.is_none() => {
                found.pop_first().map(|(_, path)| path).unwrap_or_default()
            }
            None => {
                return Err(DataError::format(
                    Place::file(path),
                    format!("no train.{extension} in this folder"),
                    format!(
                        "name the files train.{extension}, valid.{extension} and test.{extension}, or keep a single one"
                    ),
                ));
            }
        };
        if let Some((name, other)) = found.pop_first() {
            return Err(DataError::format(
                Place::file(&other),
                format!("`{name}` is not one of the splits"),
                format!(
                    "name it train.{extension}, valid.{extension} or test.{extension}, or move it away"
                ),
            ));
        }
        Ok(Self {
            folder: path.to_owned(),
            train,
            valid,
            test,
        })
    }
}

/// What a folder holds, by name, hidden files left out.
pub(crate) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let failed = |error| DataError::io(folder, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => name.to_owned(),
            None => {
                return Err(DataError::format(
                    Place::file(&path),
                    "the file's name is not valid UTF-8",
                    "rename it",
                ));
            }
        };
        if !name.starts_with('.') {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// What lies at `path`.
pub(crate) fn detect(path: &Path) -> Result<Format, DataError> {
    let metadata = path
        .metadata()
        .map_err(|error| DataError::io(path, error))?;
    let has_extension = |path: &Path, wanted: &str| path.extension().is_some_and(|e| e == wanted);
    if !metadata.is_dir() {
        return match path {
            _ if has_extension(path, "jsonl") => lines::peek(path),
            _ if has_extension(path, "json") => Ok(Format::Conversations),
            _ if has_extension(path, "txt") => Ok(Format::Text),
            _ if has_extension(path, "csv") => Ok(Format::LabelledTextCsv),
            _ if has_extension(path, "tsv") => Ok(Format::LabelledTextTsv),
            _ if shards::is_shard(path) => Ok(Format::Shards),
            _ => Err(unknown(path)),
        };
    }
    let found = entries(path)?;
    let has = |wanted: &str| found.iter().any(|(name, _)| name == wanted);
    if has("data_batch_1.bin") {
        return Ok(Format::Cifar10);
    }
    if has("train-images-idx3-ubyte") || has("train-images-idx3-ubyte.gz") {
        return Ok(Format::Idx);
    }
    if found.iter().any(|(_, path)| has_extension(path, "jsonl")) {
        return lines::peek(&SplitFiles::find(path, "jsonl")?.train);
    }
    for (name, format) in [
        ("train.csv", Format::LabelledTextCsv),
        ("train.tsv", Format::LabelledTextTsv),
    ] {
        if has(name) {
            return Ok(format);
        }
    }
    if has("train.json") {
        return Ok(Format::Conversations);
    }
    if shards::has_shards(path)? {
        return Ok(Format::Shards);
    }
    // Of a folder with splits, the one for training tells.
    let train = path.join(image_files::split_folders(path)[0].unwrap_or_default());
    let folders = entries(&train)?.into_iter().map(|(_, path)| path);
    let folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    let has_images = |folder: &Path| image_files::first_image(folder).map(|image| image.is_some());
    for folder in &folders {
        if has_images(folder)? {
            return Ok(Format::ImageFolder);
        }
    }
    if has_images(&train)? && !has("train.txt") {
        return Ok(Format::ImageFiles);
    }
    if !folders.is_empty() {
        return Ok(Format::ImageFolder);
    }
    if found.iter().any(|(_, path)| has_extension(path, "txt")) {
        return Ok(Format::Text);
    }
    Err(unknown(path))
}

fn unknown(path: &Path) -> DataError {
    DataError::format(
        Place::file(path),
        "no format that is known",
        "expected a .jsonl file (or a folder with train.jsonl) of image, question and answer, of image and caption, of text and label (which may be a .csv or .tsv file too), or of \
         conversations (which may be a .json file too), \
         .tar files of images with captions, a folder of images or of images by class, CIFAR-10 binary batches, IDX files, or a .txt file (or a folder with train.txt)",
    )
}
