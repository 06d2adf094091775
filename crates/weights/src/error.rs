//! What can be wrong with published weights, said so that it can be put right: file, tensor, reason, remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Everything that can go wrong between a checkpoint's path and its tensors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{}: {source}; {remedy}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A file, or a folder, does not hold what its format asks for.
    #[error("{}: {reason}; {remedy}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A tensor of a file cannot be used.
    #[error("{}: tensor `{tensor}`: {reason}; {remedy}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A pickle asks for something that no state dict needs. It is neither imported nor called.
    #[error(
        "{}: the pickle asks for `{global}`, which is no part of a state dict and is not run; \
         save the state dict alone, or convert it to safetensors", path.display()
    )]
    Global {
        /// The file.
        path: PathBuf,
        /// Module and name.
        global: String,
    },
    /// A key of `config.json` that makes no sense, or asks for what is not supported.
    #[error("{}: `{key}` {reason}", path.display())]
    Config {
        /// The checkpoint.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it is and what it could be.
        reason: String,
    },
    /// A checkpoint of another architecture than those that are understood.
    #[error(
        "{}: the architecture `{found}` is not supported; the nearest that is: `{nearest}` (of {supported})",
        path.display()
    )]
    Architecture {
        /// The checkpoint.
        path: PathBuf,
        /// What it says to be.
        found: String,
        /// The name most like it.
        nearest: &'static str,
        /// All that could be.
        supported: String,
    },
    /// Tensors of the model that the checkpoint lacks.
    #[error(
        "{}: lacks tensors for {missing}; it has no use for {unused}; check that configuration and weights belong together",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// Paths of ours.
        missing: String,
        /// Names of theirs that nothing was made of.
        unused: String,
    },
    /// Tensors of other shapes than the model's.
    #[error(
        "{}: {tensors}; check that configuration and weights belong together",
        path.display()
    )]
    Shapes {
        /// The file.
        path: PathBuf,
        /// Each with both shapes.
        tensors: String,
    },
    /// Tensors of the model that have no name in a published checkpoint.
    #[error("no published name for {tensors}; merge adapters before exporting")]
    Unnamed {
        /// Paths of ours.
        tensors: String,
    },
}

/// What to do about a file that is damaged.
pub(crate) const DAMAGED: &str = "download or save it again";

impl Error {
    /// [`Error::Io`] for a path that should have been readable.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
            remedy: "check that it exists, is a regular file or folder, and may be read",
        }
    }

    /// [`Error::Format`] from its parts.
    pub(crate) fn format(path: &Path, reason: impl Into<String>, remedy: &'static str) -> Self {
        Self::Format {
            path: path.to_owned(),
            reason: reason.into(),
            remedy,
        }
    }

    /// [`Error::Format`] of a file that is damaged.
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::format(path, reason, DAMAGED)
    }

    /// [`Error::Tensor`] from its parts.
    pub(crate) fn tensor(
        path: &Path,
        tensor: &str,
        reason: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Self::Tensor {
            path: path.to_owned(),
            tensor: shown(tensor),
            reason: reason.into(),
            remedy,
        }
    }
}

/// A name out of a file as a message can carry it: no control characters, not without end.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut text: String = name.escape_debug().take(LONGEST).collect();
    if name.escape_debug().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}
