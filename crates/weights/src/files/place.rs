//! Which files of a folder are meant, and what they are.

use std::path::{Path, PathBuf};

use crate::Error;

/// What a folder's weights are looked for under, in this order.
pub(crate) const WEIGHTS: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
];

/// The format of a file, which its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    Pytorch,
    Gguf,
    Index,
}

impl Format {
    pub fn of(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = |ending: &str| name.ends_with(ending);
        match () {
            () if ends(".safetensors") => Ok(Format::Safetensors),
            () if [".bin", ".pt", ".pth"].into_iter().any(ends) => Ok(Format::Pytorch),
            () if ends(".gguf") => Ok(Format::Gguf),
            () if ends(".index.json") => Ok(Format::Index),
            () => {
                let remedy = "give a folder, or a file that ends in .safetensors, .index.json, .bin, .pt, .pth or .gguf";
                Err(Error::format(path, "is of no known format", remedy))
            }
        }
    }
}

/// The file of weights that is meant by a folder or by itself.
pub(super) fn weights(path: &Path) -> Result<PathBuf, Error> {
    if !is_folder(path)? {
        return Ok(path.to_owned());
    }
    let mut known = WEIGHTS.iter().map(|name| path.join(name));
    if let Some(file) = known.find(|file| file.exists()) {
        return Ok(file);
    }
    let missing = || {
        let reason = format!("has none of {} and no *.gguf", WEIGHTS.join(", "));
        Error::format(path, reason, "give the folder of a model, or its file")
    };
    gguf(path)?.ok_or_else(missing)
}

/// Where the texts that belong to weights are.
pub(super) enum Texts {
    /// Files of their own in a folder.
    Folder(PathBuf),
    /// The metadata of a GGUF file.
    Gguf(PathBuf),
}

impl Texts {
    /// Those of a folder or of a file of weights. In a folder, a file of one of the `names` comes before a GGUF.
    pub fn find(path: &Path, names: &[&str]) -> Result<Self, Error> {
        if is_folder(path)? {
            let own = names.iter().any(|name| path.join(name).exists());
            let gguf = if own { None } else { gguf(path)? };
            return Ok(gguf.map_or_else(|| Texts::Folder(path.to_owned()), Texts::Gguf));
        }
        Ok(match Format::of(path)? {
            Format::Gguf => Texts::Gguf(path.to_owned()),
            _ => Texts::Folder(path.parent().unwrap_or(Path::new("")).to_owned()),
        })
    }
}

/// Whether a path is a folder; that there is nothing is an error.
fn is_folder(path: &Path) -> Result<bool, Error> {
    let metadata = path.metadata();
    let metadata = metadata.map_err(|error| Error::io(path, error))?;
    Ok(metadata.is_dir())
}

/// The only GGUF of a folder.
fn gguf(folder: &Path) -> Result<Option<PathBuf>, Error> {
    let failed = |error| Error::io(folder, error);
    let mut found = None;
    for file in folder.read_dir().map_err(failed)? {
        let file = file.map_err(failed)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "gguf")
            && found.replace(file).is_some()
        {
            let remedy = "give the one that is meant";
            return Err(Error::format(folder, "has several *.gguf", remedy));
        }
    }
    Ok(found)
}
