//! PyTorch's `.bin` and `.pt`: a ZIP archive of a pickle and one entry a storage (`torch.save` since PyTorch 1.6).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::source::Source;
use super::{pickle, zip};
use crate::Error;
use crate::error::{DAMAGED, shown};

/// The largest pickle that is read. The values are not in it.
const MAX_PICKLE: u64 = 16 << 20;

const PICKLE: &str = "data.pkl";

/// All tensors of a file's state dict.
pub(super) fn open(source: &Arc<Source>) -> Result<BTreeMap<String, Entry>, Error> {
    let path = source.path();
    if source.bytes(0, 4)? != zip::MAGIC {
        let reason = "is no archive as torch.save writes it since PyTorch 1.6";
        let remedy = "load it with torch.load and save it again, best as safetensors";
        return Err(Error::format(path, reason, remedy));
    }
    let contents = zip::contents(source)?;
    if contents.keys().any(|name| name.contains("/code/")) {
        let reason = "is a TorchScript archive, which holds a program";
        let remedy = "save the state_dict() of the model, best as safetensors";
        return Err(Error::format(path, reason, remedy));
    }
    let damaged = |reason: &str| Error::damaged(path, reason);
    // ARCHIVE/data.pkl, ARCHIVE/data/0, ARCHIVE/data/1, ..
    let root = contents.keys().find_map(|name| {
        let root = name.strip_suffix(PICKLE)?;
        (root.matches('/').count() == 1 && root.ends_with('/')).then_some(root)
    });
    let root = root.ok_or_else(|| damaged("has no entry data.pkl: torch.save did not write it"))?;
    let entry = |name: &str| match contents.get(&format!("{root}{name}")) {
        Some(None) => {
            let reason = format!("the archive's entry `{}` is compressed", shown(name));
            let remedy = "save it with torch.save, which does not compress";
            Err(Error::format(path, reason, remedy))
        }
        Some(range) => Ok(range.clone()),
        None => Ok(None),
    };
    if let Some(order) = entry("byteorder")?
        && source.bytes(order.start, (order.end - order.start).min(8))? != b"little"
    {
        let remedy = "convert it to safetensors on the machine that wrote it";
        return Err(Error::format(path, "is not little-endian", remedy));
    }
    let pickle = entry(PICKLE)?.ok_or_else(|| damaged("has no pickle"))?;
    let length = pickle.end - pickle.start;
    if length > MAX_PICKLE {
        let reason = format!("its pickle has {length} bytes, the most is {MAX_PICKLE}");
        let remedy = "save the model's state_dict() alone";
        return Err(Error::format(path, reason, remedy));
    }
    let pickle = source.bytes(pickle.start, length)?;
    let views = pickle::state_dict(path, &pickle)?;
    let entries = views.into_iter().map(|(name, view)| {
        let error = |reason: &str| Error::tensor(path, name, reason, DAMAGED);
        let bytes = entry(&format!("data/{}", view.storage))?;
        let bytes = bytes.ok_or_else(|| error("its storage is missing"))?;
        let storage = Entry::new(source, name, vec![view.length], view.encoding, bytes.start)?;
        if storage.bytes()? != bytes.end - bytes.start {
            return Err(error("its storage has another length than the pickle says"));
        }
        let entry = storage.view(name, view.offset, view.shape, view.strides)?;
        Ok((name.to_owned(), entry))
    });
    entries.collect()
}
