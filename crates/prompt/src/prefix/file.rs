//! A prompt as a small safetensors file: one tensor, and what it belongs to.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use crucible_transformer::ConfigError;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use thiserror::Error;

use super::Prefix;

/// The name of the one tensor.
const TENSOR: &str = "prompt";
/// Keys of what is told about it.
const KIND: &str = "crucible.prompt";
const DIGEST: &str = "crucible.backbone";

/// Why a prompt was not saved or loaded.
#[derive(Debug, Error)]
pub enum PromptFileError {
    /// The file system refuses.
    #[error("{}: {source}; check that its folder exists, may be used and has room", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No prompt, or a damaged one.
    #[error("{} is no prompt: {reason}; take a file that `Prefixed::save` wrote", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// For a model of other sizes.
    #[error("{} does not fit the model: {source}; take the model it was trained for", path.display())]
    Size {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        source: ConfigError,
    },
    /// For a model of other weights.
    #[error(
        "{} was trained for a model whose weights have the digest {expected}, and these have {found}; take the model it \
         was trained for", path.display()
    )]
    Backbone {
        /// Which file.
        path: PathBuf,
        /// Of the model that it was trained for.
        expected: String,
        /// Of the model at hand.
        found: String,
    },
}

/// Writes a prompt, fixed, so that readers see the old file or the whole new one.
pub(super) fn save(path: &Path, prefix: &Prefix, digest: &str) -> Result<(), PromptFileError> {
    let failed = |source| PromptFileError::Io {
        path: path.to_owned(),
        source,
    };
    let numbers = prefix.numbers();
    let values = numbers.iter::<f32>().flat_map(f32::to_le_bytes);
    let values: Vec<u8> = values.collect();
    let view = TensorView::new(Dtype::F32, numbers.shape().to_vec(), &values);
    let about = [(KIND, prefix.kind()), (DIGEST, digest)];
    let about = about.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let bytes = view
        .and_then(|view| safetensors::serialize([(TENSOR, view)], Some(HashMap::from(about))))
        .map_err(|error| failed(io::Error::other(error)))?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // As any new file, which the process's mask restricts; temporary ones are for their owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder
        .prefix(".prompt.")
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Reads a prompt, and the digest of the weights that it was trained for.
pub(super) fn load(path: &Path, device: &Device) -> Result<(Prefix, String), PromptFileError> {
    let format = |reason: String| PromptFileError::Format {
        path: path.to_owned(),
        reason,
    };
    let bytes = fs::read(path).map_err(|source| PromptFileError::Io {
        path: path.to_owned(),
        source,
    })?;
    let broken = |error: safetensors::SafeTensorError| format(error.to_string());
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let about = |key: &str| {
        let value = header.metadata().as_ref().and_then(|about| about.get(key));
        value
            .cloned()
            .ok_or_else(|| format(format!("it does not say `{key}`")))
    };
    let (kind, digest) = (about(KIND)?, about(DIGEST)?);
    let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let tensor = tensors.tensor(TENSOR).map_err(broken)?;
    let (dtype, shape) = (tensor.dtype(), tensor.shape());
    if dtype != Dtype::F32 {
        return Err(format(format!("its numbers are {dtype:?}, not F32")));
    }
    let values = tensor.data().chunks_exact(size_of::<f32>());
    let values: Vec<f32> = values
        .filter_map(|bytes| bytes.try_into().ok().map(f32::from_le_bytes))
        .collect();
    let numbers = TensorData::new(values, shape.to_vec());
    let prefix = Prefix::of(&kind, numbers, device);
    let unknown = || format(format!("a `{kind}` of the shape {shape:?} is none of ours"));
    Ok((prefix.ok_or_else(unknown)?, digest))
}
