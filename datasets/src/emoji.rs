//! Emoji with their names, embedded in the binary. The card is `datasets/emoji/README.md`.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::embedded::Archive;
use crate::split::{fraction, hex};
use crate::{
    CaptionData, CaptionSample, Data, DataError, ImageData, ImageSource, LabelledImage,
    LabelledText, LabelledTextData,
};

/// Pictures with what they are called.
pub(crate) const NAME: &str = "emoji";
/// The same pictures with the group that Unicode has put them in.
pub(crate) const GROUPS: &str = "emoji-groups";
/// Their names with the group.
pub(crate) const NAMES: &str = "emoji-names";

static ARCHIVE: Archive = Archive::new("emoji/emoji", include_bytes!("../emoji/emoji.tar.gz"));

/// Parts of the pictures that test and validate: so many that a rank among them says something.
const TEST: f64 = 0.2;
const VALID: f64 = 0.1;

/// A line of `emoji.jsonl`.
#[derive(Deserialize)]
pub(crate) struct Row {
    image: String,
    pub name: String,
    tags: Vec<String>,
    pub group: String,
}

fn rows() -> Result<Vec<Row>, DataError> {
    let text = ARCHIVE.file("emoji.jsonl")?;
    let lines = text.split(|&byte| byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|error| ARCHIVE.damaged(error)))
        .collect()
}

/// Train, valid and test, by a hash of the picture's name, with what `sample` makes of a row.
pub(crate) fn splits<S>(sample: impl Fn(Row, ImageSource) -> S) -> Result<[Vec<S>; 3], DataError> {
    let mut splits = [const { Vec::new() }; 3];
    for row in rows()? {
        let split = match fraction(&row.image) {
            x if x < TEST => 2,
            x if x < TEST + VALID => 1,
            _ => 0,
        };
        let image = ARCHIVE.image(&row.image, format!("{NAME}/{}", row.image))?;
        splits[split].push(sample(row, image));
    }
    Ok(splits)
}

pub(crate) fn digest(name: &str) -> String {
    let digest = Sha256::new().chain_update(name);
    hex(&digest.chain_update(ARCHIVE.bytes).finalize())
}

/// Each picture with its name and, as a second caption, its keywords.
pub(crate) fn pairs() -> Result<CaptionData, DataError> {
    let splits = splits(|row, image| {
        let mut captions = vec![row.name];
        if !row.tags.is_empty() {
            captions.push(row.tags.join(", "));
        }
        CaptionSample {
            id: row.image,
            image,
            captions,
        }
    })?;
    Ok(Data::in_memory(NAME, splits, Vec::new(), digest(NAME)))
}

/// The groups, in alphabetical order.
fn group_names() -> Result<Vec<String>, DataError> {
    let mut names: Vec<String> = rows()?.into_iter().map(|row| row.group).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Each name with its group, in the split of its picture.
pub(crate) fn names() -> Result<LabelledTextData, DataError> {
    let groups = group_names()?;
    let splits = splits(|row, _| LabelledText {
        label: groups.partition_point(|name| *name < row.group),
        id: row.image,
        text: row.name,
    })?;
    Ok(Data::in_memory(NAMES, splits, groups, digest(NAMES)))
}

/// Each picture with its group.
pub(crate) fn groups() -> Result<ImageData, DataError> {
    let names = group_names()?;
    let splits = splits(|row, image| LabelledImage {
        label: names.partition_point(|name| *name < row.group),
        id: row.image,
        image,
    })?;
    Ok(Data::in_memory(GROUPS, splits, names, digest(GROUPS)))
}
