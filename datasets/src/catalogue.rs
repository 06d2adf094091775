//! Datasets by name or path: opening and describing them.

use std::path::Path;

use serde::Serialize;

use crate::formats::{
    Format, Kind, Scan, captions, cifar, detect, idx, image_files, image_folder, labelled_texts,
    shards, vqa,
};
use crate::known::{TASKS, Task};
use crate::{
    CaptionData, Data, DataError, ImageData, LabelledTextData, Picture, VqaData, easy_vqa, emoji,
    instruction, reviews,
};

/// A dataset that comes with Crucible.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Entry {
    /// What to give to `--data`.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// One line.
    pub about: &'static str,
    /// Its licence.
    pub licence: &'static str,
}

const OWN_LICENCE: &str = "MIT OR Apache-2.0, Copyright (c) 2026 The Crucible contributors";
const LICENCE: &str = "MIT, Copyright (c) 2019 Victor Zhou";
const EMOJI_LICENCE: &str = "pictures CC-BY 4.0, Copyright 2020 Twitter, Inc and other contributors (Twemoji); names and keywords MIT, \
     Copyright (c) 2017-2019 Miles Johnson (Emojibase)";

const ENTRIES: [Entry; OWN_ENTRIES + TASKS.len()] = entries_with_tasks();

/// Entries beside the tasks whose answer is known.
const OWN_ENTRIES: usize = 11;

const OWN: [Entry; OWN_ENTRIES] = [
    Entry {
        name: easy_vqa::NAME,
        kind: Kind::Vqa,
        about: "easy-VQA: 5,000 images of one coloured shape, 48,248 questions, 13 answers; the published test split",
        licence: LICENCE,
    },
    Entry {
        name: easy_vqa::COMPOSITIONS,
        kind: Kind::Vqa,
        about: "easy-VQA with 6 of the 24 pairs of colour and shape shown only in the test split",
        licence: LICENCE,
    },
    Entry {
        name: easy_vqa::OBJECTS,
        kind: Kind::Images,
        about: "easy-VQA's images with their colour and shape as class: 24 classes",
        licence: LICENCE,
    },
    Entry {
        name: easy_vqa::CAPTIONS,
        kind: Kind::Captions,
        about: "easy-VQA's images, each with what its questions say about it: \"a red circle\"",
        licence: LICENCE,
    },
    Entry {
        name: emoji::NAME,
        kind: Kind::Captions,
        about: "emoji: 1,913 pictures with their name and keywords; a fifth of them tests",
        licence: EMOJI_LICENCE,
    },
    Entry {
        name: emoji::GROUPS,
        kind: Kind::Images,
        about: "the same pictures and splits with their group as class: 9 classes",
        licence: EMOJI_LICENCE,
    },
    Entry {
        name: instruction::EASY_VQA,
        kind: Kind::Instructions,
        about: "conversations about easy-VQA's images in many wordings; those of the test split are used in it alone",
        licence: LICENCE,
    },
    Entry {
        name: instruction::EMOJI,
        kind: Kind::Instructions,
        about: "emoji to be named, recognised and put into their group, worded likewise",
        licence: EMOJI_LICENCE,
    },
    Entry {
        name: instruction::WORDS,
        kind: Kind::Instructions,
        about: "instructions about words and small numbers, made by rules, without images",
        licence: OWN_LICENCE,
    },
    Entry {
        name: reviews::NAME,
        kind: Kind::LabelledTexts,
        about: "220 short reviews, good and bad, written by hand",
        licence: OWN_LICENCE,
    },
    Entry {
        name: emoji::NAMES,
        kind: Kind::LabelledTexts,
        about: "the names of emoji with their group as class: 9 classes, the splits of the pictures",
        licence: EMOJI_LICENCE,
    },
];

/// The datasets above, then the tasks whose answer is known.
const fn entries_with_tasks() -> [Entry; OWN_ENTRIES + TASKS.len()] {
    let mut entries = [OWN[0]; OWN_ENTRIES + TASKS.len()];
    let mut place = 1;
    while place < entries.len() {
        entries[place] = match place {
            0..OWN_ENTRIES => OWN[place],
            _ => Entry {
                name: TASKS[place - OWN_ENTRIES].name,
                kind: Kind::Vqa,
                about: TASKS[place - OWN_ENTRIES].about,
                licence: EMOJI_LICENCE,
            },
        };
        place += 1;
    }
    entries
}

/// The datasets that come with Crucible.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// A name of the catalogue, or what lies at a path.
pub(crate) enum Found {
    Entry(&'static Entry),
    Path(Format),
}

impl Found {
    pub fn kind(&self) -> Kind {
        match self {
            Found::Entry(entry) => entry.kind,
            Found::Path(format) => format.kind(),
        }
    }
}

/// Looks a dataset up. The catalogue comes first; `./easy-vqa` is a path.
pub(crate) fn find(name: &str) -> Result<Found, DataError> {
    if let Some(entry) = ENTRIES.iter().find(|entry| entry.name == name) {
        return Ok(Found::Entry(entry));
    }
    if Path::new(name).exists() {
        return Ok(Found::Path(detect(Path::new(name))?));
    }
    if shards::is_range(name) {
        return Ok(Found::Path(Format::Shards));
    }
    // No name of the catalogue has a dot or a slash.
    if let (true, Err(error)) = (name.contains(['.', '/', '\\']), std::fs::metadata(name)) {
        return Err(DataError::io(Path::new(name), error));
    }
    let names = ENTRIES.iter().map(|entry| entry.name);
    let distance = |candidate: &str| strsim::damerau_levenshtein(candidate, &name.to_lowercase());
    Err(DataError::UnknownDataset {
        name: name.into(),
        suggestion: names
            .clone()
            .min_by_key(|name| distance(name))
            .filter(|near| distance(near) <= near.len() / 2),
        candidates: names.collect::<Vec<_>>().join(", "),
    })
}

/// What a name of the catalogue or a path holds, told without reading a sample.
///
/// # Errors
///
/// [`DataError`] if it is neither, with the nearest name, or if the path holds nothing that is known.
pub fn kind(name_or_path: &str) -> Result<Kind, DataError> {
    find(name_or_path).map(|found| found.kind())
}

pub(crate) fn wrong_kind(name: &str, found: Kind, wanted: Kind) -> DataError {
    // Any images are pictures.
    let pictured = |kind| !matches!(kind, Kind::Text | Kind::LabelledTexts | Kind::Instructions);
    let fits = |kind| kind == wanted || (wanted == Kind::Pictures && pictured(kind));
    let suitable = ENTRIES.iter().filter(|entry| fits(entry.kind));
    let suitable: Vec<&str> = suitable.map(|entry| entry.name).collect();
    DataError::WrongKind {
        name: name.into(),
        found: found.name(),
        wanted: wanted.name(),
        remedy: match suitable[..] {
            [] => "give another file or folder".into(),
            _ => format!(
                "give another file or folder, or one of {}",
                suitable.join(", ")
            ),
        },
    }
}

/// What is embedded, or opened already, has no problems that are known.
pub(crate) fn sound<T>(data: T) -> Scan<T> {
    Scan {
        data,
        problems: Default::default(),
    }
}

/// Reads images with questions and answers, problems included.
pub(crate) fn scan_vqa(name: &str) -> Result<Scan<VqaData>, DataError> {
    match find(name)? {
        Found::Entry(entry) if entry.name == easy_vqa::NAME => easy_vqa::standard().map(sound),
        Found::Entry(entry) if entry.name == easy_vqa::COMPOSITIONS => {
            easy_vqa::compositions().map(sound)
        }
        Found::Entry(entry) if let Some(task) = Task::named(entry.name) => task.open().map(sound),
        Found::Path(Format::VqaJsonl) => vqa::scan(name, Path::new(name)),
        found => Err(wrong_kind(name, found.kind(), Kind::Vqa)),
    }
}

/// Reads images with classes, problems included.
pub(crate) fn scan_images(name: &str) -> Result<Scan<ImageData>, DataError> {
    let path = Path::new(name);
    match find(name)? {
        Found::Entry(entry) if entry.name == easy_vqa::OBJECTS => easy_vqa::objects().map(sound),
        Found::Entry(entry) if entry.name == emoji::GROUPS => emoji::groups().map(sound),
        Found::Path(Format::ImageFolder) => image_folder::scan(name, path),
        Found::Path(Format::Cifar10) => cifar::scan(name, path),
        Found::Path(Format::Idx) => idx::scan(name, path),
        found => Err(wrong_kind(name, found.kind(), Kind::Images)),
    }
}

/// Reads images with captions, problems included.
pub(crate) fn scan_captions(name: &str) -> Result<Scan<CaptionData>, DataError> {
    match find(name)? {
        Found::Entry(entry) if entry.name == easy_vqa::CAPTIONS => easy_vqa::captions().map(sound),
        Found::Entry(entry) if entry.name == emoji::NAME => emoji::pairs().map(sound),
        Found::Path(Format::CaptionJsonl) => captions::scan(name, Path::new(name)),
        Found::Path(Format::Shards) => shards::scan(name, Path::new(name)),
        found => Err(wrong_kind(name, found.kind(), Kind::Captions)),
    }
}

/// Reads texts with classes, problems included.
pub(crate) fn scan_labelled_texts(name: &str) -> Result<Scan<LabelledTextData>, DataError> {
    let file = |extension| labelled_texts::scan(name, Path::new(name), extension);
    match find(name)? {
        Found::Entry(entry) if entry.name == reviews::NAME => reviews::open().map(sound),
        Found::Entry(entry) if entry.name == emoji::NAMES => emoji::names().map(sound),
        Found::Path(Format::LabelledTextJsonl) => file("jsonl"),
        Found::Path(Format::LabelledTextCsv) => file("csv"),
        Found::Path(Format::LabelledTextTsv) => file("tsv"),
        found => Err(wrong_kind(name, found.kind(), Kind::LabelledTexts)),
    }
}

/// Reads images by themselves, problems included.
pub(crate) fn scan_pictures(name: &str) -> Result<Scan<Data<Picture>>, DataError> {
    match find(name)? {
        Found::Path(Format::ImageFiles) => image_files::scan(name, Path::new(name)),
        found => Err(wrong_kind(name, found.kind(), Kind::Pictures)),
    }
}

/// Opens images with questions and answers: a name of the catalogue, a `.jsonl` file, or a folder with `train.jsonl`.
///
/// # Errors
///
/// [`DataError`], naming file and line, if it is unknown, of another kind, or anything in it is wrong.
pub fn open_vqa(name_or_path: &str) -> Result<VqaData, DataError> {
    scan_vqa(name_or_path)?.sound(name_or_path)
}

/// Opens images with classes: a name of the catalogue, a folder of images by class, CIFAR-10 or IDX files.
///
/// # Errors
///
/// As [`open_vqa`].
pub fn open_images(name_or_path: &str) -> Result<ImageData, DataError> {
    scan_images(name_or_path)?.sound(name_or_path)
}

/// Opens texts with classes: a name of the catalogue, a `.jsonl`, `.csv` or `.tsv` file, or a folder with `train` of one
/// of these.
///
/// # Errors
///
/// As [`open_vqa`].
pub fn open_labelled_texts(name_or_path: &str) -> Result<LabelledTextData, DataError> {
    scan_labelled_texts(name_or_path)?.sound(name_or_path)
}

/// Opens images with captions: a `.jsonl` file, a folder with `train.jsonl`, or tar archives: one, a folder of them, or a
/// range such as `train-{0000..0012}.tar`.
///
/// # Errors
///
/// As [`open_vqa`].
pub fn open_captions(name_or_path: &str) -> Result<CaptionData, DataError> {
    scan_captions(name_or_path)?.sound(name_or_path)
}
