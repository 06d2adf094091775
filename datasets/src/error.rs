//! What can be wrong with data, said so that it can be put right: file, line, reason, remedy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::DatasetError;

/// Where in the data something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<Path>,
    /// Where in it.
    pub at: At,
}

/// Where in a file. Lines and records are counted from 1, bytes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Anywhere.
    File,
    /// A line of a text.
    Line(usize),
    /// A record of an array, which begins in a line.
    Record {
        /// The line.
        line: usize,
        /// The record.
        record: usize,
    },
    /// A byte of an archive.
    Byte(u64),
}

impl Place {
    /// The whole file.
    pub fn file(path: &Path) -> Self {
        let (file, at) = (path.into(), At::File);
        Self { file, at }
    }

    /// A line of a text.
    pub fn line(file: Arc<Path>, line: usize) -> Self {
        let at = At::Line(line);
        Self { file, at }
    }

    /// A record of an array, which begins in that line.
    pub fn record(file: Arc<Path>, line: usize, record: usize) -> Self {
        let at = At::Record { line, record };
        Self { file, at }
    }

    /// A byte of an archive.
    pub fn byte(file: Arc<Path>, byte: u64) -> Self {
        let at = At::Byte(byte);
        Self { file, at }
    }
}

impl Place {
    /// An id for what stands there and has none of its own: `train.jsonl:7`, `data.json:record-3`.
    pub(crate) fn id(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        match self.at {
            At::File => name.into(),
            At::Line(line) => format!("{name}:{line}"),
            At::Record { record, .. } => format!("{name}:record-{record}"),
            At::Byte(byte) => format!("{name}:byte-{byte}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.at {
            At::File => write!(f, "{file}"),
            At::Line(line) => write!(f, "{file}:{line}"),
            At::Record { line, record } => write!(f, "{file}:{line}, record {record}"),
            At::Byte(byte) => write!(f, "{file}, byte {byte}"),
        }
    }
}

/// Everything that can go wrong between a dataset's name and a batch on a device.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file system refused.
    #[error("{}: {source}; {remedy}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A file, or a line or byte of it, does not hold what its format asks for.
    #[error("{place}: {reason}; {remedy}")]
    Format {
        /// File and line or byte.
        place: Place,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// An image that cannot be used.
    #[error("{}{image}: {reason}; {remedy}", named_by.as_ref().map_or(String::new(), |p| format!("{p}: image ")))]
    Image {
        /// The image's file or name.
        image: String,
        /// The line of the manifest that names it, if one does.
        named_by: Option<Place>,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A dataset has several problems; the first is told.
    #[error("{first} (and {more} more; `crucible data {dataset}` lists them)")]
    Several {
        /// The first problem.
        first: Box<DataError>,
        /// How many others there are.
        more: usize,
        /// The dataset's name or path.
        dataset: String,
    },
    /// Neither in the catalogue nor a file or folder.
    #[error(
        "unknown dataset `{name}`{}; the catalogue has {candidates}, or give the path of a file or folder",
        suggestion.map_or(String::new(), |s| format!("; did you mean `{s}`?"))
    )]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// The nearest catalogue name.
        suggestion: Option<&'static str>,
        /// All catalogue names.
        candidates: String,
    },
    /// The dataset is fine, but not of the kind that was asked for.
    #[error("{name}: holds {found}, not {wanted}; {remedy}")]
    WrongKind {
        /// The dataset's name or path.
        name: String,
        /// What it holds.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// What to do.
        remedy: String,
    },
    /// A split that is needed holds nothing.
    #[error("{name}: the {split} split is empty; {remedy}")]
    Empty {
        /// The dataset.
        name: String,
        /// The split.
        split: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A sample's answer or class is not one that the model was built for.
    #[error(
        "{id}: `{answer}` is not among the {known} answers of this model; \
         give it data with the answers it was trained on"
    )]
    UnknownAnswer {
        /// The question.
        id: String,
        /// Its answer.
        answer: String,
        /// How many answers the model knows.
        known: usize,
    },
    /// A tokenizer cannot be made, read or used.
    #[error("{tokenizer}: {reason}; {remedy}")]
    Tokenizer {
        /// Its file, or `tokenizer`.
        tokenizer: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A conversation that cannot be written for a model.
    #[error("{id}: {source}")]
    Chat {
        /// Which.
        id: String,
        /// What is wrong.
        source: crate::instruction::ChatError,
    },
    /// A setting that no dataset can satisfy.
    #[error("{setting} = {value}: {reason}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A sample could not be fetched from its dataset.
    #[error(transparent)]
    Dataset(DatasetError),
    /// A loader's worker thread is gone without having delivered its batch.
    #[error(
        "the loader's worker {worker} died before it delivered batch {batch}; please report this as a bug"
    )]
    Worker {
        /// Which worker.
        worker: usize,
        /// The batch that never came.
        batch: usize,
    },
}

impl DataError {
    /// [`DataError::Format`] from its parts.
    pub(crate) fn format(
        place: Place,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Format {
            place,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// [`DataError::Io`] for a path that should have been readable.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
            remedy: "check that it exists, is a regular file or folder, and may be read",
        }
    }
}

/// Burn's datasets and loaders speak [`DatasetError`]; the whole message survives in it.
impl From<DataError> for DatasetError {
    fn from(error: DataError) -> Self {
        DatasetError::new(error)
    }
}
