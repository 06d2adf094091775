//! Checkpoints in several files: `*.index.json` tells which tensor is in which.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::entry::Entry;
use super::json::{self, Limits};
use super::place::Format;
use super::source::{Source, inside};
use crate::Error;
use crate::error::{DAMAGED, shown};

/// An index has a name and a file for each tensor.
const LIMITS: Limits = Limits {
    bytes: 32 << 20,
    values: 1 << 19,
};

/// The most files of one checkpoint, all of which are held open.
const MAX_SHARDS: usize = 512;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// All tensors that an index names, each from its own file, which must lie in the index's folder.
pub(super) fn open(path: &Path) -> Result<BTreeMap<String, Entry>, Error> {
    let missing = || Error::io(path, std::io::ErrorKind::NotFound.into());
    let index: Index = json::read(path, LIMITS)?.ok_or_else(missing)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, file) in &index.weight_map {
        shards.entry(file).or_default().push(name);
    }
    if shards.len() > MAX_SHARDS {
        let reason = format!("names {} files, the most is {MAX_SHARDS}", shards.len());
        return Err(Error::format(path, reason, "merge some of them"));
    }
    let mut entries = BTreeMap::new();
    for (file, names) in shards {
        let place = inside(folder, file).map_err(|reason| {
            let reason = format!("names the file `{}`: {reason}", shown(file));
            let remedy = "put all files of the checkpoint into one folder";
            Error::format(path, reason, remedy)
        })?;
        let source = Arc::new(Source::open(&place)?);
        let mut shard = super::tensors(&source, Format::of(&place)?)?;
        for name in names {
            let missing = || {
                let reason = format!("should be in `{}`, but is not", shown(file));
                Error::tensor(path, name, reason, DAMAGED)
            };
            let entry = shard.remove(name).ok_or_else(missing)?;
            entries.insert(name.to_owned(), entry);
        }
    }
    Ok(entries)
}
