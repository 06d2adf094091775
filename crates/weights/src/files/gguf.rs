//! GGUF, the format of llama.cpp, versions 2 and 3 (ggml's `docs/gguf.md`).

mod llama;
mod metadata;
mod rope;
mod tokenizer;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use self::llama::{config, open};
pub(super) use self::tokenizer::tokenizer;

use self::metadata::{Reader, Value};
use super::encoding::Encoding;
use super::entry::Entry;
use super::source::Source;
use crate::Error;
use crate::error::{DAMAGED, shown};

const MAGIC: [u8; 4] = *b"GGUF";

/// The most entries of metadata and the most tensors.
const MAX_ENTRIES: u64 = 1 << 16;

/// The most dimensions of a tensor in ggml.
const MAX_RANK: u32 = 4;

/// A file's metadata and tensors under their own names.
pub(super) struct Gguf {
    source: Arc<Source>,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Entry>,
}

impl Gguf {
    /// Reads everything but the tensors' values.
    pub fn open(source: &Arc<Source>) -> Result<Self, Error> {
        let path = source.path();
        let mut reader = Reader::new(source, 0);
        if reader.array()? != MAGIC {
            return Err(Error::damaged(path, "is no GGUF file"));
        }
        let version = u32::from_le_bytes(reader.array()?);
        if !(2..=3).contains(&version) {
            let reason = format!("is of GGUF version {version} or big-endian");
            let remedy = "convert the model again with a current llama.cpp";
            return Err(Error::format(path, reason, remedy));
        }
        let [tensors, entries] = [reader.u64()?, reader.u64()?];
        if tensors > MAX_ENTRIES || entries > MAX_ENTRIES {
            let reason = format!("would have {tensors} tensors and {entries} entries of metadata");
            return Err(Error::damaged(path, reason));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = reader.text()?;
            let value = reader.value()?;
            if metadata.insert(key.clone(), value).is_some() {
                let reason = format!("has the metadata `{}` twice", shown(&key));
                return Err(Error::damaged(path, reason));
            }
        }
        let mut gguf = Self {
            source: source.clone(),
            metadata,
            tensors: BTreeMap::new(),
        };
        if gguf.integer("split.count")?.is_some_and(|count| count > 1) {
            let remedy = "merge its parts with llama-gguf-split --merge";
            return Err(Error::format(path, "is one part of several", remedy));
        }
        let infos: Result<Vec<Info>, Error> =
            (0..tensors).map(|_| Info::read(&mut reader)).collect();
        gguf.place(infos?, reader.at())?;
        Ok(gguf)
    }

    /// Tensors stand in the order of the header, each aligned, and end where the file does.
    fn place(&mut self, infos: Vec<Info>, header: u64) -> Result<(), Error> {
        let path = self.source.path();
        let alignment = self.integer("general.alignment")?.unwrap_or(32);
        let alignment = u64::try_from(alignment).ok();
        let alignment = alignment.filter(|bytes| bytes.is_power_of_two() && *bytes <= 1 << 20);
        let alignment = alignment.ok_or_else(|| Error::damaged(path, "has no valid alignment"))?;
        let aligned = |at: u64| {
            let at = at.checked_next_multiple_of(alignment);
            at.ok_or_else(|| Error::damaged(path, "has tensors that are too large"))
        };
        // What moved within the file shows here: gaps are filled with zeros.
        let gap = |from: u64, to: u64| match self.source.bytes(from, to.saturating_sub(from))? {
            bytes if bytes.iter().all(|&byte| byte == 0) => Ok(()),
            _ => Err(Error::damaged(
                path,
                format!("has no zeros in the gap from byte {from} on"),
            )),
        };
        let data = aligned(header)?;
        gap(header, data.min(self.source.length()))?;
        let mut end = data;
        for info in infos {
            let start = aligned(end)?;
            if info.offset.checked_add(data) != Some(start) {
                let reason = format!(
                    "stands at byte {} of the data, not at {}",
                    info.offset,
                    start - data
                );
                return Err(Error::tensor(path, &info.name, reason, DAMAGED));
            }
            let entry = Entry::new(&self.source, &info.name, info.shape, info.encoding, start)?;
            gap(end, start)?;
            end = start.saturating_add(entry.bytes()?);
            if self.tensors.insert(info.name.clone(), entry).is_some() {
                return Err(Error::tensor(
                    path,
                    &info.name,
                    "stands there twice",
                    DAMAGED,
                ));
            }
        }
        // Writers fill up the last tensor as they do the others. One that reaches to the very end without that may have
        // lost bytes, and the zeros behind it stand in their place.
        let (length, filled) = (self.source.length(), aligned(end)?);
        if self.tensors.is_empty() || length == filled {
            return gap(end, length);
        }
        let reason = format!("has {length} bytes where its tensors end at {filled}");
        Err(Error::damaged(path, reason))
    }

    fn integer(&self, key: &str) -> Result<Option<i64>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(&Value::Integer(value)) => Ok(Some(value)),
            Some(_) => Err(self.mistyped(key, "whole number")),
        }
    }

    fn float(&self, key: &str) -> Result<Option<f64>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(&Value::Float(value)) => Ok(Some(value)),
            Some(_) => Err(self.mistyped(key, "number with a fraction")),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(&Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.mistyped(key, "truth value")),
        }
    }

    fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(_) => Err(self.mistyped(key, "text")),
        }
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        let missing = || self.error(format!("has no metadata `{key}`"));
        value.ok_or_else(missing)
    }

    fn mistyped(&self, key: &str, wanted: &str) -> Error {
        self.error(format!("its metadata `{key}` is no {wanted}"))
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        let remedy = "give the model's Hugging Face folder, or convert it again";
        Error::format(self.source.path(), reason, remedy)
    }
}

/// A tensor as the header describes it.
struct Info {
    name: String,
    /// Row-major: the reverse of ggml's.
    shape: Vec<usize>,
    encoding: Encoding,
    /// From the start of the data.
    offset: u64,
}

impl Info {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let path = reader.path();
        let name = reader.text()?;
        let damaged = |reason: String| Error::tensor(path, &name, reason, DAMAGED);
        let rank = u32::from_le_bytes(reader.array()?);
        if rank > MAX_RANK {
            return Err(damaged(format!("has {rank} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            let size = reader.u64()?;
            let counted = usize::try_from(size);
            shape.push(counted.map_err(|_| damaged(format!("has a dimension of {size}")))?);
        }
        shape.reverse();
        let kind = u32::from_le_bytes(reader.array()?);
        let encoding = match kind {
            0 => Encoding::F32,
            1 => Encoding::F16,
            2 => Encoding::Q4_0,
            3 => Encoding::Q4_1,
            8 => Encoding::Q8_0,
            30 => Encoding::Bf16,
            _ => {
                let reason = format!("is of type {}", type_name(kind));
                let remedy = "take the model as F32, F16, BF16, Q8_0, Q4_0 or Q4_1";
                return Err(Error::tensor(path, &name, reason, remedy));
            }
        };
        let offset = reader.u64()?;
        Ok(Self {
            name,
            shape,
            encoding,
            offset,
        })
    }
}

/// ggml's name of a type that is not read here.
fn type_name(kind: u32) -> String {
    let name = match kind {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("number {kind}"),
    };
    name.to_owned()
}
