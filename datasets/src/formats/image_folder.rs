//! Images by class: `folder/cat/1.png`, or `folder/train/cat/1.png` with `valid` and `test` beside `train`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Problems, Scan, entries, image_files};
use crate::paths::Root;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageData, LabelledImage, Picture, Place, Split};

/// Reads a folder. Files that are not named as PNG or JPEG are left alone.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<ImageData>, DataError> {
    let root = Arc::new(Root::new(path)?);
    let mut problems = Problems::default();
    let mut digest = Sha256::new();
    let split_into_folders = path.join(Split::Train.name()).is_dir();
    let train_folder = if split_into_folders {
        Split::Train.name()
    } else {
        ""
    };

    let classes: Vec<String> = subfolders(&path.join(train_folder))?;
    let index: BTreeMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut read = |folder: &str| -> Result<Vec<LabelledImage>, DataError> {
        let mut samples = Vec::new();
        for class in subfolders(&path.join(folder))? {
            let class_folder = path.join(folder).join(&class);
            let before = samples.len();
            let Some(&label) = index.get(class.as_str()) else {
                problems.push(DataError::format(
                    Place::file(&class_folder),
                    format!("the training split has no class `{class}`"),
                    "add training images of this class, or remove the folder",
                ));
                continue;
            };
            let folder = Path::new(folder).join(&class);
            let pictures = image_files::list(&root, path, folder, &mut problems, &mut digest)?;
            let labelled = pictures
                .into_iter()
                .map(|Picture { id, image }| LabelledImage { id, image, label });
            samples.extend(labelled);
            if samples.len() == before {
                problems.push(DataError::format(
                    Place::file(&class_folder),
                    "the class has no images",
                    "add .png, .jpg or .jpeg files, or remove the folder",
                ));
            }
        }
        Ok(samples)
    };

    let train = read(train_folder)?;
    let mut optional = |split: Split| {
        (split_into_folders && path.join(split.name()).is_dir())
            .then(|| read(split.name()))
            .transpose()
    };
    let (valid, test) = (optional(Split::Valid)?, optional(Split::Test)?);
    let splits = Parts { train, valid, test }.complete(|sample| fraction(&sample.id));
    Ok(Scan {
        data: Data::in_memory(name, splits, classes, hex(&digest.finalize())),
        problems,
    })
}

pub(crate) fn subfolders(folder: &Path) -> Result<Vec<String>, DataError> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|(_, path)| path.is_dir())
        .map(|(name, _)| name)
        .collect())
}
