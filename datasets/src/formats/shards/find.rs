//! Which archives a path means, and of which splits they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::entries;
use crate::{DataError, Place, Split};

/// The most archives of one dataset.
const MAX_SHARDS: usize = 1_000_000;
/// The most digits of a number in a range.
const MAX_DIGITS: usize = 32;
/// Words that give a file or a folder to a split.
const WORDS: [(&str, Split); 5] = [
    ("train", Split::Train),
    ("valid", Split::Valid),
    ("validation", Split::Valid),
    ("val", Split::Valid),
    ("test", Split::Test),
];
const COMPRESSED: [&str; 5] = [".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"];

/// An archive of a dataset.
#[derive(Debug)]
pub(crate) struct Shard {
    pub path: Arc<Path>,
    /// Its path within the dataset.
    pub name: String,
    pub split: Split,
}

/// Whether a name is no path but a range of them.
pub(crate) fn is_range(name: &str) -> bool {
    name.contains('{') && name.contains('}')
}

/// Whether that is an archive, be it one that cannot be read before it is decompressed.
pub(crate) fn is_shard(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "tar") || is_compressed(path)
}

fn is_compressed(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    COMPRESSED
        .iter()
        .any(|ending| name.ends_with(ending.as_bytes()))
}

/// Whether a folder has archives, or one of its splits' folders.
pub(crate) fn has_shards(folder: &Path) -> Result<bool, DataError> {
    Ok(!in_folder(folder)?.is_empty())
}

/// The archives of a file, a folder or a range, in order. Where they are not of several splits, all are for training.
pub(crate) fn find(path: &Path) -> Result<Vec<Shard>, DataError> {
    let named = if path.is_dir() {
        in_folder(path)?
    } else if path.exists() {
        let name = path.file_name().unwrap_or_default();
        vec![(name.to_string_lossy().into_owned(), path.to_owned())]
    } else {
        in_range(&path.to_string_lossy())?
    };
    if let Some((_, path)) = named.iter().find(|(_, path)| is_compressed(path)) {
        return Err(DataError::format(
            Place::file(path),
            "compressed, and so without access to single samples",
            "decompress it to a .tar",
        ));
    }
    let splits: Vec<Option<Split>> = named.iter().map(|(name, _)| split_of(name)).collect();
    let several = splits.iter().any(|split| *split != splits[0]);
    if several && !splits.contains(&Some(Split::Train)) {
        return Err(DataError::format(
            Place::file(path),
            "shards of several splits, but none of train",
            "add those for training, or give one split alone",
        ));
    }
    let shards = named.into_iter().zip(splits).map(|((name, path), split)| {
        let split = match several {
            true => split.ok_or_else(|| {
                DataError::format(
                    Place::file(&path),
                    "of no split, while the shards beside it are",
                    "put train, valid or test into its name, or move it away",
                )
            })?,
            false => Split::Train,
        };
        let path = path.into();
        Ok(Shard { path, name, split })
    });
    shards.collect()
}

/// The split that a word of the name says: `train-0001.tar`, `cc3m-validation-0001.tar`, `test/0001.tar`.
fn split_of(name: &str) -> Option<Split> {
    let words = name.split(|c: char| !c.is_alphabetic());
    let known = |word: &str| {
        let is = |(known, _): &&(&str, Split)| known.eq_ignore_ascii_case(word);
        WORDS.iter().find(is)
    };
    words.filter_map(known).map(|(_, split)| *split).next()
}

/// Those in the folder itself or, if it has none, in those of the splits.
fn in_folder(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let shards = |folder: &Path| -> Result<Vec<(String, PathBuf)>, DataError> {
        let mut found = entries(folder)?;
        found.retain(|(_, path)| is_shard(path));
        Ok(found)
    };
    let mut found = shards(folder)?;
    if !found.is_empty() {
        return Ok(found);
    }
    for (word, _) in WORDS {
        let folder = folder.join(word);
        if folder.is_dir() {
            let named = shards(&folder)?.into_iter();
            found.extend(named.map(|(name, path)| (format!("{word}/{name}"), path)));
        }
    }
    Ok(found)
}

/// The paths that a range stands for, named from the folder that they have in common.
fn in_range(range: &str) -> Result<Vec<(String, PathBuf)>, DataError> {
    let fixed = range.find('{').unwrap_or(0);
    let folder = range[..fixed].rfind('/').map_or(0, |slash| slash + 1);
    let paths = expand(range).ok_or_else(|| {
        DataError::format(
            Place::file(range.as_ref()),
            "not a range of files",
            format!("expected two numbers, such as train-{{0000..0012}}.tar, and at most {MAX_SHARDS} files"),
        )
    })?;
    let named = paths.into_iter();
    Ok(named
        .map(|path| (path[folder..].to_owned(), path.into()))
        .collect())
}

/// `{08..11}` becomes 08, 09, 10, 11.
fn expand(range: &str) -> Option<Vec<String>> {
    let Some((head, rest)) = range.split_once('{') else {
        return Some(vec![range.to_owned()]);
    };
    let (numbers, tail) = rest.split_once('}')?;
    let (first, last) = numbers.split_once("..")?;
    let width = first.len();
    let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
    let tails = expand(tail)?;
    let count = last.checked_sub(first)?.checked_add(1)?;
    if width > MAX_DIGITS || count.checked_mul(tails.len())? > MAX_SHARDS {
        return None;
    }
    let paths = (first..=last).flat_map(|number| {
        tails
            .iter()
            .map(move |tail| format!("{head}{number:0width$}{tail}"))
    });
    Some(paths.collect())
}
