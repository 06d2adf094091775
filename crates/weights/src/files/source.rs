//! Files as sources of bytes: regular ones only, read at positions, never more than is there.
//!
//! Nothing is mapped into memory: a file that shrinks while it is read is an error and no signal.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use crate::Error;

/// An open file and how long it was then.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Source {
    /// Opens a regular file. A FIFO would block on opening and a device could deliver for ever, so both are refused
    /// before they are opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = || {
            if !std::fs::metadata(path)?.is_file() {
                let kind = io::ErrorKind::InvalidInput;
                return Err(io::Error::new(kind, "not a regular file"));
            }
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) = opened().map_err(|error| Error::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for those who read it from start to end.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes there are from `at` on.
    pub fn remaining(&self, at: u64) -> u64 {
        self.length.saturating_sub(at)
    }

    /// Fills `buffer` from byte `at` on.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        read_exact_at(&self.file, at, buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let needed = at.saturating_add(buffer.len() as u64);
                let reason = format!("ends before byte {needed}, where its data should end");
                Error::damaged(&self.path, reason)
            }
            _ => Error::io(&self.path, error),
        })
    }

    /// The bytes `at .. at + length`, which must be there before memory is taken for them.
    pub fn bytes(&self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let missing = || {
            let reason = format!("ends before byte {}", at.saturating_add(length));
            Error::damaged(&self.path, reason)
        };
        if length > self.remaining(at) {
            return Err(missing());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| missing())?];
        self.read_at(at, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.split_at_mut(read).1;
        at = at.saturating_add(read as u64);
    }
    Ok(())
}

/// A whole text file of at most `limit` bytes; `None` if there is none of that name.
pub(super) fn text(path: &Path, limit: u64) -> Result<Option<String>, Error> {
    let source = match Source::open(path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let mut bytes = Vec::new();
    // Also a file that grows while it is read stays within the limit.
    let mut file = source.file().take(limit.saturating_add(1));
    let read = file.read_to_end(&mut bytes);
    read.map_err(|error| Error::io(path, error))?;
    if bytes.len() as u64 > limit {
        let reason = format!("has more than {limit} bytes, the most that such a file may have");
        return Err(Error::damaged(path, reason));
    }
    let text = String::from_utf8(bytes);
    text.map(Some)
        .map_err(|error| Error::damaged(path, format!("is not UTF-8: {error}")))
}

/// The place of a file that another file of `folder` names, or why it must not be opened: absolute paths, `..`, and
/// symbolic links that lead outside.
pub(super) fn inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let relative = Path::new(name);
    let mut components = relative.components();
    if name.is_empty() || !components.all(|part| matches!(part, Component::Normal(_))) {
        return Err("it must be a path below the folder, without `..`".into());
    }
    let canonical = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
    // The system knows the current folder only as `.`.
    let root = canonical(&Path::new(".").join(folder))?;
    let path = folder.join(relative);
    let target = canonical(&path)?;
    // The Hugging Face cache: REPOSITORY/snapshots/REVISION/FILE is a link to REPOSITORY/blobs/DIGEST.
    let repository = match root.parent() {
        Some(parent) if parent.ends_with("snapshots") => parent.parent(),
        _ => None,
    };
    let blobs = repository.map(|repository| repository.join("blobs"));
    if target.starts_with(&root) || blobs.is_some_and(|blobs| target.starts_with(blobs)) {
        Ok(path)
    } else {
        Err("it leads out of the folder".into())
    }
}
