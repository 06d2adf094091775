//! Images by class: `folder/cat/1.png`, or `folder/train/cat/1.png` with `valid` and `test` beside `train`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Problems, Scan, entries, image_files};
use crate::paths::Root;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageData, LabelledImage, Picture, Place};

/// Reads a folder. Files that are no pictures are left alone.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<ImageData>, DataError> {
    let root = Arc::new(Root::new(path)?);
    let mut problems = Problems::default();
    let mut digest = Sha256::new();
    let folders = image_files::split_folders(path);
    let classes: Vec<String> = subfolders(&path.join(folders[0].unwrap_or_default()))?;
    let index: BTreeMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut read = |folder: &str| -> Result<Vec<LabelledImage>, DataError> {
        let mut samples = Vec::new();
        if let Some((name, loose)) = image_files::first_image(&path.join(folder))? {
            problems.push(DataError::format(
                Place::file(&loose),
                format!("`{name}` lies beside the folders of the classes and in none"),
                "move such images into the folder of their class, or away",
            ));
        }
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

    let [train, valid, test] = folders.map(|folder| folder.map(&mut read).transpose());
    let parts = Parts {
        train: train?.unwrap_or_default(),
        valid: valid?,
        test: test?,
    };
    let splits = parts.complete(|sample| fraction(&sample.id));
    Ok(Scan {
        data: Data::in_memory(name, splits, classes, hex(&digest.finalize())),
        problems,
    })
}

fn subfolders(folder: &Path) -> Result<Vec<String>, DataError> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|(_, path)| path.is_dir())
        .map(|(name, _)| name)
        .collect())
}
