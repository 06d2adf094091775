//! What a save asks of the file system, so that a test can let each of these calls fail.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The calls that change something. All but `write` and `create_dir` are on the disk when they return,
/// where the system can promise that.
pub trait Storage {
    /// A folder, with those it lies in.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// A file with that content, which may still be in memory.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    /// Puts a file, or the names in a folder, on the disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Renames a folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a folder and all in it; one that is not there is removed already.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
pub struct Disk;

impl Storage for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::write(path, content)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        // Only Unix lets a folder be synced.
        match cfg!(unix) || path.is_file() {
            true => File::open(path)?.sync_all(),
            false => Ok(()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
