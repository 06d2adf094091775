//! Files that a dataset names must lie inside its folder, and must be files.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::DataError;

/// Opens a regular file. A FIFO would block on opening and a device could deliver for ever, so both are refused
/// before they are opened.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    File::open(path)
}

/// A dataset's folder: nothing outside is opened on behalf of a manifest.
#[derive(Debug)]
pub struct Root {
    given: PathBuf,
    canonical: PathBuf,
}

impl Root {
    /// The folder at `path`.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if it does not exist or cannot be resolved.
    pub fn new(path: &Path) -> Result<Self, DataError> {
        // The folder of `train.jsonl` is the current one, which the system only knows as `.`.
        let given = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let canonical = given
            .canonicalize()
            .map_err(|source| DataError::io(given, source))?;
        Ok(Self {
            given: path.to_owned(),
            canonical,
        })
    }

    /// `relative` as the user would write it.
    pub(crate) fn shown(&self, relative: &str) -> String {
        self.given.join(relative).display().to_string()
    }

    /// The real place of a file named by the dataset, or why it must not be opened: absolute paths, `..`, and
    /// symbolic links that lead outside. Whether it is a file, [`open_regular`] sees.
    pub(crate) fn resolve(&self, relative: &str) -> Result<PathBuf, String> {
        if relative.is_empty() {
            return Err("the path is empty".into());
        }
        for component in Path::new(relative).components() {
            match component {
                Component::Normal(_) | Component::CurDir => {}
                Component::ParentDir => return Err("the path contains `..`".into()),
                Component::RootDir | Component::Prefix(_) => {
                    return Err(
                        "the path is absolute, not relative to the file that names it".into(),
                    );
                }
            }
        }
        let path = self
            .canonical
            .join(relative)
            .canonicalize()
            .map_err(|error| error.to_string())?;
        if !path.starts_with(&self.canonical) {
            return Err("the path leads out of the dataset's folder".into());
        }
        Ok(path)
    }
}
