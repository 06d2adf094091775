//! Images by themselves: `folder/1.png`, or `folder/train/1.png` with `valid` and `test` beside `train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Problems, Scan, entries};
use crate::paths::Root;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageSource, Picture, Place, Split};

/// The endings of pictures that are read.
pub(crate) const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The endings of pictures that are not.
const UNREAD: [&str; 9] = [
    "avif", "bmp", "gif", "heic", "jfif", "svg", "tif", "tiff", "webp",
];

/// Whether the name is that of a PNG or JPEG.
pub(crate) fn is_image(file: &Path) -> bool {
    has_extension(file, &EXTENSIONS)
}

fn has_extension(file: &Path, extensions: &[&str]) -> bool {
    let extension = file.extension().unwrap_or_default();
    extensions
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads a folder. Files that are no pictures are left alone.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<Data<Picture>>, DataError> {
    let root = Arc::new(Root::new(path)?);
    let (mut problems, mut digest) = (Problems::default(), Sha256::new());
    let mut read = |folder: &str| list(&root, path, folder, &mut problems, &mut digest);
    let [train, valid, test] = split_folders(path).map(|folder| folder.map(&mut read).transpose());
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

/// An image that lies in the folder itself.
pub(crate) fn first_image(folder: &Path) -> Result<Option<(String, PathBuf)>, DataError> {
    let mut found = entries(folder)?.into_iter();
    Ok(found.find(|(_, path)| is_image(path)))
}

/// The folders of train, valid and test below `path`; where there is none for training, it is `path` itself, which has the
/// empty name.
pub(crate) fn split_folders(path: &Path) -> [Option<&'static str>; 3] {
    let found = Split::ALL.map(|split| {
        let names = match split {
            Split::Train => &["train"][..],
            Split::Valid => &["valid", "val", "validation"],
            Split::Test => &["test"],
        };
        let mut names = names.iter().copied();
        names.find(|name| path.join(name).is_dir())
    });
    match found[0] {
        Some(_) => found,
        None => [Some(""), None, None],
    }
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
            if at.is_file() && has_extension(&at, &UNREAD) {
                problems.push(DataError::format(
                    Place::file(&at),
                    "a picture of a kind that is not read",
                    "convert it to .png or .jpg, or move it away",
                ));
            }
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
