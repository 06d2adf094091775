//! A model as a folder that transformers loads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use burn::module::Module;
use serde_json::Value;

use crate::rules::Rules;
use crate::{Error, export, files};

/// What goes along with weights, where it is there.
const TEXTS: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "preprocessor_config.json",
];

/// Writes a model as a folder in the Hugging Face layout: `model.safetensors`, `config.json`, and those of the texts for
/// tokenizers, generation and images that lie in `source`, or beside it where it is a file.
///
/// The folder gets its name when all is in it and on the disk: it is whole or not there, even after a crash.
///
/// # Errors
///
/// [`Error::Format`] when there already is something in `folder`, [`Error::Unnamed`] when the model has tensors without a
/// rule, and those of reading and writing.
pub fn save_folder<M: Module>(
    folder: &Path,
    model: &M,
    rules: &Rules,
    config: &Value,
    source: &Path,
) -> Result<(), Error> {
    new_folder(folder, |inside| {
        export(model, rules, &inside.join("model.safetensors"))?;
        let beside = match source.is_dir() {
            true => source,
            false => source.parent().unwrap_or(Path::new("")),
        };
        let put = |name: &str, content: &[u8]| {
            let path = inside.join(name);
            write(&path, content).map_err(|source| unwritten(&path, source))
        };
        for name in TEXTS {
            let from = beside.join(name);
            if from.is_file() {
                let text = fs::read(&from).map_err(|error| Error::io(&from, error))?;
                put(name, &text)?;
            }
        }
        put("config.json", format!("{config:#}\n").as_bytes())
    })
}

/// A folder that gets its name when it is filled and on the disk: it is whole or not there, even after a crash.
pub(crate) fn new_folder(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let taken = folder
        .read_dir()
        .is_ok_and(|mut files| files.next().is_some());
    if taken || folder.is_file() {
        let remedy = "give a new folder; none is overwritten";
        return Err(Error::format(folder, "is there already", remedy));
    }
    let failed = |source: io::Error| unwritten(folder, source);
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    // As any new folder, which the process's mask restricts.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let unnamed = builder
        .prefix(".folder.")
        .tempdir_in(parent)
        .map_err(failed)?;
    fill(unnamed.path())?;
    files::sync_folder(unnamed.path()).map_err(failed)?;
    fs::rename(unnamed.path(), folder).map_err(failed)?;
    // There is nothing left to be removed.
    let _ = unnamed.keep();
    files::sync_folder(parent).map_err(failed)
}

fn unwritten(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
        remedy: "check that the folder it is in may be written and has room",
    }
}

/// Writes a file so that it is there after a power cut.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}
