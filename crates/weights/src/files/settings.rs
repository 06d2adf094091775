//! What else is said of a model in files beside its weights.

use std::path::Path;

use serde_json::Value;

use super::json;
use crate::Error;

/// A JSON file of the weights' folder, by its name; none if there is no such file.
pub(crate) fn settings(path: &Path, name: &str) -> Result<Option<Value>, Error> {
    let folder = match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(Path::new("")),
    };
    json::read(&folder.join(name), json::SETTINGS)
}
