//! safetensors: a length, a JSON header, the values (<https://huggingface.co/docs/safetensors>).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::encoding::Encoding;
use super::entry::Entry;
use super::source::Source;
use crate::Error;
use crate::error::{DAMAGED, shown};

/// Bytes of the header's length.
const PREFIX: u64 = 8;

/// The longest header that is read, which has room for more than 100,000 tensors.
const MAX_HEADER: u64 = 16 << 20;

/// The header's key that names no tensor.
pub(super) const METADATA: &str = "__metadata__";

/// All tensors of a file. They fill it without overlap and without holes, as the format demands.
pub(super) fn open(source: &Arc<Source>) -> Result<BTreeMap<String, Entry>, Error> {
    let path = source.path();
    let mut prefix = [0; PREFIX as usize];
    source.read_at(0, &mut prefix)?;
    let length = u64::from_le_bytes(prefix);
    if length > MAX_HEADER || length > source.remaining(PREFIX) {
        let reason = format!("is no safetensors file: its header would have {length} bytes");
        return Err(Error::damaged(path, reason));
    }
    let header = source.bytes(PREFIX, length)?;
    let header: Header = serde_json::from_slice(&header)
        .map_err(|error| Error::damaged(path, format!("in its header: {error}")))?;
    let data = PREFIX.saturating_add(length);
    filled(source, &header.0, data)?;
    let entries = header.0.into_iter().map(|(name, info)| {
        let encoding = encoding(&info.dtype).ok_or_else(|| {
            let reason = format!("is of type {}", shown(&info.dtype));
            let remedy = "convert it to F32, F16 or BF16";
            Error::tensor(path, &name, reason, remedy)
        })?;
        let [start, end] = info.data_offsets;
        let start = start.saturating_add(data);
        let entry = Entry::new(source, &name, info.shape, encoding, start)?;
        let (needed, there) = (entry.bytes()?, end.saturating_add(data).checked_sub(start));
        if there != Some(needed) {
            let reason = format!("its shape needs {needed} bytes, its data_offsets give others");
            return Err(Error::tensor(path, &name, reason, DAMAGED));
        }
        Ok((name, entry))
    });
    entries.collect()
}

/// Checks that each tensor begins where another ends, from the first byte of the data to the last.
fn filled(source: &Source, tensors: &BTreeMap<String, Info>, data: u64) -> Result<(), Error> {
    let mut ranges: Vec<[u64; 2]> = tensors.values().map(|info| info.data_offsets).collect();
    ranges.sort_unstable();
    let mut end = 0;
    for [from, to] in ranges {
        if from != end || to < from {
            let reason = format!("bytes {from} to {to} of its data overlap others or leave a hole");
            return Err(Error::damaged(source.path(), reason));
        }
        end = to;
    }
    let there = source.remaining(data);
    if end != there {
        let reason = format!("has {there} bytes of data where its tensors have {end}");
        return Err(Error::damaged(source.path(), reason));
    }
    Ok(())
}

fn encoding(dtype: &str) -> Option<Encoding> {
    Some(match dtype {
        "F64" => Encoding::F64,
        "F32" => Encoding::F32,
        "F16" => Encoding::F16,
        "BF16" => Encoding::Bf16,
        "I64" => Encoding::I64,
        "I32" => Encoding::I32,
        "U8" => Encoding::U8,
        "BOOL" => Encoding::Bool,
        _ => return None,
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// The header's tensors, no name twice.
struct Header(BTreeMap<String, Info>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;

        impl<'de> Visitor<'de> for Tensors {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let info = map.next_value()?;
                    if tensors.contains_key(&name) {
                        let message = format!("tensor `{}` stands there twice", shown(&name));
                        return Err(A::Error::custom(message));
                    }
                    tensors.insert(name, info);
                }
                Ok(Header(tensors))
            }
        }

        deserializer.deserialize_map(Tensors)
    }
}
