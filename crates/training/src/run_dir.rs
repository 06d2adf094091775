//! The run directory: files that are written whole or not at all, and two that only grow.
//!
//! ```text
//! RUN/
//!   run.json                     all it takes to run it again
//!   metrics.jsonl                one value a line, grows
//!   checkpoints/step-00000400/   a whole set or nothing
//!   predictions.jsonl            one line per test item
//!   figures.json                 pictures for the report, if the recipe has any
//!   result.json                  written last: a run that has it is finished
//!   report.html
//!   run.log                      grows
//!   lock                         held by the process that trains
//! ```

use crate::{Error, checkpoint};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the file that makes a directory a run.
pub const RUN: &str = "run.json";
/// Name of the file that makes a run finished.
pub const RESULT: &str = "result.json";
/// Name of the file of what a recipe has to show beside numbers; not every run has one.
pub const FIGURES: &str = "figures.json";
/// Name of the file of test predictions.
pub const PREDICTIONS: &str = "predictions.jsonl";
/// Name of the file of logged values.
pub const METRICS: &str = "metrics.jsonl";
/// Name of the page for people, which the caller of the recipe writes.
pub const REPORT: &str = "report.html";
const CHECKPOINTS: &str = "checkpoints";
const LOG: &str = "run.log";
/// Name of the file that the process at work holds locked.
pub const LOCK: &str = "lock";

/// The directory of one run. Cheap to clone; holds no open file.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Names a directory, which need not exist; [`write`](Self::write) creates it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Whether a run was started here.
    pub fn is_run(&self) -> bool {
        self.file(RUN).is_file()
    }

    /// Whether a run was finished here: `result.json` is written last.
    pub fn is_finished(&self) -> bool {
        self.file(RESULT).is_file()
    }

    /// Writes a file so that every reader sees the old content or the new one, even after a crash.
    ///
    /// # Errors
    ///
    /// When the file system refuses; the old content stays.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let target = self.file(name);
        let failed = |action| Error::io(action, &target);
        fs::create_dir_all(&self.path).map_err(Error::io("create", &self.path))?;
        let prefix = format!(".{name}.");
        let mut file = shared(tempfile::Builder::new().prefix(&prefix), 0o666)
            .tempfile_in(&self.path)
            .map_err(failed("write"))?;
        file.write_all(content).map_err(failed("write"))?;
        file.as_file().sync_all().map_err(failed("write"))?;
        file.persist(&target)
            .map_err(|error| failed("write")(error.error))?;
        sync_dir(&self.path)
    }

    /// Writes `value` as indented JSON.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|error| self.malformed(name, error))?;
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Writes `rows` as one JSON document a line.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_json_lines(
        &self,
        name: &str,
        rows: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<(), Error> {
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, &row).map_err(|error| self.malformed(name, error))?;
            text.push(b'\n');
        }
        self.write(name, &text)
    }

    /// SHA-256 of a file: equal for equal bytes.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn digest(&self, name: &str) -> Result<String, Error> {
        let file = self.file(name);
        let bytes = fs::read(&file).map_err(Error::io("read", &file))?;
        Ok(checkpoint::sha256(&bytes))
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when it is not there or not what it should be.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let text = fs::read(self.file(name)).map_err(|error| Error::Run {
            path: self.path.clone(),
            reason: format!("this is not a run directory: {name}: {error}"),
        })?;
        serde_json::from_slice(&text).map_err(|error| self.malformed(name, error))
    }

    /// Reads a file of one JSON document a line.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when it is not there, or a line is broken, with its number.
    pub fn read_json_lines<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        let text = fs::read_to_string(self.file(name)).map_err(|error| Error::Run {
            path: self.path.clone(),
            reason: format!("{name}: {error}"),
        })?;
        text.lines()
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_str(line).map_err(|error| Error::Run {
                    path: self.path.clone(),
                    reason: format!("{name}:{}: {error}", index + 1),
                })
            })
            .collect()
    }

    /// Removes a file if it is there.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.file(name))(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes the directory this process's until the lock is dropped or the process dies.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] with the number of the process that has it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.file(LOCK);
        fs::create_dir_all(&self.path).map_err(Error::io("create", &self.path))?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        match file.try_lock() {
            // A run that failed at its start removes its directory, and with it the file that was locked.
            Ok(()) if !is_at(&file, &path) => self.lock(),
            Ok(()) => {
                let number = std::process::id().to_string();
                file.set_len(0)
                    .and_then(|()| file.write_all(number.as_bytes()))
                    .map_err(Error::io("write", &path))?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(Error::Run {
                path: self.path.clone(),
                reason: format!(
                    "process {} is training here; wait for it, stop it, or choose another --out",
                    holder(&mut file)
                ),
            }),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }

    /// Appends one line to `run.log`.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn log(&self, line: &str) -> Result<(), Error> {
        let path = self.file(LOG);
        fs::create_dir_all(&self.path).map_err(Error::io("create", &self.path))?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        // One call, one write: lines of two processes never mix.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(Error::io("write", &path))
    }

    fn malformed(&self, name: &str, error: serde_json::Error) -> Error {
        Error::Run {
            path: self.path.clone(),
            reason: format!("{name}: {error}"),
        }
    }
}

/// The right to write into a run directory. The system takes it back when the process ends, however it does.
#[must_use]
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Whether `path` still names the open file.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |data: std::io::Result<fs::Metadata>| data.ok().map(|data| data.ino());
        number(file.metadata()) == number(fs::metadata(path))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

/// The number of the process that has the lock; it writes it right after it has taken it.
fn holder(file: &mut File) -> String {
    let deadline = Instant::now() + Duration::from_millis(500);
    let mut text = String::new();
    while text.is_empty() && Instant::now() < deadline {
        // Whatever cannot be read, the directory is taken.
        file.rewind().ok();
        file.read_to_string(&mut text).ok();
        std::thread::sleep(Duration::from_millis(1));
    }
    match text.is_empty() {
        true => "of another name".to_string(),
        false => text,
    }
}

/// A temporary file is readable by its owner alone. What takes the place of a result is as readable as
/// any other file: `mode` less the umask.
pub(crate) fn shared<'a, 'b, 'c>(
    builder: &'a mut tempfile::Builder<'b, 'c>,
    mode: u32,
) -> &'a mut tempfile::Builder<'b, 'c> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Makes a rename in `path` survive a power cut. Only Unix lets a directory be synced.
pub(crate) fn sync_dir(path: &Path) -> Result<(), Error> {
    match cfg!(unix) {
        true => File::open(path)
            .and_then(|dir| dir.sync_all())
            .map_err(Error::io("sync", path)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path().join("run"));
        dir.write("report.html", b"old").unwrap();
        // A directory cannot be replaced by a file: the rename fails after the content was written.
        fs::create_dir_all(dir.file("blocked/inner")).unwrap();
        let error = dir.write("blocked", b"new").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        dir.write("report.html", b"new").unwrap();
        assert_eq!(fs::read(dir.file("report.html")).unwrap(), b"new");
        let names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_has_the_permissions_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path());
        dir.write("report.html", b"x").unwrap();
        fs::write(dir.file("plain"), b"x").unwrap();
        let mode = |name| fs::metadata(dir.file(name)).unwrap().permissions().mode();
        assert_eq!(mode("report.html"), mode("plain"));
    }

    /// In one process, too: the lock is the open file's.
    #[test]
    fn a_directory_has_one_holder_and_the_lock_dies_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path().join("run"));
        let first = dir.lock().unwrap();
        let error = dir.lock().unwrap_err();
        let number = format!("process {} is training here", std::process::id());
        assert!(error.to_string().contains(&number), "{error}");
        assert_eq!(error.exit_code(), 2);
        drop(first);
        dir.lock().map(drop).unwrap();
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path());
        dir.write("metrics.jsonl", b"1\n2\nx\n").unwrap();
        let error = dir
            .read_json_lines::<u32>("metrics.jsonl")
            .unwrap_err()
            .to_string();
        assert!(error.contains("metrics.jsonl:3"), "{error}");
    }

    #[test]
    fn what_is_not_a_run_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path());
        assert!(!dir.is_run() && !dir.is_finished());
        let error = dir.read_json::<u32>(RUN).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("not a run directory"), "{error}");
    }
}
