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
    /// A model that was named by its id on the hub, and cannot be had from there.
    #[error("{name}: {reason}; {remedy}")]
    Hub {
        /// The name, with its `hf:`.
        name: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// A model that is none of those wanted.
    #[error(
        "{}: its model_type is `{found}`; the nearest that is taken here is `{nearest}` (all: {supported})",
        path.display()
    )]
    Architecture {
        /// The checkpoint.
        path: PathBuf,
        /// What its configuration says.
        found: String,
        /// What is the most like it.
        nearest: &'static str,
        /// All that there are.
        supported: String,
    },
    /// A key of the configuration that makes no sense, or asks for what is not there.
    #[error("{}: config.json: `{key}` {reason}", path.display())]
    Config {
        /// The checkpoint.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// Tensors that do not fit the model of the configuration.
    #[error("{}: {tensors}; config.json and the weights are not of one model", path.display())]
    Shapes {
        /// The checkpoint.
        path: PathBuf,
        /// Which, with both shapes.
        tensors: String,
    },
    /// Tensors that the model needs and the checkpoint lacks.
    #[error(
        "{}: the model's {missing} are not in it; what it has and the model lacks: {unused}", path.display()
    )]
    Missing {
        /// The checkpoint.
        path: PathBuf,
        /// Paths in the model.
        missing: String,
        /// Names in the checkpoint.
        unused: String,
    },
    /// A model of parts that no published architecture combines.
    #[error(
        "no published architecture has this model's norm, positions, gate and biases together; GPT-2, Llama and Qwen2 do"
    )]
    Layout,
    /// Tensors of a model that no published layout has a name for.
    #[error(
        "no published layout has a place for {tensors}; merge adapters before a model is exported"
    )]
    Unnamed {
        /// Paths in the model.
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
