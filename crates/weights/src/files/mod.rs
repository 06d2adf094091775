//! Files of published weights, whatever their format: tensors, configuration, tokenizer; and writing safetensors.
//!
//! Nothing in a file is trusted. Sizes are compared with what the file has before memory is taken for them, a tensor
//! whose bytes are not all there is an error, and nothing that a file holds is run.

mod config;
mod cursor;
mod digest;
mod encoding;
mod entry;
mod gguf;
mod index;
mod json;
mod load;
mod pickle;
mod place;
mod pytorch;
mod safetensors;
mod save;
mod settings;
mod source;
mod tokenizer;
mod zip;

use std::collections::{BTreeMap, btree_map};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::config::config;
pub use self::load::load_tokenizer;
pub use self::save::save;
pub(crate) use self::save::sync_folder;
pub(crate) use self::settings::settings;
pub use self::tokenizer::{TokenizerFiles, tokenizer};

use self::entry::Entry;
use self::place::Format;
#[cfg(feature = "hub")]
pub(crate) use self::place::WEIGHTS;
use self::source::Source;
use crate::Error;

/// Tensors of a published checkpoint by name, read one at a time.
#[derive(Debug)]
pub struct Tensors {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Tensors {
    /// A folder as Hugging Face publishes it, or one file.
    ///
    /// Of a folder, the first of these is taken: `model.safetensors`, `model.safetensors.index.json`,
    /// `pytorch_model.bin`, `pytorch_model.bin.index.json`, `open_clip_model.safetensors`,
    /// `open_clip_pytorch_model.bin`, its only `*.gguf`. A GGUF's tensors have the names and the order of rows that
    /// transformers gives them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no such file or it cannot be read, [`Error::Format`] if it is damaged or of another
    /// format, [`Error::Tensor`] if that is because of one tensor, [`Error::Global`] if a pickle would run code.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let path = place::weights(path)?;
        let entries = match Format::of(&path)? {
            Format::Index => index::open(&path)?,
            format => tensors(&Arc::new(Source::open(&path)?), format)?,
        };
        Ok(Self { path, entries })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The sizes of a tensor's dimensions; `None` if there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(Entry::shape)
    }

    /// The values of a tensor in row-major order. Those of other types are converted; whole numbers beyond 2^24 are
    /// rounded.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if there is no such tensor, if there is no memory for it, or if it holds what is no value;
    /// [`Error::Format`] and [`Error::Io`] if the file was cut off since or cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        let entry = self.entries.get(name).ok_or_else(|| {
            let reason = "is not in the checkpoint";
            Error::tensor(&self.path, name, reason, "ask for one of its own names")
        })?;
        entry.read()
    }

    /// SHA-256 of each file that holds tensors, by its name in the folder. All bytes are read; `progress` gets a line for
    /// each GiB.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] and [`Error::Io`] if a file was cut off since or cannot be read.
    pub fn digests(
        &self,
        progress: &mut dyn FnMut(&str),
    ) -> Result<BTreeMap<String, String>, Error> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let mut digests = BTreeMap::new();
        for source in self.entries.values().map(Entry::source) {
            let name = source.path().strip_prefix(folder);
            let name = name.unwrap_or(source.path()).display().to_string();
            if let btree_map::Entry::Vacant(place) = digests.entry(name) {
                place.insert(digest::sha256(source, progress)?);
            }
        }
        Ok(digests)
    }

    /// The file that was opened: the index, if the checkpoint has several.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether there is a file of weights, or a folder that holds some.
pub fn holds_weights(path: &Path) -> bool {
    place::weights(path).is_ok()
}

/// The tensors of one file, which is no index.
fn tensors(source: &Arc<Source>, format: Format) -> Result<BTreeMap<String, Entry>, Error> {
    match format {
        Format::Safetensors => safetensors::open(source),
        Format::Pytorch => pytorch::open(source),
        Format::Gguf => gguf::open(source),
        Format::Index => {
            let remedy = "name files of tensors in it";
            Err(Error::format(
                source.path(),
                "is an index within an index",
                remedy,
            ))
        }
    }
}
