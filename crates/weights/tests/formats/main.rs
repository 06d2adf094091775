//! What is read from each format is what `tests/reference/weight_files.py` put there, and what cannot be read says why.

mod folders;
mod gguf;
mod pytorch;
mod rope;
mod safetensors;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};

use crucible_weights::files::Tensors;

fn fixture(name: &str) -> PathBuf {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/weight-files"
    );
    Path::new(folder).join(name)
}

/// A folder with a copy of a fixture under another name.
fn copied(from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(to);
    fs::copy(fixture(from), &path).unwrap();
    (folder, path)
}

/// Whether a checkpoint has the tensors that are expected of the fixture `name`, and no others but `more`.
fn assert_expected(tensors: &Tensors, name: &str, more: &[&str]) {
    let expected = Tensors::open(&fixture("expected.safetensors")).unwrap();
    let prefix = format!("{name}/");
    let mut names: Vec<&str> = expected
        .names()
        .filter_map(|name| name.strip_prefix(&prefix))
        .filter(|name| !name.ends_with(".shape"))
        .chain(more.iter().copied())
        .collect();
    names.sort_unstable();
    assert!(names.len() > more.len());
    assert_eq!(tensors.names().collect::<Vec<_>>(), names);
    for tensor in names {
        if more.contains(&tensor) {
            continue;
        }
        let shape = expected.read(&format!("{prefix}{tensor}.shape")).unwrap();
        let shape: Vec<usize> = shape.into_iter().map(|size| size as usize).collect();
        assert_eq!(tensors.shape(tensor).unwrap(), shape, "{tensor}");
        let mut values = tensors.read(tensor).unwrap();
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{tensor}");
        if values.len() > 512 {
            values.drain(256..values.len() - 256);
        }
        assert_eq!(
            values,
            expected.read(&format!("{prefix}{tensor}")).unwrap(),
            "{tensor}"
        );
    }
}

/// The message of a file that cannot be opened.
fn refusal(path: &Path) -> String {
    Tensors::open(path).unwrap_err().to_string()
}
