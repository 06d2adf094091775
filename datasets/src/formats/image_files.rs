//! Images by themselves: `folder/1.png`, or `folder/train/1.png` with `valid` and `test` beside `train`.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Problems, Scan, entries};
use crate::paths::Root;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageSource, Picture, Split};

/// The endings of pictures that are read.
pub(crate) const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Whether the name is that of a PNG or JPEG.
pub(crate) fn is_image(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default();
    EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads a folder. Files that are not named as PNG or JPEG are left alone.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<Data<Picture>>, DataError> {
    let root = Arc::new(Root::new(path)?);
    let (mut problems, mut digest) = (Problems::default(), Sha256::new());
    let mut read = |folder: &str| list(&root, path, folder, &mut problems, &mut digest);
    let split_into_folders = path.join(Split::Train.name()).is_dir();
    let [train, valid, test] = Split::ALL.map(|split| match (split_into_folders, split) {
        (true, split) if path.join(split.name()).is_dir() => read(split.name()).map(Some),
        (false, Split::Train) => read("").map(Some),
        _ => Ok(None),
    });
    let parts = Parts {
        train: train?.unwrap_or_default(),
        valid: valid?,
        test: test?,
    };
    let splits = parts.complete(|picture| fraction(&picture.id));
    Ok(Scan {
        data: Data::in_memory(name, splits, Vec::new(), hex(&digest.finalize())),
        problems,
    })
}

/// The images that lie in `folder` below `path` itself, in the order of their names, which go into the digest with their
/// sizes.
pub(crate) fn list(
    root: &Arc<Root>,
    path: &Path,
    folder: impl AsRef<Path>,
    problems: &mut Problems,
    digest: &mut Sha256,
) -> Result<Vec<Picture>, DataError> {
    let folder = folder.as_ref();
    let mut pictures = Vec::new();
    for (file, at) in entries(&path.join(folder))? {
        if !is_image(&at) {
            continue;
        }
        let relative = folder.join(&file).display().to_string();
        let image = ImageSource::Listed {
            root: root.clone(),
            relative: relative.clone(),
            named_by: None,
        };
        if let Some(length) = problems.keep(image.length()) {
            digest.update(&relative);
            digest.update(length.to_le_bytes());
            pictures.push(Picture {
                id: relative,
                image,
            });
        }
    }
    Ok(pictures)
}
