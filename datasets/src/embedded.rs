//! Archives in the binary.

use std::collections::HashMap;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use crate::{DataError, ImageSource, Place};

/// A `.tar.gz` in the binary.
pub(crate) struct Archive {
    /// Its path below `datasets/`, without the ending.
    path: &'static str,
    /// The archive.
    pub bytes: &'static [u8],
    /// Its files by name, or why there are none; unpacked once for the whole process.
    files: OnceLock<Result<HashMap<String, Vec<u8>>, String>>,
}

impl Archive {
    pub const fn new(path: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            path,
            bytes,
            files: OnceLock::new(),
        }
    }

    /// The content of a file.
    pub fn file(&'static self, name: &str) -> Result<&'static [u8], DataError> {
        let unpack = || -> std::io::Result<HashMap<String, Vec<u8>>> {
            let mut files = HashMap::new();
            for entry in tar::Archive::new(GzDecoder::new(self.bytes)).entries()? {
                let mut entry = entry?;
                let name = entry.path()?.display().to_string();
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                files.insert(name, content);
            }
            Ok(files)
        };
        let files = self
            .files
            .get_or_init(|| unpack().map_err(|error| error.to_string()));
        let files = files.as_ref().map_err(|reason| self.damaged(reason))?;
        let content = files.get(name).map(Vec::as_slice);
        content.ok_or_else(|| self.damaged(format!("no {name}")))
    }

    /// The picture in a file, called `name`.
    pub fn image(&'static self, file: &str, name: String) -> Result<ImageSource, DataError> {
        let bytes = self.file(file)?;
        Ok(ImageSource::Embedded { name, bytes })
    }

    pub fn damaged(&self, reason: impl ToString) -> DataError {
        DataError::format(
            Place::file(format!("{}.tar.gz", self.path).as_ref()),
            reason.to_string(),
            "the binary is damaged: build it again",
        )
    }
}
