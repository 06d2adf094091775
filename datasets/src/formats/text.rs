//! Plain text: one sample a line, blank lines left out.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Problems, Scan, SplitFiles, lines};
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, TextData};

/// Reads a `.txt` file, or `train.txt`, `valid.txt` and `test.txt` in a folder.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<TextData>, DataError> {
    let files = SplitFiles::find(path, "txt")?;
    let mut problems = Problems::default();
    let mut digest = Sha256::new();
    let mut read = |path: &PathBuf| -> Result<Vec<String>, DataError> {
        let mut samples = Vec::new();
        // What moves from one split to another changes the digest.
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        for line in lines::open(path)? {
            if let Some((_, line)) = problems.keep(line) {
                digest.update(&line);
                digest.update("\n");
                samples.push(line);
            }
        }
        Ok(samples)
    };
    let train = read(&files.train)?;
    let valid = files.valid.as_ref().map(&mut read).transpose()?;
    let test = files.test.as_ref().map(&mut read).transpose()?;
    // Equal lines have equal hashes, so that none is in two splits.
    let splits = Parts { train, valid, test }.complete(|line| fraction(line));
    Ok(Scan {
        data: Data::in_memory(name, splits, Vec::new(), hex(&digest.finalize())),
        problems,
    })
}
