//! Writing safetensors.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::safetensors::METADATA;
use crate::Error;
use crate::error::shown;

/// Writes one safetensors file of `f32` values, in the order of the names, so that readers see the old file or the
/// whole new one even after a crash.
///
/// An item is a tensor's name, its shape, and what gives its values in row-major order. These are asked for one tensor
/// after the other, so that only one needs to be in memory.
///
/// # Errors
///
/// [`Error::Tensor`] if a name comes twice or is reserved, or if there are not as many values as the shape has;
/// [`Error::Io`] if the file cannot be written; what the values' own function fails with. The old file stays then.
pub fn save<F>(
    path: &Path,
    tensors: impl ExactSizeIterator<Item = (String, Vec<usize>, F)>,
) -> Result<(), Error>
where
    F: FnOnce() -> Result<Vec<f32>, Error>,
{
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let header = header(path, &tensors)?;
    let failed = |source| Error::Io {
        path: path.to_owned(),
        source,
        remedy: "check that its folder exists, may be written and has room",
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // As any new file, which the process's mask restricts; temporary ones are for their owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.prefix(".weights.").tempfile_in(folder);
    let mut file = BufWriter::with_capacity(1 << 20, file.map_err(failed)?);
    let prefix = (header.len() as u64).to_le_bytes();
    file.write_all(&prefix).map_err(failed)?;
    file.write_all(&header).map_err(failed)?;
    for (name, shape, values) in tensors {
        let values = values()?;
        if Some(values.len()) != count(&shape) {
            let reason = format!("{} values for the shape {shape:?}", values.len());
            let remedy = "give as many values as its shape has";
            return Err(Error::tensor(path, &name, reason, remedy));
        }
        for value in values {
            file.write_all(&value.to_le_bytes()).map_err(failed)?;
        }
    }
    let file = file
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder).map_err(failed)
}

/// Makes the names in a folder survive a power cut; only Unix lets a folder be synced.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// The header, filled up with spaces so that the values stand at a multiple of 8 bytes.
fn header<F>(path: &Path, tensors: &[(String, Vec<usize>, F)]) -> Result<Vec<u8>, Error> {
    let mut header = Map::with_capacity(tensors.len().saturating_add(1));
    // What transformers asks for.
    header.insert(METADATA.to_owned(), json!({"format": "pt"}));
    let mut end = 0usize;
    for (name, shape, _) in tensors {
        let error = |reason: String| {
            let remedy = "give each tensor a name of its own and a shape that memory can hold";
            Error::tensor(path, name, reason, remedy)
        };
        let start = end;
        let bytes = count(shape).and_then(|count| count.checked_mul(size_of::<f32>()));
        end = bytes
            .and_then(|bytes| start.checked_add(bytes))
            .ok_or_else(|| error(format!("the shape {shape:?} is too large")))?;
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        if header.insert(name.clone(), info).is_some() {
            return Err(error(format!("the name `{}` is taken", shown(name))));
        }
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// How many values a shape has; `None` if too many to be counted.
fn count(shape: &[usize]) -> Option<usize> {
    let mut sizes = shape.iter();
    sizes.try_fold(1usize, |count, &size| count.checked_mul(size))
}
