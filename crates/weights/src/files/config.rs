//! The configuration of a published model.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::place::{self, Texts};
use super::source::Source;
use super::{gguf, json};
use crate::Error;

/// What transformers and open_clip write.
const NAMES: [&str; 2] = ["config.json", "open_clip_config.json"];

/// The configuration of a folder, of the folder that a file is in, or of a GGUF file, as `config.json` has it.
///
/// open_clip's own `open_clip_config.json` is taken where the weights are open_clip's or there is no other.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read; [`Error::Format`] if there is none, if it is damaged, no JSON object, or larger
/// or more deeply nested than any configuration, or if a GGUF holds another architecture than the Llama family.
pub fn config(path: &Path) -> Result<Value, Error> {
    let folder = match Texts::find(path, &NAMES)? {
        Texts::Gguf(file) => return gguf::config(&Arc::new(Source::open(&file)?)),
        Texts::Folder(folder) => folder,
    };
    let weights = place::weights(path).unwrap_or_default();
    let weights = weights.file_name().unwrap_or_default().to_string_lossy();
    let mut names = NAMES;
    if weights.starts_with("open_clip_") {
        names.reverse();
    }
    for name in names {
        let file = folder.join(name);
        if let Some(config) = json::read(&file, json::SETTINGS)? {
            return match config {
                Value::Object(_) => Ok(config),
                _ => Err(Error::damaged(&file, "is no JSON object")),
            };
        }
    }
    let remedy = "put the model's config.json beside its weights";
    Err(Error::format(&folder, "has no config.json", remedy))
}
